use serde_json::json;
use wire::{CONTROL_PREFIX, ControlRecord};

use crate::source::{SqlError, SqlSession, answer};

/// Writes a record of capture's own into the WAL.
pub(super) async fn emit(sql: &SqlSession, record: &ControlRecord) -> Result<(), SqlError> {
    let content = json!(record).to_string();
    let query = "SELECT pg_catalog.pg_logical_emit_message(true, $1::text, $2::text)::text";
    answer(sql.query(query, &[&CONTROL_PREFIX, &content])).await.map(drop)
}
