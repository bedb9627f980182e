//! What a comparison found.

use std::fmt;

use anyhow::{Result, bail};

use super::digest::{Digest, Rows};

/// Rows of each side that are shown of a table that differs.
const SHOWN: usize = 5;

/// All tables of two databases.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub tables: Vec<TableResult>,
}

/// One table.
#[derive(Debug, Clone)]
pub struct TableResult {
    pub table: String,
    pub source_rows: u64,
    pub terminal_rows: u64,
    /// `None`: equal. Otherwise what differs, for people, in several lines.
    pub difference: Option<String>,
}

impl Comparison {
    pub(super) fn new(tables: Vec<TableResult>) -> Self {
        Self { tables }
    }

    pub fn is_equal(&self) -> bool {
        !self.tables.is_empty() && self.tables.iter().all(|table| table.difference.is_none())
    }

    /// All rows of the source.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.source_rows).sum()
    }

    /// An error that shows the differences; also when there was no table to compare, for that
    /// proves nothing.
    pub fn into_result(self) -> Result<()> {
        if self.tables.is_empty() {
            bail!("there is no table to compare");
        }
        if !self.is_equal() {
            bail!("the terminal differs from its source:\n{self}");
        }
        Ok(())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables.iter().try_for_each(|table| writeln!(f, "{table}"))
    }
}

impl TableResult {
    pub(super) fn by_digest(table: String, source: Digest, terminal: Digest) -> Self {
        let difference = (source != terminal).then(String::new);
        Self { table, source_rows: source.rows, terminal_rows: terminal.rows, difference }
    }

    /// The terminal's table cannot be compared at all.
    pub(super) fn unlike(table: String, source_rows: u64, why: String) -> Self {
        Self { table, source_rows, terminal_rows: 0, difference: Some(format!("    {why}\n")) }
    }

    pub(super) fn explain(&mut self, source: &Rows, terminal: &Rows) {
        let mut text = String::new();
        for (side, rows) in [
            ("only at the source:  ", source.only_here(terminal, SHOWN)),
            ("only at the terminal:", terminal.only_here(source, SHOWN)),
        ] {
            for row in rows {
                let short: String = row.chars().take(300).collect();
                text.push_str(&format!("    {side} {short}\n"));
            }
        }
        if text.is_empty() {
            text.push_str("    equal when read again: something writes while it is compared\n");
        }
        self.difference = Some(text);
    }
}

impl fmt::Display for TableResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.difference {
            None => write!(f, "{}: {} rows, equal", self.table, self.source_rows),
            Some(difference) => write!(
                f,
                "{}: DIFFERS, {} rows at the source, {} at the terminal\n{difference}",
                self.table, self.source_rows, self.terminal_rows
            ),
        }
    }
}
