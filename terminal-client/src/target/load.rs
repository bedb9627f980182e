use serde::{Deserialize, Serialize};
use wire::{Hash, Lsn, Snapshot};

use super::{error::TargetError, load_point::LoadPoint, named::Named};

/// A table that a load fills and did not make: one that was there before, or one that has a shadow.
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
    /// Tables that were there, and that a first load fills.
    pub kept: Vec<Kept>,
    /// Bytes of rows in the snapshot, in COPY text format.
    pub bytes: u64,
    /// None for a first load.
    #[serde(default)]
    pub reload: Option<Reload>,
}

/// What a load is that takes the place of an earlier one: all rows wait in shadow tables, and go to
/// where they belong together with the position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// The snapshot's position.
    pub lsn: Lsn,
    /// The tables that have a shadow.
    pub shadowed: Vec<Kept>,
}

/// A load that is under way or was interrupted, as the target keeps it, in the same transactions
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

impl LoadPlan {
    /// For a snapshot, once its tables and types are there.
    pub fn of(snapshot: &Snapshot, types: Vec<Named>, made: Vec<Named>) -> Self {
        let kept = kept_of(snapshot).filter(|kept| !made.contains(&kept.table)).collect();
        Self { types, kept, made, bytes: bytes_of(snapshot), reload: None }
    }

    /// For a reload from a snapshot, once its tables and types are there.
    pub fn of_reload(snapshot: &Snapshot, types: Vec<Named>, made: Vec<Named>) -> Self {
        let reload = Reload { lsn: snapshot.lsn, shadowed: kept_of(snapshot).collect() };
        let (kept, bytes) = (Vec::new(), bytes_of(snapshot));
        Self { types, kept, made, bytes, reload: Some(reload) }
    }

    /// Which load it is, for messages.
    pub fn kind(&self) -> &'static str {
        if self.reload.is_some() { "reload" } else { "first load" }
    }

    /// The tables that have a shadow.
    pub fn shadowed(&self) -> &[Kept] {
        self.reload.as_ref().map_or(&[], |reload| &reload.shadowed)
    }
}

fn kept_of(snapshot: &Snapshot) -> impl Iterator<Item = Kept> {
    snapshot.tables.iter().enumerate().map(|(place, table)| Kept {
        table: Named::new(&table.schema, &table.name),
        place,
        rows: table.rows,
    })
}

fn bytes_of(snapshot: &Snapshot) -> u64 {
    snapshot.tables.iter().map(|table| table.raw_len).sum()
}

/// The name of a table's shadow, whatever is in the table's; both targets keep it among their own tables.
pub fn shadow_name(schema: &str, table: &str) -> String {
    let names = serde_json::json!([schema, table]).to_string();
    let hash = Hash::of(names.as_bytes()).to_string();
    format!("shadow_{}", hash.get(..32).unwrap_or(&hash))
}

impl LoadRecord {
    /// What is written to begin with.
    pub fn begun(snapshot: &Snapshot, plan: LoadPlan) -> Self {
        Self { snapshot: snapshot_id(snapshot), plan, point: LoadPoint::default() }
    }

    /// Rows that the load has written for a table.
    pub fn rows_in(&self, kept: &Kept) -> u64 {
        let complete = kept.place < self.point.tables;
        if complete { kept.rows } else { self.point.rows_of(kept.place) }
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
