use serde::Deserialize;
use tokio_postgres::GenericClient;

use super::error::BeginError;
use crate::{
    settings::Settings,
    source::{SqlError, answer},
};

/// A table whose rows a publication carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedTable {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// Its rows live in partitions, and are carried under its own name.
    pub partitioned: bool,
    /// The published columns in order, generated ones left out.
    pub columns: Vec<String>,
    /// Columns that a column list leaves out.
    pub unpublished: Vec<String>,
    /// Only rows for which this holds are carried.
    pub row_filter: Option<String>,
    /// The planner's guess of its rows; 0 where there is none.
    pub rows_guess: u64,
}

impl PublishedTable {
    /// Schema, table and column of all that is carried of it.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.columns.iter().map(|column| (&*self.schema, &*self.name, column.as_str()))
    }
}

/// Fails where one of the columns that are carried is to be left out.
pub fn check_excluded<'a>(
    settings: &Settings,
    carried: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
) -> Result<(), BeginError> {
    let exclude = &settings.selection.exclude;
    let columns: Vec<String> = carried
        .filter(|(schema, table, column)| exclude.matching(schema, table, column).is_some())
        .map(|(schema, table, column)| format!("{schema}.{table}.{column}"))
        .collect();
    if columns.is_empty() {
        return Ok(());
    }
    Err(BeginError::ExcludedCarried { publication: settings.publication.clone(), columns })
}

/// What `pg_publication_tables` says; the last two from 15 on.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(default)]
    attnames: Option<Vec<String>>,
    #[serde(default)]
    rowfilter: Option<String>,
}

const TABLES: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'p', pg_catalog.to_jsonb(p)::text,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
             ORDER BY a.attnum),
       greatest(c.reltuples, 0)::float8
FROM pg_catalog.pg_publication_tables p
JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
WHERE p.pubname = $1 AND n.nspname <> 'tailwater'
ORDER BY n.nspname, c.relname";

/// The tables of a publication, as of the client's snapshot; not the one that capture itself speaks by.
pub async fn published(
    client: &impl GenericClient,
    publication: &str,
) -> Result<Vec<PublishedTable>, SqlError> {
    let rows = answer(client.query(TABLES, &[&publication])).await?;
    let table = |row: &tokio_postgres::Row| {
        let listed: Listed =
            serde_json::from_str(row.get(4)).unwrap_or(Listed { attnames: None, rowfilter: None });
        let mut columns: Vec<String> = row.get(5);
        let is_listed =
            |column: &String| listed.attnames.as_ref().is_none_or(|l| l.contains(column));
        let unpublished = columns.extract_if(.., |column| !is_listed(column)).collect();
        PublishedTable {
            oid: row.get(0),
            schema: row.get(1),
            name: row.get(2),
            partitioned: row.get(3),
            columns,
            unpublished,
            row_filter: listed.rowfilter,
            rows_guess: row
                .get::<_, f64>(6)
                .clamp(0.0, 1e18)
                .round()
                .to_string()
                .parse()
                .unwrap_or(0),
        }
    };
    let mut tables: Vec<PublishedTable> = rows.iter().map(table).collect();
    // Until 14 a partition is listed twice where both it and its whole were added.
    tables.dedup_by_key(|table| table.oid);
    Ok(tables)
}
