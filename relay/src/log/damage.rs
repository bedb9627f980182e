use wire::Lsn;

/// Acknowledged slices that are lost or damaged: reads behind `lsn` and appends are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Everything up to here is whole.
    pub lsn: Lsn,
    /// What happened, and what to do.
    pub detail: String,
}
