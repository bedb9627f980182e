//! Schema changes: what capture records of them, and what becomes of them at the terminals.

mod followed;
mod joined;
mod random;
mod recorded;
mod rows_needed;

use anyhow::{Context, Result};
use harness::{Cluster, Database};
use serde_json::Value;

use crate::setup::{Options, SOURCE, Setup};

/// A master whose schema changes are recorded, prepared by `sql`.
async fn recorded(sql: &str, capture: &[&str]) -> Result<Setup> {
    let capture = [&["--ddl"], capture].concat();
    let options = Options { capture: &capture, config: None };
    Setup::on(Cluster::shared().await?, sql, options).await
}

/// What was told so far, oldest first.
async fn told(master: &Database) -> Result<Vec<Value>> {
    let sql = "SELECT coalesce(jsonb_agg(change ORDER BY at), '[]') FROM tailwater.schema_changes";
    let text = master.value(sql).await?.context("no rows")?;
    Ok(serde_json::from_str(&text)?)
}

/// The newest snapshot's definitions.
async fn definitions(setup: &Setup) -> Result<Value> {
    let answer = setup.relay.get(&format!("/v1/{SOURCE}/snapshot"))?.send().await?;
    let mut list: Value = serde_json::from_str(&answer.text().await?)?;
    Ok(list["snapshots"][0]["definitions"].take())
}
