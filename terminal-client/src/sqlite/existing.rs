use rusqlite::OptionalExtension;

use super::{
    database::Database,
    schema::{ColumnSql, Shape, quote, read_record},
};
use crate::target::{Named, TargetError};

/// Checks that a table which was there before can take the source's rows, and is empty where it must be.
pub(super) fn check_existing(
    database: &Database,
    source: &str,
    table: &Named,
    columns: &[ColumnSql],
    shape: &Shape,
    must_be_empty: bool,
) -> Result<(), TargetError> {
    let error = |why: String, advice: String| {
        Err(TargetError::Table {
            target: database.target.clone(),
            table: format!("{}.{}", table.schema, table.name),
            why,
            advice,
        })
    };
    let name = quote(&shape.name);
    // A pull would find everything as it was before the reload.
    let again = if must_be_empty { "pull again" } else { "reload again" };
    if shape.kind != "table" {
        let why = format!("there is a {} of the name {name} in the file", shape.kind);
        return error(why, "rename or drop it, or take another file".into());
    }
    let record =
        database.did("read tailwater_tables", read_record(&database.connection, &shape.name))?;
    if let Some(record) = record.filter(|record| record.source != source) {
        let why = format!("the table {name} of this file belongs to the source {}", record.source);
        return error(why, "take another file for this source".into());
    }
    for column in columns {
        let quoted = quote(&column.name);
        let declared = column.kind.declared();
        // Where all rows are exchanged, the table is brought to it.
        if !must_be_empty {
            continue;
        }
        let Some(found) = shape.column(&column.name).filter(|found| !found.generated) else {
            return error(
                format!("it has no column {quoted} to write to, which the source's has"),
                format!("run ALTER TABLE {name} ADD COLUMN {}; then {again}", column.sql()),
            );
        };
        if !column.kind.fits(found.affinity) {
            return error(
                format!(
                    "its column {quoted} is declared {}, under which SQLite would change values; {declared} is needed",
                    if found.declared.is_empty() { "without a type" } else { &found.declared }
                ),
                format!(
                    "make the table with {quoted} {declared}, or drop it and have it made; then {again}"
                ),
            );
        }
    }
    let ours = |name: &str| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    if let Some(column) = shape.columns.iter().find(|column| column.needed && !ours(&column.name)) {
        let quoted = quote(&column.name);
        return error(
            format!(
                "its column {quoted} is NOT NULL without a default, and the source has no such column"
            ),
            format!("give it a default; then {again}"),
        );
    }
    if !must_be_empty {
        return Ok(());
    }
    let any = format!("SELECT 1 FROM {name} LIMIT 1");
    let any = database.connection.query_row(&any, [], |_| Ok(())).optional();
    if database.did(&format!("read the table {name}"), any)?.is_some() {
        return error(
            "it has rows already, and the first load would mix with them".into(),
            format!("run DELETE FROM {name} if they may go, or take another file; then pull again"),
        );
    }
    Ok(())
}
