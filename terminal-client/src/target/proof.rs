use wire::SnapshotTable;

use super::{
    error::TargetError,
    load::{Kept, LoadPlan},
};

/// Parts were committed on the way, in the sight of others, perhaps over days: what the tables hold is
/// what counts, not what was sent. The error where a table of a load holds another number of `rows`
/// than the snapshot.
pub fn wrong_count(
    target: &str,
    plan: &LoadPlan,
    table: &SnapshotTable,
    rows: u64,
) -> Option<TargetError> {
    if rows == table.rows {
        return None;
    }
    let (what, kind) = (if plan.reload.is_some() { "its shadow" } else { "it" }, plan.kind());
    Some(TargetError::Table {
        target: target.to_owned(),
        table: format!("{}.{}", table.schema, table.name),
        why: format!(
            "{what} has {rows} rows, and the snapshot has {}: something else wrote to it during the {kind}",
            table.rows
        ),
        advice:
            "end that, then pull again: what was loaded will be removed, and the load begins anew"
                .into(),
    })
}

/// The error where the rows of a reload did not all come to where they belong.
pub fn not_exchanged(target: &str, table: &SnapshotTable, rows: u64) -> Option<TargetError> {
    (rows != table.rows).then(|| TargetError::Table {
        target: target.to_owned(),
        table: format!("{}.{}", table.schema, table.name),
        why: format!(
            "it has {rows} rows where the snapshot's {} were put: a trigger or a rule of its own changes what is written, and nothing was exchanged",
            table.rows
        ),
        advice: "take that away, then pull again: the reload goes on at its exchange".into(),
    })
}

/// The error where rows are in a half loaded table that are not the load's: `ours` are.
pub fn strangers(
    target: &str,
    kept: &Kept,
    (ours, rows): (u64, u64),
    advice: String,
) -> Option<TargetError> {
    (rows > ours).then(|| TargetError::Table {
        target: target.to_owned(),
        table: format!("{}.{}", kept.table.schema, kept.table.name),
        why: format!(
            "an interrupted first load wrote {ours} rows to it, and now it has {rows}: the others are not the source's"
        ),
        advice,
    })
}
