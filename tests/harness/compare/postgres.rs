//! PostgreSQL against PostgreSQL.

use std::pin::pin;

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use tokio_postgres::Client;

use super::{
    columns::{Table, find, quote},
    digest::{Digest, Rows},
    result::TableResult,
};

/// Pins what decides about the text form of values.
pub(super) async fn prepare(client: &Client) -> Result<()> {
    let settings = "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; \
                    SET extra_float_digits = 1; SET bytea_output = 'hex'; SET lc_monetary = 'C'; \
                    SET client_encoding = 'UTF8'; SET row_security = off; SET statement_timeout = 0";
    client.batch_execute(settings).await.context("cannot set up the session")
}

pub(super) async fn compare(
    source: &Client,
    terminal: &Client,
    table: &Table,
) -> Result<TableResult> {
    let here = digest(source, table).await?;
    let Some(there) = find(terminal, &table.schema, &table.name).await? else {
        return Ok(TableResult::unlike(
            table.label(),
            here.rows,
            "the terminal has no such table".to_owned(),
        ));
    };
    let sorted = |table: &Table| {
        let columns =
            table.columns.iter().map(|column| format!("{} {}", column.name, column.type_name));
        let mut columns: Vec<String> = columns.collect();
        columns.sort();
        columns
    };
    if sorted(table) != sorted(&there) {
        let why = format!(
            "columns: {:?} at the source, {:?} at the terminal",
            sorted(table),
            sorted(&there)
        );
        return Ok(TableResult::unlike(table.label(), here.rows, why));
    }
    // By the source's order of columns on both sides.
    let mut result = TableResult::by_digest(table.label(), here, digest(terminal, table).await?);
    if result.difference.is_some() {
        result.explain(&rows(source, table).await?, &rows(terminal, table).await?);
    }
    Ok(result)
}

async fn digest(client: &Client, table: &Table) -> Result<Digest> {
    let mut digest = Digest::default();
    each_row(client, table, |row| {
        digest.add(row);
        Ok(())
    })
    .await?;
    Ok(digest)
}

async fn rows(client: &Client, table: &Table) -> Result<Rows> {
    let mut rows = Rows::default();
    each_row(client, table, |row| {
        rows.add(row.to_owned());
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// Calls `take` with each row in COPY's text form: columns divided by tabs, NULL as `\N`, special
/// characters escaped (PostgreSQL manual, COPY, "Text Format"). The server sends each row in a
/// message of its own (ibid., "Frontend/Backend Protocol", COPY operations).
pub(super) async fn each_row(
    client: &Client,
    table: &Table,
    mut take: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let query =
        format!("COPY (SELECT {} FROM ONLY {}) TO STDOUT", columns.join(", "), table.quoted());
    let copy = client.copy_out(&query).await.with_context(|| query.clone())?;
    let mut copy = pin!(copy);
    while let Some(message) = copy.try_next().await.with_context(|| query.clone())? {
        let row = std::str::from_utf8(&message)?;
        take(row.strip_suffix('\n').unwrap_or(row))?;
    }
    Ok(())
}
