//! A table's rows against those of a snapshot, which wait in a temporary table: both are compared in the database,
//! by the texts of their values (decision 0053).

mod compare;
mod repair;
mod sql;

use wire::{SnapshotTable, TableDefinition};

use self::{repair::Kept, sql::Sides};
use super::{
    catalog,
    connect::error_of,
    create::run,
    load::{only, refuse_acting_keys},
    place::Place,
    quote::{idents, qualified},
};
use crate::target::{Differences, Named, Repaired, Staged, TargetError, key_columns};

/// A server that can (14 and later) ends this soon after the program was killed, and what it made with it.
const NOTICE: &str = "SELECT pg_catalog.set_config(name, '2000', true) FROM pg_catalog.pg_settings
    WHERE name = 'client_connection_check_interval'";

/// What is known of the tables that are compared in the open transaction.
#[derive(Default)]
pub(super) struct Verify {
    /// The one that is staged.
    sides: Option<Sides>,
    /// What differs, to be repaired.
    kept: Vec<Kept>,
}

/// A table whose snapshot's rows may be copied to the stage.
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
}

/// Of one moment: others may write meanwhile.
pub(super) async fn begin_compare(place: Place<'_>) -> Result<(), TargetError> {
    let sql = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {NOTICE}");
    run(place.target, place.client, "begin a transaction", &sql).await
}

/// Others read on, and wait to write.
pub(super) async fn begin_repair(
    place: Place<'_>,
    (tables, all): (&[Named], &[Named]),
    foreign_keys_act: bool,
) -> Result<(), TargetError> {
    let Place { target, client, .. } = place;
    run(target, client, "begin a transaction", &format!("BEGIN; {NOTICE}")).await?;
    let mut names = Vec::new();
    for table in tables {
        names.push(only(place, table).await?);
    }
    let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", "));
    run(target, client, "lock the tables against other writers", &lock).await?;
    if !foreign_keys_act {
        return Ok(());
    }
    let all: Vec<String> = all.iter().map(|of| qualified(&of.schema, &of.name)).collect();
    refuse_acting_keys(place, &all).await?;
    run(target, client, "defer constraints", "SET CONSTRAINTS ALL DEFERRED").await
}

impl Verify {
    /// Makes the stage. Its columns are of the types that the table here has, so that both sides come from the same
    /// texts in the same way.
    pub(super) async fn stage(
        &mut self,
        place: Place<'_>,
        table: &SnapshotTable,
        definition: &TableDefinition,
    ) -> Result<Result<Stage, Staged>, TargetError> {
        let Place { target, client, .. } = place;
        let name = qualified(&table.schema, &table.name);
        let found = catalog::table(client, &table.schema, &table.name).await;
        let found = found.map_err(|error| error_of(target, &format!("look up {name}"), &error))?;
        let Some(found) = found else { return Ok(Err(Staged::Absent)) };
        if !found.is_table() {
            return Ok(Err(Staged::Unlike("there is something else of that name".into())));
        }
        if let Some(column) = table.columns.iter().find(|column| found.column(column).is_none()) {
            return Ok(Err(Staged::Unlike(format!("it has no column \"{column}\""))));
        }
        let own = only(place, &Named::new(&table.schema, &table.name)).await?;
        let columns = idents(table.columns.iter().map(String::as_str));
        let stage = sql::stage();
        let make = format!(
            "CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {columns} FROM {own} WITH NO DATA",
            sql::STAGE
        );
        run(target, client, &format!("make a temporary table beside {name}"), &make).await?;
        let key = key_columns(table, definition).to_vec();
        self.sides = Some(Sides { own, name, columns: table.columns.clone(), key });
        Ok(Ok(Stage { name: stage, columns: table.columns.clone() }))
    }

    pub(super) async fn differences(
        &mut self,
        place: Place<'_>,
        show: usize,
    ) -> Result<Differences, TargetError> {
        match &self.sides {
            Some(sides) => compare::differences(place, sides, show).await,
            None => Ok(Differences::default()),
        }
    }

    pub(super) async fn keep(&mut self, place: Place<'_>) -> Result<(), TargetError> {
        let Some(sides) = self.sides.take() else { return Ok(()) };
        let kept = Kept::of(place, sides, self.kept.len()).await?;
        self.kept.push(kept);
        Ok(())
    }

    pub(super) async fn repair(&mut self, place: Place<'_>) -> Result<Repaired, TargetError> {
        repair::repair(place, &std::mem::take(&mut self.kept)).await
    }
}
