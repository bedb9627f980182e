//! What the stream told of each table last.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{OptionalExtension, params};
use wire::{Relation, RelationColumn, SchemaChange, Snapshot, SourceName};

use super::{
    apply::check_plan,
    database::Database,
    schema::{Shape, quote, table_name},
    values::Kind,
};
use crate::target::{KnownTable, TargetError, another_table, gone_columns, renamed_table};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS tailwater_known (
    source TEXT NOT NULL, oid INTEGER NOT NULL, told TEXT NOT NULL, PRIMARY KEY (source, oid))";

const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'tailwater_known'";

const READ: &str = "SELECT oid, told FROM tailwater_known WHERE source = ?1";

const WRITE: &str = "INSERT INTO tailwater_known (source, oid, told) VALUES (?1, ?2, ?3)
    ON CONFLICT (source, oid) DO UPDATE SET told = excluded.told";

const FORGET: &str = "DELETE FROM tailwater_known WHERE source = ?1 AND (?2 IS NULL OR oid = ?2)";

/// SQLite drops no column that an index names.
const INDEXES_FIRST: &str = "DROP INDEX for each index over it, then ";

/// All that is known.
pub(super) fn read(
    database: &Database,
    source: &SourceName,
) -> Result<HashMap<u32, KnownTable>, TargetError> {
    let read = || -> rusqlite::Result<Vec<(u32, String)>> {
        let connection = &database.connection;
        if connection.query_row(EXISTS, [], |_| Ok(())).optional()?.is_none() {
            return Ok(Vec::new());
        }
        let mut read = connection.prepare(READ)?;
        read.query_map([source.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let rows = database.did("read tailwater_known", read())?;
    // What cannot be read is as good as not known.
    let known = |(oid, told): (u32, String)| Some((oid, serde_json::from_str(&told).ok()?));
    Ok(rows.into_iter().filter_map(known).collect())
}

/// A load's tables are all that is known, in the open transaction.
pub(super) fn loaded(
    database: &Database,
    source: &SourceName,
    snapshot: &Snapshot,
) -> Result<(), TargetError> {
    forget(database, source, None)?;
    let mut tables = snapshot.tables.iter();
    tables.try_for_each(|of| write(database, source, of.oid, &KnownTable::of_snapshot(of)))
}

/// What a schema change says is known, in the open transaction.
pub(super) fn altered(
    database: &Database,
    source: &SourceName,
    change: &SchemaChange,
) -> Result<(), TargetError> {
    match KnownTable::behind(change) {
        Some(known) => write(database, source, change.oid, &known),
        None => forget(database, source, Some(change.oid)),
    }
}

fn write(
    database: &Database,
    source: &SourceName,
    oid: u32,
    known: &KnownTable,
) -> Result<(), TargetError> {
    let told = serde_json::to_string(known).unwrap_or_default();
    let connection = &database.connection;
    let written = connection.execute_batch(CREATE).and_then(|()| {
        connection.prepare_cached(WRITE)?.execute(params![source.as_str(), oid, told])
    });
    database.did("write tailwater_known", written).map(drop)
}

fn forget(database: &Database, source: &SourceName, oid: Option<u32>) -> Result<(), TargetError> {
    let connection = &database.connection;
    let done = connection
        .execute_batch(CREATE)
        .and_then(|()| connection.execute(FORGET, params![source.as_str(), oid]));
    database.did("write tailwater_known", done).map(drop)
}

/// Sees whether the table here can follow from what was known of it to what the stream says now, and notes that.
pub(super) fn meet(
    database: &Database,
    source: &SourceName,
    known: Option<&KnownTable>,
    namesake: bool,
    relation: &Arc<Relation>,
) -> Result<(), TargetError> {
    let wrong = |(why, advice): (String, String)| TargetError::Table {
        target: database.target.clone(),
        table: relation.to_string(),
        why,
        advice,
    };
    let look_up =
        |name: &str| database.did("look up the tables", Shape::read(&database.connection, name));
    let name = table_name(&relation.schema, &relation.name);
    let here = look_up(&name)?;
    let old = known.filter(|known| known.is_renamed(relation));
    let old = old.map(|known| table_name(&known.table.schema, &known.table.name));
    let old = match old {
        Some(old) if look_up(&old)?.is_some() => Some(quote(&old)),
        _ => None,
    };
    match (old, &here) {
        (Some(old), None) => {
            let new = quote(&name);
            let statement = format!("ALTER TABLE {old} RENAME TO {new}");
            return Err(wrong(renamed_table(&old, &new, &statement)));
        }
        (old, Some(of)) if namesake && of.kind == "table" => {
            let name = quote(&name);
            if old.is_some() || known.is_none() && has_rows(database, &name)? {
                return Err(wrong(another_table(&name)));
            }
        }
        _ => {}
    }
    if let Some(here) = here.filter(|here| here.kind == "table") {
        let comes = |name: &str| {
            relation.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let gone = known.map(|known| known.gone(relation)).unwrap_or_default();
        let gone: Vec<String> = gone
            .into_iter()
            .filter(|name| here.column(name).is_some() && !comes(name))
            .map(quote)
            .collect();
        let lacks = relation.columns.iter().filter(|of| here.column(&of.name).is_none());
        let declared =
            |of: &RelationColumn| (quote(&of.name), Kind::of_relation(of).declared().to_owned());
        let new: Vec<(String, String)> = lacks.map(declared).collect();
        let table = quote(&name);
        if !gone.is_empty() {
            return Err(wrong(gone_columns(&table, &gone, &new, INDEXES_FIRST)));
        }
        if !new.is_empty() {
            add_to_empty(database, &table, &new)?;
        }
        check_plan(database, relation)?;
    }
    write(database, source, relation.oid, &KnownTable::of_relation(relation))
}

fn has_rows(database: &Database, table: &str) -> Result<bool, TargetError> {
    let any = format!("SELECT EXISTS (SELECT 1 FROM {table})");
    database.did("look for rows", database.connection.query_row(&any, [], |row| row.get(0)))
}

/// No row that is here lacks a value in a new column where there is none.
fn add_to_empty(
    database: &Database,
    table: &str,
    new: &[(String, String)],
) -> Result<(), TargetError> {
    let connection = &database.connection;
    if has_rows(database, table)? {
        return Ok(());
    }
    for (column, of) in new {
        let sql = format!("ALTER TABLE {table} ADD COLUMN {column} {of}");
        database.did(&format!("add a column to {table}"), connection.execute_batch(&sql))?;
        tracing::info!("{sql}");
    }
    Ok(())
}
