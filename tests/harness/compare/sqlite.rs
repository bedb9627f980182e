//! PostgreSQL against SQLite.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};
use tokio_postgres::Client;

use super::{
    columns::{Table, quote},
    digest::{Digest, Rows},
    postgres::each_row,
    result::TableResult,
    sqlite_values::{expected, found},
};

/// Opens a file for reading; it must exist.
pub(super) fn open(file: &Path) -> Result<Connection> {
    // Not read-only: reading a database in WAL mode may have to make its shared-memory file.
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .with_context(|| format!("cannot open {}", file.display()))?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}

pub(super) async fn compare(
    source: &Client,
    terminal: &Connection,
    table: &Table,
) -> Result<TableResult> {
    let mut here = Digest::default();
    each_expected(source, table, |row| here.add(&row)).await?;
    let mut there = Digest::default();
    if let Err(error) = each_found(terminal, table, |row| there.add(&row)) {
        return Ok(TableResult::unlike(table.label(), here.rows, format!("{error:#}")));
    }
    let mut result = TableResult::by_digest(table.label(), here, there);
    if result.difference.is_some() {
        let (mut here, mut there) = (Rows::default(), Rows::default());
        each_expected(source, table, |row| here.add(row)).await?;
        each_found(terminal, table, |row| there.add(row))?;
        result.explain(&here, &there);
    }
    Ok(result)
}

/// The source's rows in the form [`each_found`] has to give.
async fn each_expected(source: &Client, table: &Table, mut take: impl FnMut(String)) -> Result<()> {
    each_row(source, table, |row| {
        let fields = row.split('\t').zip(&table.columns);
        let values: Result<Vec<String>> =
            fields.map(|(field, column)| expected(field, &column.base_type)).collect();
        take(values?.join(" | "));
        Ok(())
    })
    .await
}

fn each_found(terminal: &Connection, table: &Table, mut take: impl FnMut(String)) -> Result<()> {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    // SQLite has no table without columns; what is made instead has one of NULLs.
    let columns = if columns.is_empty() { "NULL".to_owned() } else { columns.join(", ") };
    let query = format!("SELECT {columns} FROM {}", quote(&name_in_sqlite(table)));
    let mut statement = terminal.prepare(&query).with_context(|| query.clone())?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut values = Vec::new();
        for (index, column) in table.columns.iter().enumerate() {
            values.push(found(row.get_ref(index)?, &column.base_type)?);
        }
        take(values.join(" | "));
    }
    Ok(())
}

/// `t` for `public.t`; for other schemas the name with its dot.
fn name_in_sqlite(table: &Table) -> String {
    if table.schema == "public" { table.name.clone() } else { table.label() }
}
