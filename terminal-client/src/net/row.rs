use wire::Value;

/// Values of one row.
pub type Row<'a> = Vec<&'a Value>;

/// A row of the source over the changes.
#[derive(Debug)]
pub(super) struct NetRow<'a> {
    /// What it is known by at the target; none where it was not there.
    pub(super) before: Option<Row<'a>>,
    /// Its values; none where it is gone.
    pub(super) after: Option<Row<'a>>,
}

/// The changes do not follow from each other, or are of a kind that has no net effect: they are to be applied
/// one by one, which tells what is wrong where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the changes cannot be reduced to what they come to")]
pub struct Irregular;
