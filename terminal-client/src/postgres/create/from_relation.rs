use tokio_postgres::Client;
use wire::{Relation, ReplicaIdentity};

use super::{
    super::{
        catalog::Table,
        connect::error_of,
        quote::{ident, idents, qualified},
    },
    attempt::run,
    tables::look_up,
    types::ensure_schema,
};
use crate::target::TargetError;

const FORMAT_TYPE: &str = "
SELECT format_type(t.oid, $3) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = $1 AND t.typname = $2";

/// The target's table for a relation of the stream; made where it is missing (a table that was
/// published after this terminal's load), as well as the stream describes it: columns, types, key.
pub(in super::super) async fn ensure_table(
    target: &str,
    client: &Client,
    relation: &Relation,
) -> Result<Table, TargetError> {
    let found = look_up(target, client, &relation.schema, &relation.name).await?;
    if let Some(table) = found {
        return Ok(table);
    }
    let columns = column_list(target, client, relation).await?;
    let columns: Vec<String> =
        columns.into_iter().map(|(name, of)| format!("{name} {of}")).collect();
    let columns = columns.join(", ");
    ensure_schema(target, client, &relation.schema).await?;
    let name = qualified(&relation.schema, &relation.name);
    let doing = format!("create the table {name}, which the source's stream has now");
    let keys: Vec<&str> =
        relation.columns.iter().filter(|c| c.key).map(|c| c.name.as_str()).collect();
    let key = match relation.identity {
        ReplicaIdentity::Default if !keys.is_empty() => {
            format!(", PRIMARY KEY ({})", idents(keys))
        }
        ReplicaIdentity::Index if !keys.is_empty() => format!(", UNIQUE ({})", idents(keys)),
        _ => String::new(),
    };
    run(target, client, &doing, &format!("CREATE TABLE {name} ({columns}{key})")).await?;
    tracing::info!(table = %name, "created from the stream's definition");
    let made = look_up(target, client, &relation.schema, &relation.name).await?;
    made.ok_or_else(|| TargetError::Statement {
        target: target.to_owned(),
        doing,
        why: "it was not there afterwards".into(),
    })
}

/// The columns of a relation, quoted, and their types as they are called here.
pub(in super::super) async fn column_list(
    target: &str,
    client: &Client,
    relation: &Relation,
) -> Result<Vec<(String, String)>, TargetError> {
    let mut columns = Vec::new();
    for column in &relation.columns {
        let of = &column.type_name;
        let row = client
            .query_opt(FORMAT_TYPE, &[&of.schema, &of.name, &column.type_modifier])
            .await
            .map_err(|error| error_of(target, &format!("look up the type {of}"), &error))?;
        let sql = row.and_then(|row| row.try_get::<_, String>(0).ok());
        let sql = sql.ok_or_else(|| TargetError::Table {
            target: target.to_owned(),
            table: relation.to_string(),
            why: format!(
                "the type {of} of its column \"{}\" is not at the target, so the column cannot be made",
                column.name
            ),
            advice: format!("create the type {of} as the source has it, then try again"),
        })?;
        columns.push((ident(&column.name), sql));
    }
    Ok(columns)
}
