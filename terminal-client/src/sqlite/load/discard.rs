use wire::SourceName;

use super::{
    super::{
        database::Database,
        schema::{quote, table_name},
    },
    count::count,
    record,
    shadow::drop_shadow,
};
use crate::target::{Kept, LoadRecord, TargetError, strangers};

/// Removes what an unfinished load left, in the open transaction.
pub(in super::super) fn discard(
    database: &Database,
    source: &SourceName,
    unfinished: &LoadRecord,
) -> Result<(), TargetError> {
    for kept in &unfinished.plan.kept {
        empty(database, kept, unfinished.rows_in(kept))?;
    }
    for kept in unfinished.plan.shadowed() {
        drop_shadow(database, &kept.table)?;
    }
    for table in &unfinished.plan.made {
        let name = quote(&table_name(&table.schema, &table.name));
        let dropped = database.connection.execute_batch(&format!("DROP TABLE IF EXISTS {name}"));
        database.did(&format!("remove the half loaded table {name}"), dropped)?;
    }
    record::remove(database, source)
}

fn empty(database: &Database, kept: &Kept, ours: u64) -> Result<(), TargetError> {
    let name = table_name(&kept.table.schema, &kept.table.name);
    let rows = if ours == 0 { None } else { count(database, &name)? };
    let Some(rows) = rows else { return Ok(()) };
    let name = quote(&name);
    let advice =
        format!("run DELETE FROM {name} if they may go, or take another file; then pull again");
    if let Some(error) = strangers(&database.target, kept, (ours, rows), advice) {
        return Err(error);
    }
    let deleted = database.connection.execute(&format!("DELETE FROM {name}"), []);
    database.did(&format!("remove the half loaded rows of {name}"), deleted).map(drop)
}
