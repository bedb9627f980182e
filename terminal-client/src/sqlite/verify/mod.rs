//! A table's rows against those of a snapshot, which wait in a temporary table (decision 0053).

mod compare;
mod repair;
mod show;
mod sql;

use wire::{SnapshotTable, TableDefinition};

use self::sql::Sides;
use super::{
    database::Database,
    load::{LoadTable, columns_of},
    schema::{NO_COLUMNS, Shape, quote, table_name},
    values::Kind,
};
use crate::target::{Differences, Repaired, Staged, TargetError, key_columns};

/// What is known of the table that is staged, and what was repaired in the open transaction.
#[derive(Debug, Default)]
pub(super) struct Verify {
    sides: Option<Sides>,
    repaired: Repaired,
}

impl Verify {
    /// Makes the stage, which is to be loaded as a table is. Its columns are declared as those of the table here, so
    /// that both sides come from the same texts in the same way.
    pub(super) fn stage(
        &mut self,
        database: &Database,
        table: &SnapshotTable,
        definition: &TableDefinition,
    ) -> Result<Result<LoadTable, Staged>, TargetError> {
        let name = table_name(&table.schema, &table.name);
        let shape = Shape::read(&database.connection, &name);
        let shape = database.did(&format!("look up the table {}", quote(&name)), shape)?;
        let Some(shape) = shape else { return Ok(Err(Staged::Absent)) };
        let unlike = |why: String| Ok(Err(Staged::Unlike(why)));
        if shape.kind != "table" {
            return unlike(format!("there is a {} of that name in the file", shape.kind));
        }
        let columns = columns_of(database, table, definition)?;
        let mut declared = Vec::new();
        for column in &columns {
            let Some(found) = shape.column(&column.name) else {
                return unlike(format!("it has no column {}", quote(&column.name)));
            };
            declared.push(format!("{} {}", quote(&column.name), found.declared));
        }
        if declared.is_empty() {
            declared.push(format!("{} {}", quote(NO_COLUMNS), Kind::Bytes.declared()));
        }
        let Some(sides) = Sides::new(&shape, &table.columns, key_columns(table, definition)) else {
            return unlike("its columns take all names that SQLite has for a row's number".into());
        };
        let strict = if shape.strict { " STRICT" } else { "" };
        let make =
            format!("CREATE TEMPORARY TABLE {} ({}){strict}", sql::STAGE, declared.join(", "));
        let made = database.connection.execute_batch(&make);
        database.did(&format!("make a temporary table beside {}", sides.name), made)?;
        self.sides = Some(sides);
        Ok(Ok(LoadTable::staged(name, sql::STAGE.to_owned(), definition.clone(), columns)))
    }

    pub(super) fn differences(
        &self,
        database: &Database,
        show: usize,
    ) -> Result<Differences, TargetError> {
        match &self.sides {
            Some(sides) => sides.differences(database, show),
            None => Ok(Differences::default()),
        }
    }

    /// One program writes at a time, and keys do not act: the rows are written at once.
    pub(super) fn keep(&mut self, database: &Database) -> Result<(), TargetError> {
        let Some(sides) = self.sides.take() else { return Ok(()) };
        let Repaired { inserted, deleted, updated } = sides.repair(database)?;
        self.repaired.inserted += inserted;
        self.repaired.deleted += deleted;
        self.repaired.updated += updated;
        Ok(())
    }

    pub(super) fn repaired(&mut self) -> Repaired {
        std::mem::take(&mut self.repaired)
    }
}
