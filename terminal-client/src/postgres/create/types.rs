use tokio_postgres::Client;
use wire::{Definitions, ExtensionDefinition, TypeDefinition, TypeKind};

use super::{
    super::{
        connect::error_of,
        quote::{ident, literal, qualified},
    },
    attempt::{attempt, run},
};
use crate::target::{Named, TargetError};

const TYPE_EXISTS: &str = "
SELECT EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = $1 AND t.typname = $2)";

const LABELS: &str = "
SELECT e.enumlabel::text FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND t.typname = $2";

/// Makes a schema where it is missing. `IF NOT EXISTS` would ask for the right to create one even
/// where it is there.
pub(super) async fn ensure_schema(
    target: &str,
    client: &Client,
    schema: &str,
) -> Result<(), TargetError> {
    let doing = format!("create the schema {schema}");
    let exists: bool = client
        .query_one("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", &[&schema])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|error| error_of(target, &doing, &error))?;
    if exists {
        return Ok(());
    }
    run(target, client, &doing, &format!("CREATE SCHEMA IF NOT EXISTS {}", ident(schema))).await
}

/// Makes schemas, extensions and types where they are missing; gives the types that it made.
pub(in super::super) async fn ensure_types(
    target: &str,
    client: &Client,
    definitions: &Definitions,
) -> Result<Vec<Named>, TargetError> {
    for schema in &definitions.schemas {
        ensure_schema(target, client, schema).await?;
    }
    for extension in &definitions.extensions {
        ensure_extension(target, client, extension).await?;
    }
    let mut made = Vec::new();
    for definition in &definitions.types {
        if ensure_type(target, client, definition).await? {
            made.push(Named::new(&definition.schema, &definition.name));
        }
    }
    Ok(made)
}

async fn ensure_extension(
    target: &str,
    client: &Client,
    extension: &ExtensionDefinition,
) -> Result<(), TargetError> {
    let (name, schema) = (ident(&extension.name), ident(&extension.schema));
    let in_its_schema = format!(
        "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION IF NOT EXISTS {name} SCHEMA {schema}"
    );
    let anywhere = format!(
        "SET LOCAL search_path = public; CREATE EXTENSION IF NOT EXISTS {name}; SET LOCAL search_path = ''"
    );
    if attempt(target, client, &in_its_schema).await?.is_none() {
        return Ok(());
    }
    match attempt(target, client, &anywhere).await? {
        None => Ok(()),
        Some(why) => Err(TargetError::Statement {
            target: target.to_owned(),
            doing: format!("create the extension {}, which the source uses", extension.name),
            why: format!(
                "{why}; install it on the target's server and run CREATE EXTENSION {name} in the target's database, then try again"
            ),
        }),
    }
}

/// True where it was made.
async fn ensure_type(
    target: &str,
    client: &Client,
    definition: &TypeDefinition,
) -> Result<bool, TargetError> {
    let name = qualified(&definition.schema, &definition.name);
    let doing = format!("create the type {name}");
    let failed = |error| error_of(target, &doing, &error);
    let key: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
        [&definition.schema, &definition.name];
    let exists: bool =
        client.query_one(TYPE_EXISTS, &key).await.and_then(|row| row.try_get(0)).map_err(failed)?;
    if !exists {
        run(target, client, &doing, &type_sql(&name, &definition.kind)).await?;
        return Ok(true);
    }
    let TypeKind::Enum { labels } = &definition.kind else { return Ok(false) };
    let rows = client.query(LABELS, &key).await.map_err(failed)?;
    let have: Vec<String> =
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)?;
    match labels.iter().find(|label| !have.contains(label)) {
        None => Ok(false),
        Some(label) => Err(TargetError::Table {
            target: target.to_owned(),
            table: format!("(type) {name}"),
            why: format!("it lacks the value {}", literal(label)),
            advice: format!("run ALTER TYPE {name} ADD VALUE {}; then try again", literal(label)),
        }),
    }
}

/// `CREATE TYPE` or `CREATE DOMAIN`.
pub(in super::super) fn type_sql(name: &str, kind: &TypeKind) -> String {
    match kind {
        TypeKind::Enum { labels } => {
            let labels: Vec<String> = labels.iter().map(|label| literal(label)).collect();
            format!("CREATE TYPE {name} AS ENUM ({})", labels.join(", "))
        }
        TypeKind::Domain { base, not_null, default, checks } => {
            let default =
                default.as_ref().map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
            let not_null = if *not_null { " NOT NULL" } else { "" };
            format!("CREATE DOMAIN {name} AS {base}{default}{not_null} {}", checks.join(" "))
        }
        TypeKind::Composite { fields } => {
            let fields: Vec<String> =
                fields.iter().map(|(field, of)| format!("{} {of}", ident(field))).collect();
            format!("CREATE TYPE {name} AS ({})", fields.join(", "))
        }
        TypeKind::Range { subtype } => {
            format!("CREATE TYPE {name} AS RANGE (subtype = {subtype})")
        }
    }
}
