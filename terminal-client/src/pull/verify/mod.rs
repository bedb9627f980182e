//! Whether a terminal's rows are the master's: its tables against a snapshot, at exactly whose position it is then
//! (decision 0053).

mod opened;
mod session;
mod tables;

pub use opened::verify;

use wire::{ChannelName, ChannelRule, Lsn, SnapshotTable};

use crate::target::{Differences, Named, Repaired};

/// What is compared, and what is done about it.
#[derive(Clone, Debug, Default)]
pub struct CompareOptions {
    /// Tables as `schema.table`, with `*` for any characters; empty for all.
    pub tables: Vec<String>,
    /// So many differing rows of a table are named.
    pub show: usize,
    /// Whether rows that differ are written.
    pub repair: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where target and snapshot stand.
    pub lsn: Lsn,
    /// Table by table; of those that were repaired, as they are since.
    pub tables: Vec<TableVerdict>,
    /// What was written; none where nothing had to be, or was to be.
    pub repaired: Option<Repaired>,
}

impl Verified {
    /// Whether all rows are the snapshot's.
    pub fn same(&self) -> bool {
        self.tables.iter().all(|table| table.verdict == Verdict::Same)
    }
}

/// A table, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableVerdict {
    /// Which.
    pub table: Named,
    /// Its rows in the snapshot.
    pub rows: u64,
    /// How they compare.
    pub verdict: Verdict,
}

/// How a table's rows compare with the snapshot's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are the same.
    Same,
    /// They are not.
    Differs(Differences),
    /// They cannot be compared, for this.
    Unlike(String),
}

/// Whether one of the patterns names a table.
fn is_asked(patterns: &[String], table: &SnapshotTable) -> bool {
    let rule = ChannelRule { channel: ChannelName::control(), tables: patterns.to_vec() };
    rule.matches(&table.schema, &table.name)
}
