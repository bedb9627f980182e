use bytes::Bytes;
use rusqlite::Statement;

use super::{
    super::{
        database::Database,
        failure::failed,
        schema::quote,
        values::{Kind, Unfit, cell},
    },
    tables::LoadTable,
};
use crate::target::{CopyError, CopyFields, CopyLines, TargetError};

/// Takes the rows of one table.
#[derive(Debug)]
pub(in super::super) struct TableRows {
    label: String,
    sql: String,
    columns: Vec<(String, Kind)>,
    lines: CopyLines,
    rows: u64,
}

/// Why a row was not taken.
#[derive(Debug, thiserror::Error)]
enum RowError {
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error("column {column}: {error}")]
    Unfit { column: String, error: Unfit },
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl TableRows {
    /// For a table of the load.
    pub(in super::super) fn new(table: &LoadTable) -> Self {
        let names: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
        let places: Vec<String> = (1..=names.len()).map(|at| format!("?{at}")).collect();
        let name = quote(&table.into);
        let sql = match names.is_empty() {
            true => format!("INSERT INTO {name} DEFAULT VALUES"),
            false => {
                let (names, places) = (names.join(", "), places.join(", "));
                format!("INSERT INTO {name} ({names}) VALUES ({places})")
            }
        };
        Self {
            label: format!("{}.{}", table.definition.schema, table.definition.name),
            sql,
            columns: table
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.kind))
                .collect(),
            lines: CopyLines::default(),
            rows: 0,
        }
    }

    /// More of the rows.
    pub(in super::super) fn feed(
        &mut self,
        database: &Database,
        piece: Bytes,
    ) -> Result<(), TargetError> {
        self.lines.feed(piece);
        let insert = database.connection.prepare_cached(&self.sql);
        let mut insert = database.did(&format!("write to the table {}", self.label), insert)?;
        while !database.stopped() {
            match self.next_row(&mut insert) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(self.error(database, error)),
            }
        }
        Ok(())
    }

    /// Their number, once all of this part are there.
    pub(in super::super) fn end(self, database: &Database) -> Result<u64, TargetError> {
        match self.lines.end() {
            Ok(()) => Ok(self.rows),
            Err(error) => Err(self.error(database, error.into())),
        }
    }

    fn next_row(&mut self, insert: &mut Statement<'_>) -> Result<bool, RowError> {
        let Some(line) = self.lines.next_line()? else { return Ok(false) };
        let fields = CopyFields::new(&line, self.columns.len())?;
        for (at, (field, (name, kind))) in fields.zip(&self.columns).enumerate() {
            let Some(text) = field else {
                insert.raw_bind_parameter(at + 1, None::<i64>)?;
                continue;
            };
            let value = cell(*kind, &text)
                .map_err(|error| RowError::Unfit { column: name.clone(), error })?;
            insert.raw_bind_parameter(at + 1, value)?;
        }
        // SQLite has its own copy now, and a row may be very large.
        drop(line);
        insert.raw_execute()?;
        self.rows += 1;
        Ok(true)
    }

    fn error(&self, database: &Database, error: RowError) -> TargetError {
        let row = self.rows + 1;
        let constraint = |error: &rusqlite::Error| {
            error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
        };
        match error {
            RowError::Sqlite(error) if !constraint(&error) => {
                let doing = format!(
                    "write row {row} of a part of the snapshot to the table {}",
                    self.label
                );
                failed(&database.target, &doing, &error)
            }
            error => TargetError::Table {
                target: database.target.clone(),
                table: self.label.clone(),
                why: format!("row {row} of a part of the snapshot cannot be loaded: {error}"),
                advice: "if the table was there before, drop it and have it made; then pull again"
                    .into(),
            },
        }
    }
}
