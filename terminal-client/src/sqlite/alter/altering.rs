use wire::{Lsn, SourceName, TableDefinition};

use super::{
    super::{
        database::Database,
        failure::failed,
        schema::{Shape, is_ours, quote},
    },
    columns::Unable,
};
use crate::target::TargetError;

/// One change of one table.
pub(super) struct Altering<'a> {
    pub(super) database: &'a Database,
    pub(super) source: &'a SourceName,
    pub(super) lsn: Lsn,
    /// As the master has it.
    pub(super) table: &'a TableDefinition,
}

impl Altering<'_> {
    pub(super) fn check_name(&self, is: &TableDefinition, name: &str) -> Result<(), TargetError> {
        if !is_ours(name) {
            return Ok(());
        }
        let why = format!("SQLite or Tailwater keeps the name {} for itself", quote(name));
        let advice =
            format!("rename {is} on the master, or leave it out with --channels in a new file");
        Err(self.stopped(why, advice))
    }

    pub(super) fn unable(&self, why: &Unable) -> TargetError {
        let advice = match why {
            Unable::Values { .. } => {
                "run `tailwater-capture snapshot --wait` where capture runs, then `tailwater-terminal reload` here, which loads that snapshot".into()
            }
            Unable::Declared { column, .. } => {
                format!("rename or drop the column {}, then pull again", quote(column))
            }
            Unable::Alike(_) => "rename the column on the master, then reload".into(),
            Unable::Value { .. } => "please report it".into(),
        };
        self.stopped(why.to_string(), advice)
    }

    pub(super) fn run(&self, sql: &str) -> Result<(), TargetError> {
        if let Err(error) = self.database.connection.execute_batch(sql) {
            return Err(match failed(&self.database.target, sql, &error) {
                TargetError::Statement { why, .. } => {
                    let advice = "drop what hangs on it, then pull again; make it anew afterwards";
                    self.stopped(format!("`{sql}` is refused: {why}"), advice.into())
                }
                other => other,
            });
        }
        tracing::info!("{sql}");
        Ok(())
    }

    pub(super) fn shape(&self, name: &str) -> Result<Option<Shape>, TargetError> {
        self.did("look up the table", Shape::read(&self.database.connection, name))
    }

    pub(super) fn there(&self, name: &str) -> Result<Shape, TargetError> {
        let gone = || self.stopped("it is gone".into(), "pull again".into());
        self.shape(name)?.ok_or_else(gone)
    }

    pub(super) fn did<T>(
        &self,
        doing: &str,
        result: rusqlite::Result<T>,
    ) -> Result<T, TargetError> {
        self.database.did(&format!("{doing} {}", self.table), result)
    }

    pub(super) fn stopped(&self, why: String, advice: String) -> TargetError {
        TargetError::Table {
            target: self.database.target.clone(),
            table: self.table.to_string(),
            why: format!(
                "it was altered on the master at {}, which cannot be done here, and nothing of that transaction was applied: {why}",
                self.lsn
            ),
            advice,
        }
    }
}
