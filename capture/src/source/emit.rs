use serde_json::json;
use tokio_postgres::GenericClient;
use wire::{CONTROL_PREFIX, ControlRecord};

use super::sql::{SqlError, answer};

/// Writes a record of capture's own into the WAL.
pub async fn emit(client: &impl GenericClient, record: &ControlRecord) -> Result<(), SqlError> {
    let content = json!(record).to_string();
    let query = "SELECT pg_catalog.pg_logical_emit_message(true, $1::text, $2::text)::text";
    answer(client.query(query, &[&CONTROL_PREFIX, &content])).await.map(drop)
}
