//! What the stream told of each table last.

use std::{collections::HashMap, sync::Arc};

use tokio_postgres::{Client, Error};
use wire::{Relation, SchemaChange, Snapshot};

use super::{
    apply::check_binding,
    catalog::{Table, table},
    connect::error_of,
    create::{column_list, run},
    place::Place,
    quote::{ident, qualified},
};
use crate::target::{KnownTable, TargetError, another_table, gone_columns, renamed_table};

const EXISTS: &str = "SELECT pg_catalog.to_regclass('tailwater.known') IS NOT NULL";

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS tailwater.known (source text, oid oid, told text NOT NULL, PRIMARY KEY (source, oid));
COMMENT ON TABLE tailwater.known IS
    'Name and columns of each of the source''s tables as the stream has them; written by tailwater-terminal. Do not change it.'";

const READ: &str = "SELECT oid, told FROM tailwater.known WHERE source = $1";

const WRITE: &str = "
INSERT INTO tailwater.known (source, oid, told) SELECT $1, o, t FROM unnest($2::oid[], $3::text[]) n (o, t)
ON CONFLICT (source, oid) DO UPDATE SET told = excluded.told";

const FORGET: &str =
    "DELETE FROM tailwater.known WHERE source = $1 AND ($2::oid IS NULL OR oid = $2)";

const ROOT: &str = "
SELECT coalesce(pg_catalog.pg_partition_root(c.oid)::oid, c.oid)::pg_catalog.regclass::text
FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1::text)";

/// All that is known.
pub(super) async fn read(place: Place<'_>) -> Result<HashMap<u32, KnownTable>, TargetError> {
    let failed = |error: Error| error_of(place.target, "read tailwater.known", &error);
    if !is_there(place.client).await.map_err(failed)? {
        return Ok(HashMap::new());
    }
    let rows = place.client.query(READ, &[&place.source.as_str()]).await.map_err(failed)?;
    // What cannot be read is as good as not known.
    let known = |row: &tokio_postgres::Row| {
        let told: &str = row.try_get(1).ok()?;
        Some((row.try_get(0).ok()?, serde_json::from_str(told).ok()?))
    };
    Ok(rows.iter().filter_map(known).collect())
}

/// A load's tables are all that is known, in the open transaction.
pub(super) async fn loaded(place: Place<'_>, snapshot: &Snapshot) -> Result<(), TargetError> {
    forget(place, None).await?;
    let tables = snapshot.tables.iter().map(|of| (of.oid, KnownTable::of_snapshot(of)));
    write(place, &tables.collect::<Vec<_>>()).await
}

/// What a schema change says is known, in the open transaction.
pub(super) async fn altered(place: Place<'_>, change: &SchemaChange) -> Result<(), TargetError> {
    match KnownTable::behind(change) {
        Some(known) => write(place, &[(change.oid, known)]).await,
        None => forget(place, Some(change.oid)).await,
    }
}

async fn write(place: Place<'_>, tables: &[(u32, KnownTable)]) -> Result<(), TargetError> {
    let failed = |error: Error| error_of(place.target, "write tailwater.known", &error);
    if !is_there(place.client).await.map_err(failed)? {
        place.client.batch_execute(CREATE).await.map_err(failed)?;
    }
    let oids: Vec<u32> = tables.iter().map(|(oid, _)| *oid).collect();
    let told: Vec<String> =
        tables.iter().filter_map(|(_, known)| serde_json::to_string(known).ok()).collect();
    let written = place.client.execute(WRITE, &[&place.source.as_str(), &oids, &told]).await;
    written.map(drop).map_err(failed)
}

async fn forget(place: Place<'_>, oid: Option<u32>) -> Result<(), TargetError> {
    let failed = |error: Error| error_of(place.target, "write tailwater.known", &error);
    if !is_there(place.client).await.map_err(failed)? {
        return Ok(());
    }
    let done = place.client.execute(FORGET, &[&place.source.as_str(), &oid]).await;
    done.map(drop).map_err(failed)
}

/// Sees whether the table here can follow from what was known of it to what the stream says now, and notes that.
pub(super) async fn meet(
    place: Place<'_>,
    known: Option<&KnownTable>,
    namesake: bool,
    relation: &Arc<Relation>,
) -> Result<(), TargetError> {
    let Place { target, client, .. } = place;
    let failed = |error: Error| error_of(target, &format!("look up the table {relation}"), &error);
    let wrong = |(why, advice): (String, String)| TargetError::Table {
        target: target.to_owned(),
        table: relation.to_string(),
        why,
        advice,
    };
    let here = table(client, &relation.schema, &relation.name).await.map_err(failed)?;
    let under_its_old_name = match known.filter(|known| known.is_renamed(relation)) {
        Some(KnownTable { table: of, .. }) => {
            table(client, &of.schema, &of.name).await.map_err(failed)?.is_some()
        }
        None => false,
    };
    match (known, &here) {
        (Some(known), None) if under_its_old_name => return Err(wrong(renamed(known, relation))),
        (known, Some(of)) if namesake && of.is_table() => {
            let name = root_of(place, of).await?;
            if under_its_old_name || known.is_none() && has_rows(place, &name).await? {
                return Err(wrong(another_table(&qualified(&of.schema, &of.name))));
            }
        }
        _ => {}
    }
    if let Some(here) = here.filter(Table::is_table) {
        let name = root_of(place, &here).await?;
        let gone = known.map(|known| known.gone(relation)).unwrap_or_default();
        let gone: Vec<String> =
            gone.into_iter().filter(|name| here.column(name).is_some()).map(ident).collect();
        let lacks = relation.columns.iter().filter(|of| here.column(&of.name).is_none());
        let lacks = Relation { columns: lacks.cloned().collect(), ..Relation::clone(relation) };
        let new = column_list(target, client, &lacks).await?;
        if !gone.is_empty() {
            return Err(wrong(gone_columns(&name, &gone, &new, "")));
        }
        if new.is_empty() || !add_to_empty(place, &name, &new).await? {
            check_binding(target, relation, &here)?;
        }
    }
    write(place, &[(relation.oid, KnownTable::of_relation(relation))]).await
}

/// No row that is here lacks a value in a new column where there is none.
async fn add_to_empty(
    place: Place<'_>,
    name: &str,
    new: &[(String, String)],
) -> Result<bool, TargetError> {
    let Place { target, client, .. } = place;
    if has_rows(place, name).await? {
        return Ok(false);
    }
    for (column, of) in new {
        let sql = format!("ALTER TABLE {name} ADD COLUMN {column} {of}");
        run(target, client, &format!("add a column to {name}"), &sql).await?;
        tracing::info!("{sql}");
    }
    Ok(true)
}

async fn has_rows(place: Place<'_>, name: &str) -> Result<bool, TargetError> {
    let any = format!("SELECT EXISTS (SELECT FROM {name})");
    let any = place.client.query_one(&any, &[]).await.and_then(|row| row.try_get(0));
    any.map_err(|error| error_of(place.target, "look for rows", &error))
}

/// Columns come and go at the topmost table of a partition tree.
async fn root_of(place: Place<'_>, here: &Table) -> Result<String, TargetError> {
    let name = qualified(&here.schema, &here.name);
    let root = place.client.query_opt(ROOT, &[&name]).await;
    let root = root.and_then(|row| row.map(|row| row.try_get(0)).transpose());
    root.map(|root| root.unwrap_or(name))
        .map_err(|error| error_of(place.target, "look up the partitioned table", &error))
}

fn renamed(known: &KnownTable, relation: &Relation) -> (String, String) {
    let (from, to) = (&known.table, (&relation.schema, &relation.name));
    let mut statements = Vec::new();
    if from.name != *to.1 {
        let old = qualified(&from.schema, &from.name);
        statements.push(format!("ALTER TABLE {old} RENAME TO {}", ident(to.1)));
    }
    if from.schema != *to.0 {
        let old = qualified(&from.schema, to.1);
        statements.push(format!("ALTER TABLE {old} SET SCHEMA {}", ident(to.0)));
    }
    let old = qualified(&from.schema, &from.name);
    renamed_table(&old, &qualified(to.0, to.1), &statements.join("; "))
}

async fn is_there(client: &Client) -> Result<bool, Error> {
    client.query_one(EXISTS, &[]).await.and_then(|row| row.try_get(0))
}
