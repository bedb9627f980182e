//! Sequences, and where they stand: what a terminal needs to hand out numbers itself one day.

use serde::{Deserialize, Serialize};

/// A sequence that a column takes values from. Its text goes into no statement as it is: names are
/// quoted, all else are numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Schema, table and column that take values from it.
    pub column: (String, String, String),
    /// How it belongs to the column.
    pub bond: SequenceBond,
    /// The type of its values.
    pub values: SequenceType,
    /// First value.
    pub start: i64,
    /// Distance between values.
    pub increment: i64,
    /// Least value.
    pub least: i64,
    /// Greatest value.
    pub greatest: i64,
    /// Values that a session takes at once.
    pub cache: i64,
    /// Whether it begins again at its end.
    pub cycle: bool,
    /// The newest value handed out (or cached); none where there was none, or where capture may not read it.
    pub last: Option<i64>,
}

/// How a sequence belongs to a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SequenceBond {
    /// `GENERATED … AS IDENTITY`: it is made with the column.
    Identity,
    /// `OWNED BY`, as with serial: it goes with the column.
    Owned,
    /// Only the column's default names it.
    Used,
}

/// The type of a sequence's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SequenceType {
    /// 16 bits.
    Smallint,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Bigint,
}
