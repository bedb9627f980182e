use serde::{Deserialize, Serialize};
use wire::{Hash, Snapshot};

use super::error::TargetError;

/// How far a first load is: what is in the target, committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPoint {
    /// Tables whose rows are all in, from the beginning of the snapshot's list.
    pub tables: usize,
    /// Objects of the next table that are in.
    pub objects: usize,
    /// Rows of that table that are in.
    pub rows: u64,
    /// Bytes of rows in COPY text format, of all tables.
    pub bytes: u64,
}

/// A table or type by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Named {
    /// Its schema on the source.
    pub schema: String,
    /// Its name there.
    pub name: String,
}

/// A table that was there before the load, and is filled by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Which.
    pub table: Named,
    /// Its place in the snapshot's list.
    pub place: usize,
    /// Its rows in the snapshot.
    pub rows: u64,
}

/// What a load made before its first row: enough to go on, and to remove it all without the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// Types made, each behind those it uses.
    pub types: Vec<Named>,
    /// Tables made, partitions behind their parents.
    pub made: Vec<Named>,
    /// Tables that were there.
    pub kept: Vec<Kept>,
    /// Bytes of rows in the snapshot, in COPY text format.
    pub bytes: u64,
}

/// A first load that is under way or was interrupted, as the target keeps it, in the same transactions
/// as the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadRecord {
    /// Which snapshot: [`snapshot_id`].
    pub snapshot: String,
    /// What was made.
    pub plan: LoadPlan,
    /// How far it is.
    pub point: LoadPoint,
}

/// Tells a snapshot from every other, also from the same one listed with fewer tables (another token,
/// other channels). Where objects are fetched from does not matter.
pub fn snapshot_id(snapshot: &Snapshot) -> String {
    let mut text = format!("{} {}", snapshot.lineage, snapshot.lsn);
    for table in &snapshot.tables {
        // JSON keeps names apart, whatever is in them.
        let names = serde_json::json!([table.oid, table.schema, table.name, table.columns]);
        text.push_str(&names.to_string());
        for object in &table.objects {
            text.push_str(&object.name.to_string());
        }
    }
    Hash::of(text.as_bytes()).to_string()
}

impl Named {
    /// Of these names.
    pub fn new(schema: &str, name: &str) -> Self {
        Self { schema: schema.to_owned(), name: name.to_owned() }
    }
}

impl LoadPlan {
    /// For a snapshot, once its tables and types are there.
    pub fn of(snapshot: &Snapshot, types: Vec<Named>, made: Vec<Named>) -> Self {
        let of = |(place, table): (usize, &wire::SnapshotTable)| Kept {
            table: Named::new(&table.schema, &table.name),
            place,
            rows: table.rows,
        };
        let kept = snapshot.tables.iter().enumerate().map(of);
        let kept = kept.filter(|kept| !made.contains(&kept.table)).collect();
        Self { types, kept, made, bytes: snapshot.tables.iter().map(|table| table.raw_len).sum() }
    }
}

impl LoadRecord {
    /// What is written to begin with.
    pub fn begun(snapshot: &Snapshot, plan: LoadPlan) -> Self {
        Self { snapshot: snapshot_id(snapshot), plan, point: LoadPoint::default() }
    }

    /// Rows that the load has written to a table which was there before it.
    pub fn rows_in(&self, kept: &Kept) -> u64 {
        match kept.place.cmp(&self.point.tables) {
            std::cmp::Ordering::Less => kept.rows,
            std::cmp::Ordering::Equal => self.point.rows,
            std::cmp::Ordering::Greater => 0,
        }
    }
}

/// The record as both targets keep it: every field as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadRow {
    /// [`LoadRecord::snapshot`]; empty where what was loaded must be removed.
    pub snapshot: String,
    /// JSON of the plan.
    pub plan: String,
    /// JSON of the point.
    pub point: String,
}

impl LoadRow {
    /// What to write.
    ///
    /// # Errors
    /// None that can be met: the parts are all plain JSON.
    pub fn of(target: &str, record: &LoadRecord) -> Result<Self, TargetError> {
        let plan = serde_json::to_string(&record.plan);
        Ok(Self {
            snapshot: record.snapshot.clone(),
            plan: plan.map_err(|error| unreadable(target, "load.plan", &error))?,
            point: Self::point(target, &record.point)?,
        })
    }

    /// The field that changes with each part.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn point(target: &str, point: &LoadPoint) -> Result<String, TargetError> {
        serde_json::to_string(point).map_err(|error| unreadable(target, "load.point", &error))
    }

    /// What was read.
    ///
    /// # Errors
    /// Where a field is not as it was written.
    pub fn read(self, target: &str) -> Result<LoadRecord, TargetError> {
        let plan = serde_json::from_str(&self.plan);
        let point = serde_json::from_str(&self.point);
        Ok(LoadRecord {
            snapshot: self.snapshot,
            plan: plan.map_err(|error| unreadable(target, "load.plan", &error))?,
            point: point.map_err(|error| unreadable(target, "load.point", &error))?,
        })
    }
}

fn unreadable(target: &str, field: &'static str, why: &dyn std::fmt::Display) -> TargetError {
    TargetError::Position { target: target.to_owned(), field, why: why.to_string() }
}
