//! What a target database must do, and what it keeps. `postgres` and `sqlite` implement it.

mod error;
mod interface;
mod operation;
mod row;
mod stored;

pub use error::{TargetError, Unapplied};
pub use interface::Target;
pub use operation::{Operation, old_tuple};
pub use row::StoredRow;
pub use stored::{Stored, StoredState};
