use std::{collections::BTreeMap, fmt, str::FromStr};

use wire::Lsn;

use super::operation::Operation;

/// What becomes of a change that does not meet its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// It leads to the row that the source has, and is counted. Only where it does not carry all of that row is
    /// it an error.
    #[default]
    Apply,
    /// It is an error.
    Stop,
}

impl FromStr for OnConflict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "apply" => Ok(Self::Apply),
            "stop" => Ok(Self::Stop),
            other => Err(format!("'{other}' is neither 'apply' nor 'stop'")),
        }
    }
}

/// What is done about a transaction that cannot be applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The pull ends before it.
    #[default]
    Stop,
    /// It is kept aside, with what comes later for the same rows; everything else goes on.
    Quarantine,
}

impl FromStr for OnError {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "quarantine" => Ok(Self::Quarantine),
            other => Err(format!("'{other}' is neither 'stop' nor 'quarantine'")),
        }
    }
}

/// How a change may fail to meet its row, which happens where something else wrote to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// An update or a delete of a row that is not there.
    RowMissing,
    /// An insert of a row, or an update to a key, that is there already.
    RowPresent,
}

impl ConflictKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::RowMissing, Self::RowPresent];

    /// The word for it in tables and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::RowMissing => "row-missing",
            Self::RowPresent => "row-present",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for ConflictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Conflicts of one kind in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictCount {
    /// The table, as `schema.table`.
    pub table: String,
    /// The kind.
    pub kind: ConflictKind,
    /// How many there were.
    pub count: u64,
    /// The transaction of the last.
    pub last: Lsn,
    /// The last one's key, as `a=1, b=2`; empty where its table has none.
    pub last_key: String,
}

/// Conflicts by table and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflicts {
    by_table: BTreeMap<(String, ConflictKind), (u64, Lsn, String)>,
}

impl Conflicts {
    /// Counts one.
    pub fn add(&mut self, kind: ConflictKind, operation: &Operation) {
        let of = self.by_table.entry((operation.tables(), kind)).or_default();
        *of = (of.0 + 1, operation.lsn, operation.key_text());
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_table.is_empty()
    }

    /// All of them, by table and kind.
    pub fn counts(&self) -> impl Iterator<Item = ConflictCount> {
        self.by_table.iter().map(|((table, kind), (count, last, last_key))| ConflictCount {
            table: table.clone(),
            kind: *kind,
            count: *count,
            last: *last,
            last_key: last_key.clone(),
        })
    }

    /// How many of each kind there are.
    pub fn total(&self, kind: ConflictKind) -> u64 {
        self.counts().filter(|of| of.kind == kind).map(|of| of.count).sum()
    }
}
