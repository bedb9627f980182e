//! What a target database must do, and what it keeps. `postgres` and `sqlite` implement it.

mod error;
mod interface;
mod known;
mod load;
mod operation;
mod proof;
mod row;
mod stored;

pub use error::{LATER_COLUMN, TargetError, Unapplied};
pub use interface::Target;
pub use known::{KnownTable, gone_columns, renamed_table};
pub use load::{
    Kept, LoadPlan, LoadPoint, LoadRecord, LoadRow, Named, Reload, shadow_name, snapshot_id,
};
pub use operation::{Operation, old_tuple};
pub use proof::{not_exchanged, strangers, wrong_count};
pub use row::StoredRow;
pub use stored::{Stored, StoredState};
