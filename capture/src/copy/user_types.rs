//! The types that a set of tables uses, and how the user's own are defined.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio_postgres::{Error, Transaction};
use wire::{TypeDefinition, TypeKind};

/// A type of the catalogue.
#[derive(Debug, Clone)]
struct CatalogType {
    schema: String,
    name: String,
    letter: String,
    element: u32,
    base: u32,
    modifier: i32,
    relation: u32,
    not_null: bool,
    default: Option<String>,
    base_sql: String,
    /// Extensions bring theirs themselves.
    extension: Option<String>,
    /// A row type that was made as a type, not by a table.
    standalone: bool,
}

/// All types that the tables use, those inside others too.
#[derive(Debug, Default)]
pub(super) struct UsedTypes {
    by_oid: BTreeMap<u32, CatalogType>,
}

/// `to_jsonb` because 13 has no multiranges.
pub(crate) const USED_TYPES: &str = "
WITH RECURSIVE used(oid) AS (
    SELECT DISTINCT atttypid FROM pg_catalog.pg_attribute
    WHERE attrelid = ANY($1) AND attnum > 0 AND NOT attisdropped
  UNION
    SELECT inner_type.oid FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid CROSS JOIN LATERAL (
        SELECT t.typelem WHERE t.typelem <> 0 AND t.typcategory = 'A'
      UNION ALL
        SELECT t.typbasetype WHERE t.typbasetype <> 0
      UNION ALL
        SELECT a.atttypid FROM pg_catalog.pg_attribute a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL
        SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
      UNION ALL
        SELECT r.rngtypid FROM pg_catalog.pg_range r
        WHERE t.typtype = 'm' AND (pg_catalog.to_jsonb(r) ->> 'rngmultitypid') = t.oid::text
    ) inner_type(oid)
)
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text,
       CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, t.typbasetype, t.typtypmod, t.typrelid,
       t.typnotnull, t.typdefault, pg_catalog.format_type(t.typbasetype, t.typtypmod),
       (SELECT e.extname::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'),
       coalesce((SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid), false)
FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace";

impl UsedTypes {
    pub(super) async fn read(transaction: &Transaction<'_>, tables: &[u32]) -> Result<Self, Error> {
        let rows = transaction.query(USED_TYPES, &[&tables]).await?;
        let entry = |row: &tokio_postgres::Row| {
            let of = CatalogType {
                schema: row.get(1),
                name: row.get(2),
                letter: row.get(3),
                element: row.get(4),
                base: row.get(5),
                modifier: row.get(6),
                relation: row.get(7),
                not_null: row.get(8),
                default: row.get(9),
                base_sql: row.get(10),
                extension: row.get(11),
                standalone: row.get(12),
            };
            (row.get(0), of)
        };
        Ok(Self { by_oid: rows.iter().map(entry).collect() })
    }

    /// Name and modifier of the type below all domains.
    pub(super) fn base(&self, oid: u32, modifier: i32) -> (String, i32) {
        let (mut oid, mut modifier) = (oid, modifier);
        // A domain over a domain ends somewhere: the catalogue has no cycle.
        while let Some(of) = self.by_oid.get(&oid) {
            if of.base == 0 {
                return (of.name.clone(), modifier);
            }
            (oid, modifier) = (of.base, of.modifier);
        }
        (oid.to_string(), modifier)
    }

    /// All their OIDs.
    pub(super) fn oids(&self) -> Vec<u32> {
        self.by_oid.keys().copied().collect()
    }

    /// Definitions of the user's types, each after those it uses.
    pub(super) async fn definitions(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<TypeDefinition>, Error> {
        let details = Details::read(transaction, self).await?;
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for oid in self.by_oid.keys() {
            self.visit(*oid, &details, &mut seen, &mut order);
        }
        let define = |oid| {
            let of = self.by_oid.get(&oid)?;
            let kind = details.kind(oid, of)?;
            Some(TypeDefinition { oid, schema: of.schema.clone(), name: of.name.clone(), kind })
        };
        Ok(order.into_iter().filter_map(define).collect())
    }

    fn visit(&self, oid: u32, details: &Details, seen: &mut BTreeSet<u32>, order: &mut Vec<u32>) {
        let Some(of) = self.by_oid.get(&oid).filter(|_| seen.insert(oid)) else { return };
        for used in [of.element, of.base].into_iter().chain(details.uses(oid, of)) {
            self.visit(used, details, seen, order);
        }
        order.push(oid);
    }
}

/// What the kinds of types have beside their entry in `pg_type`.
#[derive(Debug, Default)]
struct Details {
    labels: HashMap<u32, Vec<String>>,
    checks: HashMap<u32, Vec<String>>,
    fields: HashMap<u32, Vec<(String, String, u32)>>,
    subtypes: HashMap<u32, (String, u32)>,
}

impl Details {
    async fn read(transaction: &Transaction<'_>, types: &UsedTypes) -> Result<Self, Error> {
        let oids = types.oids();
        let mut details = Self::default();
        let labels = "
            SELECT enumtypid, enumlabel::text FROM pg_catalog.pg_enum
            WHERE enumtypid = ANY($1) ORDER BY enumtypid, enumsortorder";
        for row in transaction.query(labels, &[&oids]).await? {
            details.labels.entry(row.get(0)).or_default().push(row.get(1));
        }
        let checks = "
            SELECT contypid, pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
            WHERE contypid = ANY($1) AND contype = 'c' ORDER BY contypid, conname";
        for row in transaction.query(checks, &[&oids]).await? {
            details.checks.entry(row.get(0)).or_default().push(row.get(1));
        }
        let relations: Vec<u32> = types.by_oid.values().map(|of| of.relation).collect();
        let fields = "
            SELECT attrelid, attname::text, pg_catalog.format_type(atttypid, atttypmod), atttypid
            FROM pg_catalog.pg_attribute
            WHERE attrelid = ANY($1) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum";
        for row in transaction.query(fields, &[&relations]).await? {
            let field = (row.get(1), row.get(2), row.get(3));
            details.fields.entry(row.get(0)).or_default().push(field);
        }
        let ranges = "
            SELECT rngtypid, pg_catalog.format_type(rngsubtype, -1), rngsubtype
            FROM pg_catalog.pg_range WHERE rngtypid = ANY($1)";
        for row in transaction.query(ranges, &[&oids]).await? {
            details.subtypes.insert(row.get(0), (row.get(1), row.get(2)));
        }
        Ok(details)
    }

    fn uses(&self, oid: u32, of: &CatalogType) -> Vec<u32> {
        let fields = self.fields.get(&of.relation).into_iter().flatten().map(|field| field.2);
        fields.chain(self.subtypes.get(&oid).map(|subtype| subtype.1)).collect()
    }

    /// The definition; none for what is built in, comes with an extension, or with another type.
    fn kind(&self, oid: u32, of: &CatalogType) -> Option<TypeKind> {
        if of.extension.is_some()
            || matches!(of.schema.as_str(), "pg_catalog" | "information_schema")
        {
            return None;
        }
        match of.letter.as_str() {
            "e" => {
                Some(TypeKind::Enum { labels: self.labels.get(&oid).cloned().unwrap_or_default() })
            }
            "d" => Some(TypeKind::Domain {
                base: of.base_sql.clone(),
                not_null: of.not_null,
                default: of.default.clone(),
                checks: self.checks.get(&oid).cloned().unwrap_or_default(),
            }),
            "c" if of.standalone => {
                let fields = self.fields.get(&of.relation).into_iter().flatten();
                Some(TypeKind::Composite {
                    fields: fields.map(|(name, sql, _)| (name.clone(), sql.clone())).collect(),
                })
            }
            "r" => Some(TypeKind::Range { subtype: self.subtypes.get(&oid)?.0.clone() }),
            _ => None,
        }
    }
}
