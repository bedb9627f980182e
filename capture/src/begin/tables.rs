use crate::source::{SqlError, SqlSession, answer};

/// A permanent table of the master, as far as its publication depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFacts {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// It holds no rows itself, its partitions do.
    pub partitioned: bool,
    /// The topmost table of its partition tree; its own OID where it is in none.
    pub root: u32,
    /// Whether updates and deletes find the row they mean.
    pub identity: Identity,
    /// The role may read it.
    pub readable: bool,
    /// The role may use its schema.
    pub reachable: bool,
    /// The role may alter it.
    pub owned: bool,
    /// Row level security hides rows of it from the role.
    pub filtered: bool,
    /// Its columns in order, generated ones left out.
    pub columns: Vec<String>,
    /// Those that its replica identity is made of: all of them where it is FULL.
    pub identity_columns: Vec<String>,
}

/// What identifies a row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A primary key, a unique index, or all columns.
    Usable,
    /// There is no primary key.
    NoKey,
    /// The primary key is deferrable, and so identifies nothing at the moment of the change.
    Deferrable,
    /// REPLICA IDENTITY NOTHING, or an index that is gone.
    Nothing,
}

impl Identity {
    /// Why a row cannot be found again.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::NoKey => "it has no primary key",
            Self::Deferrable => "its primary key is deferrable",
            Self::Nothing => "its replica identity is nothing, or an index that is gone",
        }
    }
}

impl TableFacts {
    /// `"schema"."name"`.
    pub fn quoted(&self) -> String {
        quoted(&self.schema, &self.name)
    }
}

/// `"schema"."name"`.
pub fn quoted(schema: &str, name: &str) -> String {
    let quote = postgres_protocol::escape::escape_identifier;
    format!("{}.{}", quote(schema), quote(name))
}

/// The schema of a terminal, which the database may be too, tells only where that terminal stands. Extensions'
/// own tables are made by the extension at a terminal too. Partitions are found by their tree;
/// `pg_partition_root` is NULL for a table outside any.
const TABLES: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'p',
       coalesce(pg_catalog.pg_partition_root(c.oid)::oid, c.oid),
       c.relreplident::text,
       EXISTS (SELECT FROM pg_catalog.pg_index i
               WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
                 AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END),
       EXISTS (SELECT FROM pg_catalog.pg_index i
               WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate),
       pg_catalog.has_table_privilege(c.oid, 'SELECT'),
       pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
       pg_catalog.pg_has_role(c.relowner, 'USAGE'),
       pg_catalog.row_security_active(c.oid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
             ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND (c.relreplident = 'f' OR EXISTS (
                 SELECT FROM pg_catalog.pg_index i
                 WHERE i.indrelid = c.oid AND a.attnum = ANY(i.indkey[0:i.indnkeyatts - 1])
                   AND CASE c.relreplident WHEN 'i' THEN i.indisreplident
                                           WHEN 'd' THEN i.indisprimary ELSE false END))
             ORDER BY a.attnum)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tailwater') AND n.nspname NOT LIKE 'pg\\_%'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname";

/// All permanent tables of users.
pub async fn tables(sql: &SqlSession) -> Result<Vec<TableFacts>, SqlError> {
    let rows = answer(sql.query(TABLES, &[])).await?;
    let facts = rows.iter().map(|row| {
        let (letter, found, deferrable): (&str, bool, bool) = (row.get(5), row.get(6), row.get(7));
        let identity = match letter {
            "f" => Identity::Usable,
            "d" | "i" if found => Identity::Usable,
            "d" if deferrable => Identity::Deferrable,
            "d" => Identity::NoKey,
            _ => Identity::Nothing,
        };
        TableFacts {
            oid: row.get(0),
            schema: row.get(1),
            name: row.get(2),
            partitioned: row.get(3),
            root: row.get(4),
            identity,
            readable: row.get(8),
            reachable: row.get(9),
            owned: row.get(10),
            filtered: row.get(11),
            columns: row.get(12),
            identity_columns: row.get(13),
        }
    });
    Ok(facts.collect())
}
