use tokio_postgres::Client;
use wire::TableDefinition;

use super::super::{
    catalog::Table,
    connect::error_of,
    quote::{ident, qualified},
};
use crate::target::TargetError;

/// Types that take the text of every value of another.
const WIDER: &[(&str, &[&str])] = &[
    ("int2", &["int4", "int8", "numeric"]),
    ("int4", &["int8", "numeric"]),
    ("int8", &["numeric"]),
    ("oid", &["int8", "numeric"]),
    ("float4", &["float8"]),
    ("varchar", &["bpchar"]),
    ("bpchar", &["varchar"]),
    ("name", &["varchar"]),
    ("json", &["jsonb"]),
    ("jsonb", &["json"]),
    ("date", &["timestamp", "timestamptz"]),
];

/// What rows a table may have that was there before a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Rows {
    /// None: they would mix.
    None,
    /// Any: they are replaced.
    Any,
}

/// Checks that a table which was there before can take the source's rows, and has only rows that it
/// may have.
pub(super) async fn check_existing(
    target: &str,
    client: &Client,
    definition: &TableDefinition,
    table: &Table,
    may_have: Rows,
) -> Result<(), TargetError> {
    let name = qualified(&definition.schema, &definition.name);
    // A pull would find everything as it was before the reload.
    let again = if may_have == Rows::Any { "reload again" } else { "pull again" };
    let error = |why: String, advice: String| {
        Err(TargetError::Table {
            target: target.to_owned(),
            table: format!("{}.{}", definition.schema, definition.name),
            why,
            advice,
        })
    };
    if !table.is_table() {
        return error(
            format!("there is something else of that name (pg_class.relkind '{}')", table.kind),
            "rename or drop it, or take another database".into(),
        );
    }
    for column in definition.columns.iter().filter(|column| column.generated.is_none()) {
        let quoted = ident(&column.name);
        let Some(found) = table.column(&column.name) else {
            return error(
                format!("it has no column {quoted}, which the source's has"),
                format!(
                    "run ALTER TABLE {name} ADD COLUMN {quoted} {}; then {again}",
                    column.type_sql
                ),
            );
        };
        // Where all rows are exchanged, the table is brought to it.
        if may_have == Rows::None && !takes(&found.base_type, &column.base_type) {
            return error(
                format!(
                    "its column {quoted} is {}, the source's is {}",
                    found.type_sql, column.type_sql
                ),
                format!(
                    "run ALTER TABLE {name} ALTER COLUMN {quoted} TYPE {}; then {again}",
                    column.type_sql
                ),
            );
        }
    }
    let unknown = |column: &str| !definition.columns.iter().any(|known| known.name == column);
    let needed = table.columns.iter().find(|c| c.needed && unknown(&c.name));
    if let Some(column) = needed.filter(|_| may_have == Rows::None) {
        let quoted = ident(&column.name);
        return error(
            format!(
                "its column {quoted} is NOT NULL without a default, and the source has no such column"
            ),
            format!("run ALTER TABLE {name} ALTER COLUMN {quoted} DROP NOT NULL; then {again}"),
        );
    }
    if may_have == Rows::Any {
        return Ok(());
    }
    let rows: bool = client
        .query_one(&format!("SELECT EXISTS (SELECT FROM {name})"), &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|e| error_of(target, &format!("read the table {name}"), &e))?;
    if rows && definition.partition_by.is_none() {
        return error(
            "it has rows already, and the first load would mix with them".into(),
            format!(
                "run TRUNCATE {name} if they may go, or take another database; then pull again"
            ),
        );
    }
    Ok(())
}

/// Whether a column of one type takes the text of every value of the other.
pub(in super::super) fn takes(target: &str, source: &str) -> bool {
    target == source
        || target == "text"
        || WIDER.iter().any(|(from, to)| *from == source && to.contains(&target))
}
