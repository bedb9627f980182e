//! What is asked of a target whose rows are compared with a snapshot's.

use std::future::Future;

use wire::{SnapshotTable, SourceName, TableDefinition};

use super::{error::TargetError, interface::Target, named::Named};

/// What is behind the error where differing rows cannot be written.
pub const REPAIR_BY_RELOAD: &str =
    "nothing was repaired; `tailwater-terminal reload` loads all tables anew";

/// A target whose tables can be compared with those of a snapshot, at whose position it is. The snapshot's rows
/// come to a temporary table of the session, the stage, one table at a time: nothing of it outlives the open
/// transaction.
pub trait Compare: Target {
    /// Opens a transaction in which tables are compared; others may write, and are not seen.
    fn begin_compare(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Opens a transaction in which these tables are compared and repaired; of `all` tables of the source.
    /// Others that would write to them wait.
    fn begin_repair(
        &mut self,
        source: &SourceName,
        tables: &[Named],
        all: &[Named],
    ) -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Makes the stage for a table and begins its rows, for [`Target::writer`].
    fn stage(
        &mut self,
        source: &SourceName,
        table: &SnapshotTable,
        definition: &TableDefinition,
    ) -> impl Future<Output = Result<Staged, TargetError>> + Send;

    /// What tells the staged table's rows from those here; so many of them are named.
    fn differences(
        &mut self,
        source: &SourceName,
        show: usize,
    ) -> impl Future<Output = Result<Differences, TargetError>> + Send;

    /// Keeps what differs for [`Self::repair`], and gives up the stage.
    fn keep(&mut self, source: &SourceName)
    -> impl Future<Output = Result<(), TargetError>> + Send;

    /// Writes the rows that were kept, in the open transaction.
    fn repair(
        &mut self,
        source: &SourceName,
    ) -> impl Future<Output = Result<Repaired, TargetError>> + Send;
}

/// Whether a table's rows can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staged {
    /// Its rows may come.
    Begun,
    /// There is no such table.
    Absent,
    /// It is not as the snapshot's.
    Unlike(String),
}

/// What tells a table's rows from those of the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Rows of the snapshot that are not here.
    pub missing: u64,
    /// Rows here that the snapshot does not have.
    pub extra: u64,
    /// Rows with the same key and other values.
    pub different: u64,
    /// The first of them.
    pub shown: Vec<DifferingRow>,
}

impl Differences {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.missing + self.extra + self.different > 0
    }
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferingRow {
    /// How.
    pub kind: Difference,
    /// Its key, of a table without one all of its columns: names and values, cut where they are long.
    pub key: Vec<(String, Option<String>)>,
    /// The columns that differ, of a row that is on both sides.
    pub columns: Vec<String>,
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is not here.
    Missing,
    /// Only here.
    Extra,
    /// Other values.
    Different,
}

/// What a repair wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Rows that were missing.
    pub inserted: u64,
    /// Rows that were only here.
    pub deleted: u64,
    /// Rows that had other values.
    pub updated: u64,
}

/// The columns by which a row is told of, and by which two of them are one row with other values: the primary key,
/// or the index that is the replica identity; all columns where there is neither.
pub fn key_columns<'a>(table: &'a SnapshotTable, definition: &'a TableDefinition) -> &'a [String] {
    let index: &[String] = match definition.replica_identity {
        'i' => &definition.identity_columns,
        _ => &[],
    };
    let keys = [definition.primary_key.as_slice(), index];
    let has = |key: &&[String]| {
        !key.is_empty() && key.iter().all(|column| table.columns.contains(column))
    };
    keys.into_iter().find(has).unwrap_or(&table.columns)
}

#[cfg(test)]
mod tests {
    use wire::ChannelName;

    use super::*;

    #[test]
    fn a_row_is_known_by_its_key_as_far_as_that_travels() {
        let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let table = SnapshotTable {
            oid: 7,
            schema: "public".into(),
            name: "t".into(),
            channel: ChannelName::default_channel(),
            columns: names(&["a", "b", "c"]),
            rows: 0,
            raw_len: 0,
            objects: Vec::new(),
        };
        let key = |replica_identity, primary: &[&str], identity: &[&str]| {
            let definition = TableDefinition {
                oid: 7,
                schema: "public".into(),
                name: "t".into(),
                replica_identity,
                columns: Vec::new(),
                primary_key: names(primary),
                identity_columns: names(identity),
                constraints: Vec::new(),
                indexes: Vec::new(),
                partition_by: None,
                partition_of: None,
            };
            key_columns(&table, &definition).join(" ")
        };
        assert_eq!(key('d', &["b", "a"], &["a", "b"]), "b a");
        assert_eq!(key('i', &["left out"], &["c"]), "c");
        assert_eq!(key('f', &[], &["a", "b", "c"]), "a b c");
        assert_eq!(key('f', &[], &["c"]), "a b c", "FULL is no key");
    }
}
