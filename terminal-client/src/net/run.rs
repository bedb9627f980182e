use wire::Change;

use crate::target::Operation;

/// Fewer changes than this are applied one by one: nothing is won by more.
const FEW_CHANGES: usize = 64;
/// So are those with a value that is larger, which would be held several times.
const LARGE_BYTES: usize = 1 << 20;

/// Changes in order, and how they are to be applied.
#[derive(Debug)]
pub enum Run {
    /// By their net effect, where they have one.
    Many(Vec<Operation>),
    /// One by one.
    OneByOne(Vec<Operation>),
}

impl Run {
    /// Its changes.
    pub fn into_operations(self) -> Vec<Operation> {
        match self {
            Self::Many(operations) | Self::OneByOne(operations) => operations,
        }
    }
}

/// Takes the next run from the front: truncates stand alone, between what comes before and behind them.
pub fn next_run(rest: &mut Vec<Operation>) -> Option<Run> {
    let truncates = is_truncate(rest.first()?);
    let len = rest.iter().take_while(|next| is_truncate(next) == truncates).count();
    let behind = rest.split_off(len);
    let next = std::mem::replace(rest, behind);
    let large = |operation: &Operation| operation.len() >= LARGE_BYTES;
    let many = !truncates && next.len() >= FEW_CHANGES && !next.iter().any(large);
    Some(if many { Run::Many(next) } else { Run::OneByOne(next) })
}

fn is_truncate(operation: &Operation) -> bool {
    matches!(operation.change, Change::Truncate { .. })
}
