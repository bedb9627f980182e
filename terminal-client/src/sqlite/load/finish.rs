use wire::{Snapshot, SourceName};

use super::{
    super::{
        database::Database,
        schema::{Shape, quote, table_name},
    },
    record,
    tables::{LoadTable, finish_table},
};
use crate::target::TargetError;

/// How a load ends, in the open transaction.
#[derive(Debug)]
pub(in super::super) enum Ending {
    /// All is there; the position is to be written and committed.
    Complete,
    /// Something else wrote to one of its tables.
    Mixed(TargetError),
}

/// Proves the rows, then makes keys and indexes and removes the load's record.
pub(in super::super) fn finish(
    database: &Database,
    source: &SourceName,
    snapshot: &Snapshot,
    tables: Vec<LoadTable>,
) -> Result<Ending, TargetError> {
    if let Some(wrong) = wrong_count(database, snapshot)? {
        return Ok(Ending::Mixed(wrong));
    }
    for table in tables {
        if database.stopped() {
            return Err(TargetError::Statement {
                target: database.target.clone(),
                doing: "go on".into(),
                why: "it is being closed".into(),
            });
        }
        finish_table(database, source, &table)?;
    }
    record::remove(database, source)?;
    Ok(Ending::Complete)
}

/// Parts were committed on the way, in the sight of others, perhaps over days: what the tables hold is
/// what counts, not what was sent.
fn wrong_count(
    database: &Database,
    snapshot: &Snapshot,
) -> Result<Option<TargetError>, TargetError> {
    for table in &snapshot.tables {
        let rows = count(database, &table_name(&table.schema, &table.name))?.unwrap_or_default();
        if rows != table.rows {
            return Ok(Some(TargetError::Table {
                target: database.target.clone(),
                table: format!("{}.{}", table.schema, table.name),
                why: format!(
                    "it has {rows} rows, and the snapshot has {}: something else wrote to it during the first load",
                    table.rows
                ),
                advice: "end that, then pull again: what was loaded will be removed, and the load begins anew".into(),
            }));
        }
    }
    Ok(None)
}

/// The table's rows; none where there is no such table.
pub(super) fn count(database: &Database, name: &str) -> Result<Option<u64>, TargetError> {
    let doing = format!("count the rows of {}", quote(name));
    let there = database.did(&doing, Shape::read(&database.connection, name))?.is_some();
    if !there {
        return Ok(None);
    }
    let sql = format!("SELECT count(*) FROM {}", quote(name));
    let rows: i64 =
        database.did(&doing, database.connection.query_row(&sql, [], |row| row.get(0)))?;
    Ok(Some(u64::try_from(rows).unwrap_or_default()))
}
