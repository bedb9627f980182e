use crate::settings::Selection;

/// What is to be captured, as far as it decides what is needed.
#[derive(Debug, Clone)]
pub struct CheckScope<'a> {
    pub slot: &'a str,
    pub publication: &'a str,
    pub selection: &'a Selection,
    /// A slot that was invalidated is dropped before another is made.
    pub lost_slot_goes: bool,
    /// The slot is to reach standbys.
    pub failover: bool,
    /// Schema changes are to be recorded.
    pub ddl: bool,
}
