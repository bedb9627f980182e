use wire::{Lsn, Snapshot, SnapshotTable, SourceName};

use super::{
    super::{
        alter::reshape,
        database::Database,
        schema::quote,
        seen::{Missing, not_in},
    },
    count::count,
    shadow::drop_shadow,
    tables::LoadTable,
};
use crate::target::{Named, TargetError, not_exchanged};

/// Puts a shadow's rows in the place of its table's, in the open transaction, and removes the shadow.
/// The table is brought to the snapshot's shape while it is empty.
pub(super) fn exchange(
    database: &Database,
    source: &SourceName,
    lsn: Lsn,
    (table, of): (&LoadTable, &SnapshotTable),
) -> Result<(), TargetError> {
    let (name, shadow) = (quote(&table.name), quote(&table.into));
    let doing = format!("put the loaded rows into the table {name}");
    let connection = &database.connection;
    database.did(&doing, connection.execute(&format!("DELETE FROM {name}"), []))?;
    reshape(database, source, lsn, &table.definition)?;
    if table.columns.is_empty() {
        for _ in 0..of.rows {
            let insert = connection.prepare_cached(&format!("INSERT INTO {name} DEFAULT VALUES"));
            database.did(&doing, insert.and_then(|mut insert| insert.execute([])))?;
        }
    } else {
        let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
        let columns = columns.join(", ");
        let sql = format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {shadow}");
        database.did(&doing, connection.execute(&sql, []))?;
    }
    let rows = count(database, &table.name)?.unwrap_or_default();
    if let Some(wrong) = not_exchanged(&database.target, of, rows) {
        return Err(wrong);
    }
    drop_shadow(database, &Named::new(&of.schema, &of.name))
}

/// Empties tables that joined after the snapshot: all their rows are in the log behind it.
pub(super) fn empty_joined(
    database: &Database,
    source: &SourceName,
    snapshot: &Snapshot,
) -> Result<(), TargetError> {
    for Missing { name, joined } in not_in(database, source, snapshot)? {
        if !joined {
            tracing::info!("{name} is not in the snapshot any more: left as it is");
            continue;
        }
        tracing::info!("{name} joined after the snapshot: empty until the next pull");
        let name = quote(&name);
        let deleted = database.connection.execute(&format!("DELETE FROM {name}"), []);
        database.did(&format!("empty the table {name}"), deleted)?;
    }
    Ok(())
}
