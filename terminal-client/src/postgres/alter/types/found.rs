use tokio_postgres::{Client, Error};

/// A type of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct FoundType {
    pub(in super::super) schema: String,
    pub(in super::super) name: String,
    pub(in super::super) kind: FoundKind,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum FoundKind {
    Enum {
        labels: Vec<String>,
    },
    Domain {
        not_null: bool,
        default: Option<String>,
        /// Names and definitions.
        checks: Vec<(String, String)>,
    },
    Composite {
        fields: Vec<(String, String)>,
    },
    Other,
}

const TYPE: &str = "
SELECT t.oid, t.typtype::text, t.typnotnull, t.typdefault, t.typrelid
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = $1 AND t.typname = $2";

const LABELS: &str = "SELECT enumlabel::text, '' FROM pg_catalog.pg_enum WHERE enumtypid = $1 ORDER BY enumsortorder";

const CHECKS: &str = "
SELECT conname::text, pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
WHERE contypid = $1 AND contype = 'c' ORDER BY conname";

const FIELDS: &str = "
SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// The type of that name; none where there is nothing of that name.
pub(in super::super) async fn find(
    client: &Client,
    schema: &str,
    name: &str,
) -> Result<Option<FoundType>, Error> {
    let Some(row) = client.query_opt(TYPE, &[&schema, &name]).await? else { return Ok(None) };
    let (oid, relation): (u32, u32) = (row.try_get(0)?, row.try_get(4)?);
    let kind = match row.try_get::<_, &str>(1)? {
        "e" => {
            let labels = pairs(client, LABELS, oid).await?;
            FoundKind::Enum { labels: labels.into_iter().map(|(label, _)| label).collect() }
        }
        "d" => FoundKind::Domain {
            not_null: row.try_get(2)?,
            default: row.try_get(3)?,
            checks: pairs(client, CHECKS, oid).await?,
        },
        "c" => FoundKind::Composite { fields: pairs(client, FIELDS, relation).await? },
        _ => FoundKind::Other,
    };
    Ok(Some(FoundType { schema: schema.to_owned(), name: name.to_owned(), kind }))
}

async fn pairs(client: &Client, query: &str, of: u32) -> Result<Vec<(String, String)>, Error> {
    let rows = client.query(query, &[&of]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
