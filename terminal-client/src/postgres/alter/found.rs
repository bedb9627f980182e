use tokio_postgres::{Client, Error, Row};
use wire::IdentityKind;

/// A table of the target, with all that a schema change can change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// `pg_class.relkind`.
    pub(super) kind: char,
    pub(super) columns: Vec<FoundColumn>,
    pub(super) constraints: Vec<FoundKey>,
    /// Those that no constraint made; their kind is `i`.
    pub(super) indexes: Vec<FoundKey>,
    /// Schema and name of the table whose partition it is.
    pub(super) parent: Option<(String, String)>,
}

/// A column of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FoundColumn {
    pub(super) name: String,
    pub(super) type_sql: String,
    pub(super) base_type: String,
    pub(super) not_null: bool,
    pub(super) default: Option<String>,
    pub(super) generated: Option<String>,
    pub(super) identity: Option<IdentityKind>,
    pub(super) collation: Option<String>,
    /// What is done to it comes with what is done to the table above.
    pub(super) inherited: bool,
}

/// A constraint or an index of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundKey {
    pub(super) name: String,
    pub(super) kind: char,
    pub(super) definition: String,
    pub(super) inherited: bool,
}

impl Found {
    /// The column of that name.
    pub(super) fn column(&self, name: &str) -> Option<&FoundColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

const TABLE: &str = "
SELECT c.oid, c.relkind::text, pn.nspname::text, p.relname::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = c.oid AND c.relispartition
LEFT JOIN pg_catalog.pg_class p ON p.oid = h.inhparent
LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE n.nspname = $1 AND c.relname = $2";

/// As capture reads the master's, so that the same definition has the same text.
const COLUMNS: &str = "
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), b.typname::text, a.attnotnull,
    pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> '', a.attidentity::text,
    CASE WHEN a.attcollation <> t.typcollation
         THEN pg_catalog.quote_ident(ln.nspname) || '.' || pg_catalog.quote_ident(l.collname) END,
    a.attinhcount > 0
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace
CROSS JOIN LATERAL (
    WITH RECURSIVE down AS (
        SELECT t.typname, t.typbasetype
        UNION ALL
        SELECT u.typname, u.typbasetype FROM down JOIN pg_catalog.pg_type u ON u.oid = down.typbasetype
    ) SELECT typname FROM down WHERE typbasetype = 0) b
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum";

const CONSTRAINTS: &str = "
SELECT o.conname::text, o.contype::text, pg_catalog.pg_get_constraintdef(o.oid),
    o.coninhcount > 0 OR o.conparentid <> 0
FROM pg_catalog.pg_constraint o
WHERE o.conrelid = $1 AND o.contype IN ('p', 'u', 'c', 'f', 'x') ORDER BY o.conname";

const INDEXES: &str = "
SELECT c.relname::text, 'i', pg_catalog.pg_get_indexdef(i.indexrelid),
    EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = $1
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o
                    WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x'))
ORDER BY c.relname";

/// The table of that name; none where there is nothing of that name.
pub(super) async fn find(
    client: &Client,
    schema: &str,
    name: &str,
) -> Result<Option<Found>, Error> {
    let Some(row) = client.query_opt(TABLE, &[&schema, &name]).await? else { return Ok(None) };
    let oid: u32 = row.try_get(0)?;
    let kind: String = row.try_get(1)?;
    let (above, parent): (Option<String>, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
    let columns = client.query(COLUMNS, &[&oid]).await?;
    let constraints = client.query(CONSTRAINTS, &[&oid]).await?;
    let indexes = client.query(INDEXES, &[&oid]).await?;
    Ok(Some(Found {
        kind: letter(&kind),
        columns: columns.iter().map(column).collect::<Result<_, _>>()?,
        constraints: constraints.iter().map(key).collect::<Result<_, _>>()?,
        indexes: indexes.iter().map(key).collect::<Result<_, _>>()?,
        parent: above.zip(parent),
    }))
}

fn column(row: &Row) -> Result<FoundColumn, Error> {
    let (expression, generated): (Option<String>, bool) = (row.try_get(4)?, row.try_get(5)?);
    let (generated, default) = if generated { (expression, None) } else { (None, expression) };
    Ok(FoundColumn {
        name: row.try_get(0)?,
        type_sql: row.try_get(1)?,
        base_type: row.try_get(2)?,
        not_null: row.try_get(3)?,
        default,
        generated,
        identity: match row.try_get::<_, &str>(6)? {
            "a" => Some(IdentityKind::Always),
            "d" => Some(IdentityKind::ByDefault),
            _ => None,
        },
        collation: row.try_get(7)?,
        inherited: row.try_get(8)?,
    })
}

fn key(row: &Row) -> Result<FoundKey, Error> {
    let kind: String = row.try_get(1)?;
    Ok(FoundKey {
        name: row.try_get(0)?,
        kind: letter(&kind),
        definition: row.try_get(2)?,
        inherited: row.try_get(3)?,
    })
}

fn letter(text: &str) -> char {
    text.chars().next().unwrap_or(' ')
}
