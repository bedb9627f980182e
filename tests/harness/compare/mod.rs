//! The proof that a terminal holds what its master holds: table by table, row by row.
//!
//! Both sides are read once, as a count and a sum of hashes that no order of rows changes. Where
//! they differ, both are read again, and the first rows that only one side has are shown.

mod columns;
mod digest;
mod postgres;
mod result;
mod sqlite;
mod sqlite_values;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::Result;

use crate::connect::connect;
pub use columns::Tables;
pub use result::{Comparison, TableResult};

/// Compares PostgreSQL databases. A table has to be there, with the columns of the source in any
/// order, by name and type; values are compared in their text form.
pub async fn compare_postgres(
    source_url: &str,
    terminal_url: &str,
    tables: &Tables,
) -> Result<Comparison> {
    let (source, terminal) = (connect(source_url).await?, connect(terminal_url).await?);
    postgres::prepare(&source).await?;
    postgres::prepare(&terminal).await?;
    let mut results = Vec::new();
    for table in columns::read(&source, tables).await? {
        results.push(postgres::compare(&source, &terminal, &table).await?);
    }
    Ok(Comparison::new(results))
}

/// Compares a PostgreSQL database with a SQLite file, by the mapping of `sqlite_values.rs`.
pub async fn compare_sqlite(source_url: &str, file: &Path, tables: &Tables) -> Result<Comparison> {
    let source = connect(source_url).await?;
    postgres::prepare(&source).await?;
    let terminal = sqlite::open(file)?;
    let mut results = Vec::new();
    for table in columns::read(&source, tables).await? {
        results.push(sqlite::compare(&source, &terminal, &table).await?);
    }
    Ok(Comparison::new(results))
}
