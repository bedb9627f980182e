//! What comes after the rows: keys, indexes, foreign keys.

use tokio_postgres::Client;
use wire::{ConstraintDefinition, Definitions, IndexDefinition, TableDefinition};

use super::{
    super::quote::{ident, qualified},
    attempt::{attempt, run},
};
use crate::target::TargetError;

/// Makes indexes and constraints, all but foreign keys, of tables that were made.
pub(in super::super) async fn make_keys(
    target: &str,
    client: &Client,
    made: &[&TableDefinition],
    all: &Definitions,
) -> Result<(), TargetError> {
    for table in made {
        let parent = parent_of(table, all);
        for constraint in own_constraints(table, parent).filter(|c| c.kind != 'f') {
            add_constraint(target, client, table, constraint).await?;
        }
        for index in &table.indexes {
            if parent.is_none_or(|parent| !inherits_index(parent, index)) {
                add_index(target, client, table, index).await?;
            }
        }
    }
    Ok(())
}

/// Makes foreign keys, once the keys that they refer to are there.
pub(in super::super) async fn make_foreign_keys(
    target: &str,
    client: &Client,
    made: &[&TableDefinition],
    all: &Definitions,
) -> Result<(), TargetError> {
    for table in made {
        for constraint in own_constraints(table, parent_of(table, all)).filter(|c| c.kind == 'f') {
            add_constraint(target, client, table, constraint).await?;
        }
    }
    Ok(())
}

/// Has the server look at a table's rows, so that it plans well from the first change on.
pub(in super::super) async fn analyze(
    target: &str,
    client: &Client,
    table: &TableDefinition,
) -> Result<(), TargetError> {
    let name = qualified(&table.schema, &table.name);
    run(target, client, &format!("analyze {name}"), &format!("ANALYZE {name}")).await
}

/// The table that this one is a partition of, where it is here.
pub(in super::super) fn parent_of<'a>(
    table: &TableDefinition,
    all: &'a Definitions,
) -> Option<&'a TableDefinition> {
    let of = table.partition_of.as_ref()?;
    all.tables.iter().find(|parent| parent.schema == of.schema && parent.name == of.name)
}

/// Those that a partition does not get from its parent.
fn own_constraints<'a>(
    table: &'a TableDefinition,
    parent: Option<&'a TableDefinition>,
) -> impl Iterator<Item = &'a ConstraintDefinition> {
    table.constraints.iter().filter(move |own| {
        !parent.is_some_and(|parent| {
            parent.constraints.iter().any(|inherited| {
                inherited.kind == own.kind && inherited.definition == own.definition
            })
        })
    })
}

/// The method and columns of an index: what is the same for a parent's and a partition's.
fn body(index: &IndexDefinition) -> &str {
    index.definition.split_once(" USING ").map_or("", |(_, body)| body)
}

fn inherits_index(parent: &TableDefinition, index: &IndexDefinition) -> bool {
    parent.indexes.iter().any(|of| of.unique == index.unique && body(of) == body(index))
}

/// Keys must be there, or every change would search its whole table; the rest only guards what the
/// source has checked already.
async fn add_constraint(
    target: &str,
    client: &Client,
    table: &TableDefinition,
    constraint: &ConstraintDefinition,
) -> Result<(), TargetError> {
    let name = qualified(&table.schema, &table.name);
    let sql = format!(
        "ALTER TABLE {name} ADD CONSTRAINT {} {}",
        ident(&constraint.name),
        constraint.definition
    );
    let doing = format!("add the constraint {} to {name}", constraint.name);
    match constraint.kind {
        'p' | 'u' => run(target, client, &doing, &sql).await,
        _ => {
            if let Some(why) = attempt(target, client, &sql).await? {
                tracing::info!(table = %name, constraint = constraint.name, why, "made without this constraint");
            }
            Ok(())
        }
    }
}

async fn add_index(
    target: &str,
    client: &Client,
    table: &TableDefinition,
    index: &IndexDefinition,
) -> Result<(), TargetError> {
    let name = qualified(&table.schema, &table.name);
    // The definition of a partitioned table's index says ONLY, which would leave its partitions out.
    let sql = match table.partition_by {
        Some(_) => index.definition.replacen(" ON ONLY ", " ON ", 1),
        None => index.definition.clone(),
    };
    if let Some(why) = attempt(target, client, &sql).await? {
        tracing::warn!(table = %name, index = index.name, why, "made without this index");
    }
    Ok(())
}
