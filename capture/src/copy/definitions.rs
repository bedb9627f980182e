use std::collections::BTreeSet;

use tokio_postgres::{Error, Transaction};
use wire::{Definitions, ExtensionDefinition};

use super::{sequences::sequences, tables, user_types::UsedTypes};
use crate::begin::PublishedTable;

/// All that is needed to create the tables as they are published, as of the transaction's snapshot.
pub async fn read(
    transaction: &Transaction<'_>,
    published: &[PublishedTable],
) -> Result<Definitions, Error> {
    let tables: Vec<u32> = published.iter().map(|table| table.oid).collect();
    let oids = tables::with_ancestors(transaction, &tables).await?;
    let used = UsedTypes::read(transaction, &oids).await?;
    let types = used.definitions(transaction).await?;
    let tables = tables::definitions(transaction, &oids, &used, published).await?;
    let of_tables = tables.iter().map(|table| &table.schema);
    let schemas: BTreeSet<String> =
        of_tables.chain(types.iter().map(|of| &of.schema)).cloned().collect();
    let extensions = extensions(transaction, &oids, &used.oids()).await?;
    let sequences = sequences(transaction, &oids).await?;
    let schemas = schemas.into_iter().collect();
    Ok(Definitions { extensions, schemas, types, tables, sequences })
}

/// Takes the tables and the types that they use.
pub(crate) const EXTENSIONS: &str = "
WITH object(classid, objid) AS (
    SELECT 'pg_catalog.pg_class'::regclass, t FROM pg_catalog.unnest($1::oid[]) t
  UNION SELECT 'pg_catalog.pg_class'::regclass, indexrelid FROM pg_catalog.pg_index WHERE indrelid = ANY($1)
  UNION SELECT 'pg_catalog.pg_attrdef'::regclass, oid FROM pg_catalog.pg_attrdef WHERE adrelid = ANY($1)
  UNION SELECT 'pg_catalog.pg_constraint'::regclass, oid FROM pg_catalog.pg_constraint WHERE conrelid = ANY($1)
  UNION SELECT 'pg_catalog.pg_type'::regclass, t FROM pg_catalog.unnest($2::oid[]) t
), depended(classid, objid) AS (
    SELECT classid::oid, objid FROM object
  UNION
    SELECT d.refclassid, d.refobjid FROM object o
    JOIN pg_catalog.pg_depend d ON d.classid = o.classid::oid AND d.objid = o.objid
)
SELECT DISTINCT e.extname::text, n.nspname::text FROM depended o
JOIN pg_catalog.pg_depend d ON d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e'
JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
ORDER BY 1";

/// Extensions on which the tables, their defaults, constraints, indexes or types depend.
async fn extensions(
    transaction: &Transaction<'_>,
    tables: &[u32],
    types: &[u32],
) -> Result<Vec<ExtensionDefinition>, Error> {
    let rows = transaction.query(EXTENSIONS, &[&tables, &types]).await?;
    let extension =
        |row: &tokio_postgres::Row| ExtensionDefinition { name: row.get(0), schema: row.get(1) };
    Ok(rows.iter().map(extension).collect())
}
