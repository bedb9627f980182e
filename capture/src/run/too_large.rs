use std::{fmt, time::Duration};

use tokio_postgres::Row;
use wire::Lsn;

use crate::{
    begin::{published, quoted},
    explain,
    settings::Settings,
    source::{SqlError, SqlSession, answer_within},
};

/// Rows above this are worth a look: several values of one row add up, and with REPLICA IDENTITY FULL
/// an update is sent with the row it was.
const WORTH_A_LOOK: i64 = 1 << 28;
/// So many of them are named.
const NAMED: usize = 5;
/// So long the master may take to find them.
const SEARCH_WITHIN: Duration = Duration::from_secs(120);
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '60s'";

/// A value that the master cannot send, for its text would be longer than the 1 GiB that a server can
/// hold in one piece.
#[derive(Debug)]
pub struct TooLarge {
    /// The change's position, where it was the stream that met it.
    at: Option<Lsn>,
    /// The largest rows there are, or why they were not found.
    rows: Result<Vec<LargeRow>, String>,
}

#[derive(Debug)]
struct LargeRow {
    table: String,
    /// Key columns and their values as text; `ctid` where there is no key.
    key: String,
    bytes: i64,
}

impl TooLarge {
    /// Looks for the rows.
    pub(super) async fn find(settings: &Settings, at: Option<Lsn>) -> Self {
        let rows = match tokio::time::timeout(SEARCH_WITHIN, largest(settings)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(explain::chain(&error)),
            Err(_) => Err(format!("not found within {} s", SEARCH_WITHIN.as_secs())),
        };
        Self { at, rows }
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "the change at {at} holds")?,
            None => write!(f, "a row holds")?,
        }
        write!(f, " a value that the master cannot send: as text it is longer than 1 GiB. ")?;
        match &self.rows {
            Err(why) => write!(f, "The row could not be looked for ({why})")?,
            Ok(rows) if rows.is_empty() => {
                write!(f, "No row is so large any more: it was changed or deleted since")?;
            }
            Ok(rows) => {
                write!(f, "The largest rows by now:")?;
                for (index, LargeRow { table, key, bytes }) in rows.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma} {table} {key} with {} MB", bytes / 1_000_000)?;
                }
            }
        }
        write!(
            f,
            ". What to do: make such values smaller (a bytea takes twice its bytes), delete the rows, or leave the column out \
             (--exclude); then "
        )?;
        match self.at {
            Some(_) => write!(
                f,
                "begin anew behind the change, which stays in the WAL: `tailwater-capture adopt`; every terminal loads the copy \
                 by itself"
            ),
            None => write!(f, "start capture again"),
        }
    }
}

/// A table's size in text as far as the row itself tells it, without reading what is stored out of line:
/// exact for bytea and texts.
const TABLE: &str = "
SELECT coalesce(
         (SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.place)
          FROM pg_catalog.pg_index i
          CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          WHERE i.indrelid = c.oid AND i.indisprimary), ARRAY['ctid']),
       (SELECT pg_catalog.string_agg(pg_catalog.format(
                 CASE coalesce(nullif(t.typbasetype, 0), t.oid)::pg_catalog.regtype
                 WHEN 'bytea'::pg_catalog.regtype THEN 'coalesce(2 * pg_catalog.octet_length(%I)::int8, 0)'
                 WHEN 'text'::pg_catalog.regtype THEN 'coalesce(pg_catalog.octet_length(%I)::int8, 0)'
                 WHEN 'varchar'::pg_catalog.regtype THEN 'coalesce(pg_catalog.octet_length(%I)::int8, 0)'
                 ELSE 'coalesce(pg_catalog.pg_column_size(%I)::int8, 0)' END, a.attname), ' + ')
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attname = ANY ($2) AND t.typlen = -1)
FROM pg_catalog.pg_class c WHERE c.oid = $1";

async fn largest(settings: &Settings) -> Result<Vec<LargeRow>, SqlError> {
    let sql = settings.source.connect_sql().await?;
    answer_within(SEARCH_WITHIN, sql.batch_execute(STATEMENT_TIMEOUT)).await?;
    let mut found = Vec::new();
    for table in published(&*sql, &settings.publication).await? {
        let name = quoted(&table.schema, &table.name);
        let Some(shape) =
            answer_within(SEARCH_WITHIN, sql.query_opt(TABLE, &[&table.oid, &table.columns]))
                .await?
        else {
            continue;
        };
        let Some(size) = shape.get::<_, Option<String>>(1) else { continue };
        found.extend(largest_of(&sql, &name, &shape.get::<_, Vec<String>>(0), &size).await?);
        found.sort_by_key(|row| -row.bytes);
        found.truncate(NAMED);
    }
    Ok(found)
}

async fn largest_of(
    sql: &SqlSession,
    table: &str,
    key: &[String],
    size: &str,
) -> Result<Vec<LargeRow>, SqlError> {
    let quote = postgres_protocol::escape::escape_identifier;
    let columns: Vec<String> = key.iter().map(|column| quote(column)).collect();
    let values: Vec<String> = columns
        .iter()
        .map(|column| format!("pg_catalog.left(pg_catalog.format('%L', {column}), 200)"))
        .collect();
    let query = format!(
        "SELECT pg_catalog.concat_ws(', ', {}), {size} FROM {table} WHERE {size} >= {WORTH_A_LOOK}
         ORDER BY 2 DESC LIMIT {NAMED}",
        values.join(", "),
    );
    let rows = answer_within(SEARCH_WITHIN, sql.query(&query, &[])).await?;
    let row = |row: &Row| LargeRow {
        table: table.to_owned(),
        key: format!("({}) = ({})", columns.join(", "), row.get::<_, String>(0)),
        bytes: row.get(1),
    };
    Ok(rows.iter().map(row).collect())
}
