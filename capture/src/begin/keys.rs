//! Published tables that lost their key: from that moment the application's updates and deletes on
//! them fail, because of the publication.

use super::tables::quoted;
use crate::source::{SqlError, SqlSession, answer};

/// So long other statements may have to wait behind ours for a table's lock; then it is left alone
/// until the next look.
const LOCK_TIMEOUT: &str = "500ms";

/// A published table without a usable replica identity, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LostKey {
    /// `schema.table`.
    pub table: String,
    /// It is REPLICA IDENTITY FULL now; otherwise why not.
    pub mended: Result<(), String>,
}

impl LostKey {
    /// For the log and the state.
    pub fn text(&self) -> String {
        let Self { table, mended } = self;
        match mended {
            Ok(()) => format!(
                "{table} has lost its key while it is published: set it to REPLICA IDENTITY FULL, or its updates and deletes \
                 would go on failing on the master. Once it has a key again: ALTER TABLE {table} REPLICA IDENTITY DEFAULT"
            ),
            Err(why) => format!(
                "{table} has lost its key while it is published: its updates and deletes fail on the master until it has one \
                 again (ALTER TABLE {table} ADD PRIMARY KEY …). Capture could not set it to REPLICA IDENTITY FULL: {why}"
            ),
        }
    }
}

/// A list of columns is there from 15 on, and null for a table without any; where it lacks one, FULL would not help.
const LOST: &str = "
SELECT n.nspname::text, c.relname::text,
       pg_catalog.jsonb_array_length(nullif(pg_catalog.to_jsonb(t) -> 'attnames', 'null')) < (
           SELECT count(*) FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
FROM pg_catalog.pg_publication p
JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname
JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE p.pubname = $1 AND (p.pubupdate OR p.pubdelete) AND c.relreplident <> 'f'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_index i
    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
      AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'd' THEN i.indisprimary ELSE false END)
ORDER BY 1, 2";

/// Lets all columns identify the rows of tables of our publication that lost their key.
pub async fn mend_lost_keys(sql: &SqlSession, publication: &str) -> Result<Vec<LostKey>, SqlError> {
    let rows = answer(sql.query(LOST, &[&publication])).await?;
    let mut lost = Vec::with_capacity(rows.len());
    for row in &rows {
        let (schema, name): (&str, &str) = (row.get(0), row.get(1));
        // One implicit transaction: where it fails, the setting goes with it.
        let statement = format!(
            "SET lock_timeout = '{LOCK_TIMEOUT}'; ALTER TABLE ONLY {} REPLICA IDENTITY FULL; RESET lock_timeout",
            quoted(schema, name)
        );
        if row.get::<_, Option<bool>>(2) == Some(true) {
            let mended = Err("it would not help, for columns of the table are left out".to_owned());
            lost.push(LostKey { table: format!("{schema}.{name}"), mended });
            continue;
        }
        let mended = match answer(sql.batch_execute(&statement)).await {
            Ok(()) => Ok(()),
            Err(SqlError::Refused { server, .. }) => Err(server.message),
            Err(error) => return Err(error),
        };
        lost.push(LostKey { table: format!("{schema}.{name}"), mended });
    }
    Ok(lost)
}
