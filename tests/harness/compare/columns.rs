//! Which tables and columns there are to compare.

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

/// The tables to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tables {
    /// Every permanent table that holds rows itself (partitions, not their roots), except ours.
    All,
    /// These, as `schema.table`, without quotes.
    Only(Vec<String>),
}

impl Tables {
    pub fn only(names: &[&str]) -> Self {
        Self::Only(names.iter().map(|name| (*name).to_owned()).collect())
    }
}

/// A table of the source.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// As `format_type` prints it, e.g. `numeric(12,2)`, `integer[]`.
    pub(super) type_name: String,
    /// The same of the type below all domains.
    pub(super) base_type: String,
}

impl Table {
    /// `schema.table` for people.
    pub(super) fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Quoted for SQL.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

/// A quoted identifier, in PostgreSQL's and SQLite's form.
pub(super) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// The tables that are wanted, by name. An error if one is not there.
pub(super) async fn read(client: &Client, tables: &Tables) -> Result<Vec<Table>> {
    match tables {
        Tables::All => {
            let rows = client
                .query(
                    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE c.relkind = 'r' AND c.relpersistence = 'p' \
                       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tailwater') \
                     ORDER BY 1, 2",
                    &[],
                )
                .await?;
            let mut found = Vec::new();
            for row in rows {
                let table = find(client, row.try_get(0)?, row.try_get(1)?).await?;
                found.push(table.context("a table went while it was looked at")?);
            }
            Ok(found)
        }
        Tables::Only(names) => {
            let mut found = Vec::new();
            for name in names {
                let (schema, table) = name.split_once('.').unwrap_or(("public", name));
                let Some(table) = find(client, schema, table).await? else {
                    bail!("the source has no table {name}");
                };
                found.push(table);
            }
            Ok(found)
        }
    }
}

/// A table with its columns in order; `None` if it is not there.
pub(super) async fn find(client: &Client, schema: &str, name: &str) -> Result<Option<Table>> {
    let rows = client
        .query(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), ( \
               WITH RECURSIVE below AS ( \
                 SELECT a.atttypid AS of, a.atttypmod AS modifier \
                 UNION ALL SELECT t.typbasetype, t.typtypmod FROM below JOIN pg_type t ON t.oid = below.of WHERE t.typtype = 'd' \
               ) SELECT format_type(below.of, below.modifier) FROM below JOIN pg_type t ON t.oid = below.of WHERE t.typtype <> 'd') \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p') ORDER BY a.attnum",
            &[&schema, &name],
        )
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut columns = Vec::new();
    for row in rows {
        // A table without columns: one row of NULLs, from the outer join.
        if let (Some(name), Some(type_name), Some(base_type)) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)
        {
            columns.push(Column { name, type_name, base_type });
        }
    }
    Ok(Some(Table { schema: schema.to_owned(), name: name.to_owned(), columns }))
}
