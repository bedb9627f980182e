//! What a target database must do, and what it keeps: [`Target`]. PostgreSQL and SQLite implement it, and so can
//! you (`examples/own_target.rs`).

mod compare;
mod conflict;
mod copy_text;
mod error;
mod held;
mod interface;
mod known;
mod load;
mod load_point;
mod named;
mod operation;
mod proof;
mod resolve;
mod row;
mod stored;

pub use compare::{
    Compare, Difference, Differences, DifferingRow, REPAIR_BY_RELOAD, Repaired, Staged, key_columns,
};
pub use conflict::{ConflictCount, ConflictKind, Conflicts, OnConflict, OnError};
pub use copy_text::{CopyError, CopyFields, CopyLines};
pub use error::{LATER_COLUMN, LOAD_ANEW, TargetError, Unapplied};
pub use held::{HeldTransaction, Reference, UnreadableHeld};
pub use interface::{RowWriter, Target};
pub use known::{KnownTable, another_table, gone_columns, renamed_table};
pub use load::{Kept, LoadPlan, LoadRecord, LoadRow, Reload, shadow_name, snapshot_id};
pub use load_point::{LoadPoint, LoadedObject, WrongRows};
pub use named::Named;
pub use operation::{Operation, old_tuple, unchanged_column};
pub use proof::{not_exchanged, strangers, wrong_count};
pub use resolve::{Incomplete, Looks, Resolved, RowChange, resolve};
pub use row::StoredRow;
pub use stored::{Stored, StoredState};
