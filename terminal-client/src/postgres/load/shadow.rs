//! Shadow tables: columns and types of the tables they stand for, no keys, no constraints.

use tokio_postgres::Client;
use wire::{SnapshotTable, TableDefinition};

use super::{
    super::{
        alter::{refuse_views, retyped},
        connect::error_of,
        create::run,
        quote::{ident, qualified},
    },
    Load, Place,
};
use crate::target::{LoadPlan, LoadRecord, Named, TargetError, shadow_name};

/// The shadow of a table, among our own tables.
pub(super) fn shadow(of: &Named) -> Named {
    Named::new("tailwater", &shadow_name(&of.schema, &of.name))
}

fn quoted(of: &Named) -> String {
    let shadow = shadow(of);
    qualified(&shadow.schema, &shadow.name)
}

impl Load {
    /// Where the rows of a table are loaded to.
    pub(super) fn destination(&self, table: &SnapshotTable) -> Named {
        let of = Named::new(&table.schema, &table.name);
        if self.plan.reload.is_some() { shadow(&of) } else { of }
    }
}

/// Makes a table's shadow in the open transaction; one that is left from before goes. Its columns have
/// the types of the target's own table, so that a value is read once, by the type that keeps it; but for
/// those that must get another type.
/// Unlogged: after a crash of the server it is empty, and the load begins anew.
pub(super) async fn make_shadow(
    place: Place<'_>,
    table: &SnapshotTable,
    definition: Option<&TableDefinition>,
) -> Result<(), TargetError> {
    let retyped = match definition {
        Some(definition) => retyped(place, definition).await?,
        None => Vec::new(),
    };
    if let Some(definition) = definition.filter(|_| !retyped.is_empty()) {
        refuse_views(place, definition, &retyped).await?;
    }
    let column = |name: &String| match retyped.iter().find(|(of, _)| of == name) {
        Some((name, of)) => format!("NULL::{of} AS {}", ident(name)),
        None => ident(name),
    };
    let of = qualified(&table.schema, &table.name);
    let shadow = quoted(&Named::new(&table.schema, &table.name));
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let columns = columns.join(", ");
    let sql = format!(
        "DROP TABLE IF EXISTS {shadow}; CREATE UNLOGGED TABLE {shadow} AS SELECT {columns} FROM {of} WITH NO DATA"
    );
    run(place.target, place.client, &format!("make a shadow of the table {of}"), &sql).await
}

/// Removes the shadows of a load, in the open transaction.
pub(super) async fn drop_shadows(place: Place<'_>, plan: &LoadPlan) -> Result<(), TargetError> {
    for kept in plan.shadowed() {
        let name = quoted(&kept.table);
        let (doing, sql) =
            (format!("remove the shadow {name}"), format!("DROP TABLE IF EXISTS {name}"));
        run(place.target, place.client, &doing, &sql).await?;
    }
    Ok(())
}

/// Whether a shadow that has rows by the record has none: the server has crashed since.
pub(super) async fn any_is_empty(
    target: &str,
    client: &Client,
    unfinished: &LoadRecord,
) -> Result<bool, TargetError> {
    for kept in unfinished.plan.shadowed().iter().filter(|kept| unfinished.rows_in(kept) > 0) {
        let name = quoted(&kept.table);
        let sql = format!("SELECT EXISTS (SELECT FROM {name})");
        let any = client.query_one(&sql, &[]).await.and_then(|row| row.try_get(0));
        let any: bool = any.map_err(|error| error_of(target, &format!("read {name}"), &error))?;
        if !any {
            return Ok(true);
        }
    }
    Ok(false)
}
