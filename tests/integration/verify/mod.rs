//! Terminals that are compared with their master, row for row, and repaired.

mod differs;
mod equal;
mod killed;
mod refused;
mod repaired;

use anyhow::{Context, Result};
use harness::Finished;
use serde_json::Value;

use crate::setup::{LIMIT, Setup, Terminal};

/// Compares; the exit code must be this.
async fn verify(setup: &Setup, terminal: &Terminal, args: &[&str], code: i32) -> Result<Finished> {
    let done = terminal.verify_command(&setup.relay.url())?.args(args).run(LIMIT).await?;
    assert_eq!(done.code, code, "{}: {}{}", terminal.name, done.stdout, done.stderr);
    Ok(done)
}

/// The same as JSON.
async fn found(setup: &Setup, terminal: &Terminal, args: &[&str], code: i32) -> Result<Value> {
    let done = verify(setup, terminal, &[&["--json"], args].concat(), code).await?;
    serde_json::from_str(&done.stdout).with_context(|| done.stdout.clone())
}

/// All rows of the terminal's tables must be the master's.
pub(crate) async fn same(setup: &Setup, terminal: &Terminal) -> Result<()> {
    let found = found(setup, terminal, &[], 0).await?;
    assert!(found["same"] == true && found["repaired"].is_null(), "{found}");
    let tables = found["tables"].as_array().context("no tables")?;
    assert!(!tables.is_empty() && tables.iter().all(|of| of["same"] == true), "{found}");
    Ok(())
}

/// Of a table: missing, extra, different.
fn counts(found: &Value, table: &str) -> Result<[u64; 3]> {
    let tables = found["tables"].as_array().context("no tables")?;
    let of = tables.iter().find(|of| of["table"] == table).with_context(|| format!("{found}"))?;
    let count = |what: &str| of[what].as_u64().context("no number");
    Ok([count("missing")?, count("extra")?, count("different")?])
}

/// What a comparison would leave if it left something.
async fn temporary(terminal: &Terminal) -> Result<Option<String>> {
    let sql = match terminal.is_sqlite() {
        true => {
            "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'tailwater_*' AND name NOT IN
                ('tailwater_position', 'tailwater_load', 'tailwater_tables', 'tailwater_seen', 'tailwater_known')
                AND type = 'table'"
        }
        false => {
            "SELECT count(*) FROM pg_class WHERE relpersistence = 't' OR relname ~ 'tailwater_(stage|groups|differ|kept)'"
        }
    };
    terminal.value(sql).await
}
