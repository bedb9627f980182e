use tokio_postgres::{Client, Error};

/// A table of the target as its catalogue has it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    /// `pg_class.relkind`: `r` table, `p` partitioned, others are no tables to write to.
    pub(super) kind: char,
    pub(super) columns: Vec<Column>,
    /// Names of the primary key's columns; empty where there is none, or where it is deferrable: rows may
    /// share it within a transaction.
    pub(super) primary_key: Vec<String>,
    /// Names of the columns of each index that lets no two rows be alike in them, at any moment.
    pub(super) unique: Vec<Vec<String>>,
    /// Whether each change has to come by itself in this session: triggers or rules act on each row, foreign keys
    /// among them, or COPY would be refused.
    pub(super) one_by_one: bool,
}

/// A column of it.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) type_sql: String,
    /// The type below all domains, as in `pg_type.typname`.
    pub(super) base_type: String,
    /// The type with its schema, quoted, without modifiers.
    pub(super) type_name: String,
    /// As in `pg_type.typname`, where it is a base type of PostgreSQL's own.
    pub(super) own_type: Option<String>,
    /// Its array type; none where an array of its values would not come apart into just them.
    pub(super) array: Option<Array>,
    pub(super) generated: bool,
    /// An insert must give it: NOT NULL, and nothing stands in.
    pub(super) needed: bool,
    pub(super) identity_always: bool,
    /// `=` of the type's default btree operator class, where it is not one of the built-in ones:
    /// with an empty search path an extension's operator must be named.
    pub(super) equals: Option<String>,
}

/// The array type of a column's type.
#[derive(Clone, Debug)]
pub(super) struct Array {
    /// With its schema, quoted.
    pub(super) type_name: String,
    /// Between two elements: a comma, or `;` for boxes.
    pub(super) delimiter: u8,
}

const TABLE: &str = "
SELECT c.oid, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2";

const COLUMNS: &str = "
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), b.typname::text,
    a.attgenerated <> '', a.attidentity = 'a',
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
    (SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
     FROM pg_opclass c
     JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 3
         AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
     JOIN pg_operator o ON o.oid = m.amopopr
     JOIN pg_namespace n ON n.oid = o.oprnamespace
     WHERE c.opcmethod = 403 AND c.opcdefault AND c.opcintype = b.oid AND n.nspname <> 'pg_catalog'
     LIMIT 1),
    format('%I.%I', tn.nspname, t.typname),
    (SELECT format('%I.%I', n.nspname, y.typname) FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace
     WHERE y.oid = t.typarray AND b.typtype <> 'c' AND NOT (b.typelem <> 0 AND b.typlen = -1)),
    t.typdelim::text,
    CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' THEN t.typname::text END
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_namespace tn ON tn.oid = t.typnamespace
CROSS JOIN LATERAL (
    WITH RECURSIVE down AS (
        SELECT t.oid, t.typbasetype FROM pg_type t WHERE t.oid = a.atttypid
        UNION ALL
        SELECT t.oid, t.typbasetype FROM down JOIN pg_type t ON t.oid = down.typbasetype
    ) SELECT t.* FROM down JOIN pg_type t ON t.oid = down.oid WHERE down.typbasetype = 0) b
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum";

const PRIMARY_KEY: &str = "
SELECT a.attname::text FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = $1 AND i.indisprimary AND i.indisvalid AND i.indimmediate";

const UNIQUE: &str = "
SELECT array_agg(a.attname::text) FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid";

/// Triggers of a partition act where rows are written by way of the whole. The guard lets us pass.
const ONE_BY_ONE: &str = "
SELECT EXISTS (SELECT FROM pg_trigger WHERE tgenabled::text = ANY (by)
        AND tgfoid IS DISTINCT FROM to_regprocedure('tailwater.refuse_write()')
        AND tgrelid IN (SELECT $1::oid UNION SELECT relid FROM pg_partition_tree($1::oid)))
    OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = $1 AND ev_enabled::text = ANY (by))
    OR NOT has_table_privilege($1::oid, 'INSERT') OR row_security_active($1::oid)
FROM (SELECT ARRAY['A', CASE current_setting('session_replication_role') WHEN 'replica' THEN 'R' ELSE 'O' END] AS by) x";

/// The table of that name; none where there is nothing of that name.
pub(super) async fn table(
    client: &Client,
    schema: &str,
    name: &str,
) -> Result<Option<Table>, Error> {
    let Some(row) = client.query_opt(TABLE, &[&schema, &name]).await? else { return Ok(None) };
    let oid: u32 = row.try_get(0)?;
    let kind: String = row.try_get(1)?;
    let mut columns = Vec::new();
    for row in client.query(COLUMNS, &[&oid]).await? {
        columns.push(Column {
            name: row.try_get(0)?,
            type_sql: row.try_get(1)?,
            base_type: row.try_get(2)?,
            generated: row.try_get(3)?,
            identity_always: row.try_get(4)?,
            needed: row.try_get(5)?,
            equals: row.try_get(6)?,
            type_name: row.try_get(7)?,
            array: array(&row)?,
            own_type: row.try_get(10)?,
        });
    }
    let mut primary_key = Vec::new();
    for row in client.query(PRIMARY_KEY, &[&oid]).await? {
        primary_key.push(row.try_get(0)?);
    }
    let mut unique = Vec::new();
    for row in client.query(UNIQUE, &[&oid]).await? {
        unique.push(row.try_get(0)?);
    }
    let one_by_one = client.query_one(ONE_BY_ONE, &[&oid]).await?.try_get(0)?;
    Ok(Some(Table {
        one_by_one,
        unique,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: kind.chars().next().unwrap_or(' '),
        columns,
        primary_key,
    }))
}

fn array(row: &tokio_postgres::Row) -> Result<Option<Array>, Error> {
    let Some(type_name) = row.try_get(8)? else { return Ok(None) };
    let delimiter: &str = row.try_get(9)?;
    Ok(Some(Array { type_name, delimiter: delimiter.bytes().next().unwrap_or(b',') }))
}

impl Table {
    /// The column of that name.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether rows can be written to it.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.kind, 'r' | 'p')
    }
}
