//! The sequences that tables take values from.

use tokio_postgres::{Error, GenericClient, Row};
use wire::{Sequence, SequenceBond, SequenceType};

/// Identity columns and serials depend the one way (the sequence on its column), defaults the other
/// (the default on the sequence). A value is only asked for where it may be read.
pub(crate) const SEQUENCES: &str = "
WITH bound(sequence, relation, attribute, rank) AS (
    SELECT d.objid, d.refobjid, d.refobjsubid, CASE d.deptype WHEN 'i' THEN 0 ELSE 1 END
    FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
      AND d.objsubid = 0 AND d.refobjsubid > 0 AND d.deptype IN ('i', 'a') AND d.refobjid = ANY($1)
  UNION ALL
    SELECT d.refobjid, f.adrelid, f.adnum, 2
    FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND f.adrelid = ANY($1)
)
SELECT DISTINCT ON (n.nspname, c.relname) n.nspname::text, c.relname::text, tn.nspname::text, t.relname::text, a.attname::text, b.rank,
       s.seqtypid::regtype::text, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
       CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE') THEN pg_catalog.pg_sequence_last_value(c.oid) END
FROM bound b
JOIN pg_catalog.pg_sequence s ON s.seqrelid = b.sequence
JOIN pg_catalog.pg_class c ON c.oid = b.sequence JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = b.relation JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = b.attribute
WHERE c.relkind = 'S' AND c.relpersistence = 'p'
ORDER BY n.nspname, c.relname, b.rank, t.oid, a.attnum";

/// Those of the tables named by OID, by schema and name.
pub async fn sequences(
    client: &impl GenericClient,
    tables: &[u32],
) -> Result<Vec<Sequence>, Error> {
    Ok(client.query(SEQUENCES, &[&tables]).await?.iter().map(sequence).collect())
}

fn sequence(row: &Row) -> Sequence {
    Sequence {
        schema: row.get(0),
        name: row.get(1),
        column: (row.get(2), row.get(3), row.get(4)),
        bond: match row.get::<_, i32>(5) {
            0 => SequenceBond::Identity,
            1 => SequenceBond::Owned,
            _ => SequenceBond::Used,
        },
        values: match row.get::<_, &str>(6) {
            "smallint" => SequenceType::Smallint,
            "integer" => SequenceType::Integer,
            _ => SequenceType::Bigint,
        },
        start: row.get(7),
        increment: row.get(8),
        least: row.get(9),
        greatest: row.get(10),
        cache: row.get(11),
        cycle: row.get(12),
        last: row.get(13),
    }
}
