//! Columns, keys, constraints, indexes and partitions of tables, as the catalogue has them.

use std::collections::{HashMap, HashSet};

use tokio_postgres::{Error, Row, Transaction};
use wire::{
    ColumnDefinition, ConstraintDefinition, IdentityKind, IndexDefinition, PartitionOf,
    TableDefinition,
};

use super::user_types::UsedTypes;
use crate::begin::PublishedTable;

/// The tables and, where they are partitions, those above them: a partitioned table before its partitions.
pub(super) async fn with_ancestors(
    transaction: &Transaction<'_>,
    tables: &[u32],
) -> Result<Vec<u32>, Error> {
    let query = "
        SELECT a.oid FROM (
            SELECT DISTINCT coalesce(above.relid::oid, t.oid) AS oid
            FROM pg_catalog.unnest($1::oid[]) t(oid)
            LEFT JOIN LATERAL pg_catalog.pg_partition_ancestors(t.oid) above ON true) a
        JOIN pg_catalog.pg_class c ON c.oid = a.oid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        ORDER BY (SELECT count(*) FROM pg_catalog.pg_partition_ancestors(a.oid)), n.nspname, c.relname";
    Ok(transaction.query(query, &[&tables]).await?.iter().map(|row| row.get(0)).collect())
}

/// Columns that a publication leaves out, by table and name. What is defined by their help is left out
/// too: the terminals could not make it.
struct Omitted<'a>(HashSet<(u32, &'a str)>);

impl<'a> Omitted<'a> {
    fn of(published: &'a [PublishedTable]) -> Self {
        let columns = |table: &'a PublishedTable| {
            table.unpublished.iter().map(|column| (table.oid, column.as_str()))
        };
        Self(published.iter().flat_map(columns).collect())
    }

    fn has(&self, table: u32, column: &str) -> bool {
        self.0.contains(&(table, column))
    }

    /// Whether one of the columns that the row names from place `at` on, tables first, is left out.
    fn concern(&self, row: &Row, at: usize) -> bool {
        let (tables, columns): (Vec<u32>, Vec<&str>) = (row.get(at), row.get(at + 1));
        tables.into_iter().zip(columns).any(|(table, column)| self.has(table, column))
    }
}

/// Definitions of the tables, in the order given. One that is published as a whole (`publish_via_partition_root`)
/// has no partitions at the terminals, so it is none there that needs any.
pub(super) async fn definitions(
    transaction: &Transaction<'_>,
    tables: &[u32],
    types: &UsedTypes,
    published: &[PublishedTable],
) -> Result<Vec<TableDefinition>, Error> {
    let omitted = Omitted::of(published);
    let wholes: HashSet<u32> =
        published.iter().filter(|table| table.partitioned).map(|table| table.oid).collect();
    let columns = |row: &Row| {
        let stays = !omitted.has(row.get(0), row.get(1)) && !omitted.concern(row, 10);
        stays.then(|| column(row, types))
    };
    let constraints = |row: &Row| (!omitted.concern(row, 5)).then(|| constraint(row));
    let indexes = |row: &Row| (!omitted.concern(row, 5)).then(|| index(row));
    let mut columns = grouped(transaction, COLUMNS, tables, columns).await?;
    let mut constraints = grouped(transaction, CONSTRAINTS, tables, constraints).await?;
    let mut indexes = grouped(transaction, INDEXES, tables, indexes).await?;
    let rows = transaction.query(TABLES, &[&tables]).await?;
    let by_oid: HashMap<u32, &Row> = rows.iter().map(|row| (row.get(0), row)).collect();
    let define = |oid: &u32| {
        let row = by_oid.get(oid)?;
        let letter: String = row.get(3);
        let bound: Option<String> = row.get(9);
        let primary_key: Vec<String> = row.get(4);
        let has_key = !primary_key.iter().any(|column| omitted.has(*oid, column));
        Some(TableDefinition {
            oid: *oid,
            schema: row.get(1),
            name: row.get(2),
            replica_identity: letter.chars().next().unwrap_or('d'),
            columns: columns.remove(oid).unwrap_or_default(),
            primary_key: if has_key { primary_key } else { Vec::new() },
            identity_columns: row.get(5),
            constraints: constraints.remove(oid).unwrap_or_default(),
            indexes: indexes.remove(oid).unwrap_or_default(),
            partition_by: row.get::<_, Option<String>>(6).filter(|_| !wholes.contains(oid)),
            partition_of: bound.map(|bound| PartitionOf {
                schema: row.get(7),
                name: row.get(8),
                bound,
            }),
        })
    };
    Ok(tables.iter().filter_map(define).collect())
}

async fn grouped<T>(
    transaction: &Transaction<'_>,
    query: &str,
    tables: &[u32],
    read: impl Fn(&Row) -> Option<T>,
) -> Result<HashMap<u32, Vec<T>>, Error> {
    let mut groups: HashMap<u32, Vec<T>> = HashMap::new();
    for row in transaction.query(query, &[&tables]).await? {
        groups.entry(row.get(0)).or_default().extend(read(&row));
    }
    Ok(groups)
}

/// Key columns in the key's order, not the table's.
pub(crate) const TABLES: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relreplident::text,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_index i,
                 pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(attnum, at)
                 JOIN pg_catalog.pg_attribute a ON a.attnum = k.attnum
             WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid ORDER BY k.at),
       CASE c.relreplident
         WHEN 'f' THEN ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum)
         WHEN 'n' THEN '{}'::text[]
         ELSE ARRAY(SELECT a.attname::text FROM pg_catalog.pg_index i,
                 pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(attnum, at)
                 JOIN pg_catalog.pg_attribute a ON a.attnum = k.attnum
             WHERE i.indrelid = c.oid AND i.indimmediate AND a.attrelid = c.oid
               AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END ORDER BY k.at)
       END,
       CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END,
       pn.nspname::text, p.relname::text,
       CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = c.oid AND c.relispartition
LEFT JOIN pg_catalog.pg_class p ON p.oid = h.inhparent
LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE c.oid = ANY($1)";

/// The columns that an object is defined by, as the arrays `tables` and `columns` of `u`.
macro_rules! depends_on {
    ($catalog:literal, $object:literal) => {
        concat!(
            "CROSS JOIN LATERAL (
                SELECT coalesce(array_agg(p.refobjid), '{}') AS tables,
                       coalesce(array_agg(r.attname::text), '{}') AS columns
                FROM pg_catalog.pg_depend p
                JOIN pg_catalog.pg_attribute r ON r.attrelid = p.refobjid AND r.attnum = p.refobjsubid
                WHERE p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjsubid > 0
                  AND p.classid = '", $catalog, "'::regclass AND p.objid = ", $object, ") u"
        )
    };
}

pub(crate) const COLUMNS: &str = concat!(
    "
SELECT a.attrelid, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, a.atttypmod,
       a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text, a.attidentity::text,
       CASE WHEN a.attcollation <> t.typcollation
            THEN pg_catalog.quote_ident(ln.nspname) || '.' || pg_catalog.quote_ident(l.collname) END,
       u.tables, u.columns, a.attnum, (a.attmissingval::text::text[])[1]
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace
", depends_on!("pg_catalog.pg_attrdef", "d.oid"), "
WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum"
);

fn column(row: &Row, types: &UsedTypes) -> ColumnDefinition {
    let (base_type, base_modifier) = types.base(row.get(3), row.get(4));
    let (expression, generated): (Option<String>, &str) = (row.get(6), row.get(7));
    let (default, generated) =
        if generated.is_empty() { (expression, None) } else { (None, expression) };
    ColumnDefinition {
        number: row.get(12),
        name: row.get(1),
        type_sql: row.get(2),
        base_type,
        base_modifier,
        not_null: row.get(5),
        default,
        generated,
        identity: match row.get::<_, &str>(8) {
            "a" => Some(IdentityKind::Always),
            "d" => Some(IdentityKind::ByDefault),
            _ => None,
        },
        collation: row.get(9),
        missing: row.get(13),
    }
}

/// A foreign key of a partition, or to one, that PostgreSQL made from that of the whole comes with it.
pub(crate) const CONSTRAINTS: &str = concat!(
    "
SELECT o.conrelid, o.conname::text, o.contype::text, pg_catalog.pg_get_constraintdef(o.oid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(o.conkey) WITH ORDINALITY k(attnum, at)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.attnum ORDER BY k.at),
       u.tables, u.columns
FROM pg_catalog.pg_constraint o
", depends_on!("pg_catalog.pg_constraint", "o.oid"), "
WHERE o.conrelid = ANY($1) AND o.contype IN ('p', 'u', 'c', 'f', 'x')
  AND NOT (o.contype = 'f' AND o.conparentid <> 0)
ORDER BY o.conrelid, pg_catalog.strpos('pucxf', o.contype::text), o.conname"
);

fn constraint(row: &Row) -> ConstraintDefinition {
    let kind: &str = row.get(2);
    ConstraintDefinition {
        name: row.get(1),
        kind: kind.chars().next().unwrap_or('c'),
        definition: row.get(3),
        columns: row.get(4),
    }
}

pub(crate) const INDEXES: &str = concat!(
    "
SELECT i.indrelid, c.relname::text, pg_catalog.pg_get_indexdef(i.indexrelid), i.indisunique,
       CASE WHEN i.indexprs IS NULL AND i.indpred IS NULL THEN
           ARRAY(SELECT a.attname::text
                 FROM pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(attnum, at)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.at)
       ELSE '{}'::text[] END,
       u.tables, u.columns
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
", depends_on!("pg_catalog.pg_class", "i.indexrelid"), "
WHERE i.indrelid = ANY($1) AND i.indisvalid
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o
                  WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x'))
ORDER BY i.indrelid, c.relname"
);

fn index(row: &Row) -> IndexDefinition {
    IndexDefinition {
        name: row.get(1),
        definition: row.get(2),
        unique: row.get(3),
        columns: row.get(4),
    }
}
