//! What a capture is told to do.

use std::{fmt, time::Duration};

use wire::{ChannelRule, SourceName};

use crate::{
    append::{RelayAddress, Token},
    source::Source,
};

/// What becomes of tables whose rows nothing identifies: published, their updates would fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keyless {
    /// They stop capture at the start, with the list and the SQL.
    #[default]
    Refuse,
    /// They are set to REPLICA IDENTITY FULL.
    Full,
    /// They are left out, by name.
    Skip,
}

/// What becomes of a lost slot: one that the master dropped or invalidated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnLostSlot {
    /// Capture stops, and says why.
    #[default]
    Stop,
    /// The history begins anew, with a new slot and a new copy, which all terminals load.
    Resnapshot,
}

/// Which tables are captured: `schema.table` patterns in which `*` stands for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TablePatterns(Vec<String>);

impl TablePatterns {
    /// All tables where no pattern is given.
    pub fn new(patterns: Vec<String>) -> Result<Self, wire::PatternError> {
        patterns.iter().try_for_each(|pattern| ChannelRule::check_pattern(pattern))?;
        Ok(Self(patterns))
    }

    /// Whether the table is meant.
    pub fn matches(&self, schema: &str, table: &str) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let rule =
            ChannelRule { channel: wire::ChannelName::default_channel(), tables: self.0.clone() };
        rule.matches(schema, table)
    }
}

impl TablePatterns {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for TablePatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("*.*") } else { f.write_str(&self.0.join(", ")) }
    }
}

/// Columns that are left out: `schema.table.column` patterns in which `*` stands for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnPatterns(Vec<String>);

/// A pattern without a table or a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no column: write schema.table.column, where * stands for any characters")]
pub struct ColumnPatternError(String);

impl ColumnPatterns {
    /// None where no pattern is given.
    pub fn new(patterns: Vec<String>) -> Result<Self, ColumnPatternError> {
        let names_one = |pattern: &str| {
            let parts: Vec<&str> = pattern.splitn(3, '.').collect();
            parts.len() == 3 && parts.iter().all(|part| !part.is_empty())
        };
        match patterns.iter().find(|pattern| !names_one(pattern)) {
            Some(wrong) => Err(ColumnPatternError(wrong.clone())),
            None => Ok(Self(patterns)),
        }
    }

    /// The pattern that leaves the column out.
    pub fn matching(&self, schema: &str, table: &str, column: &str) -> Option<&str> {
        let (table, channel) = (format!("{schema}.{table}"), wire::ChannelName::default_channel());
        let meant = |pattern: &&String| {
            let rule = ChannelRule { channel: channel.clone(), tables: vec![(*pattern).clone()] };
            rule.matches(&table, column)
        };
        self.0.iter().find(meant).map(String::as_str)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// What of the master is captured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The tables.
    pub tables: TablePatterns,
    /// Columns of theirs that never leave the master.
    pub exclude: ColumnPatterns,
    /// What becomes of tables without a usable replica identity.
    pub keyless: Keyless,
}

/// All that `run` is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The master.
    pub source: Source,
    /// The source's name at the relay.
    pub name: SourceName,
    /// Relays, in the order they are tried.
    pub relays: Vec<RelayAddress>,
    /// The token for them.
    pub token: Option<Token>,
    /// The replication slot.
    pub slot: String,
    /// The publication.
    pub publication: String,
    /// What becomes of a lost slot.
    pub on_lost_slot: OnLostSlot,
    /// Standbys get the slot.
    pub failover: bool,
    /// What is captured.
    pub selection: Selection,
    /// Schema changes are recorded by event triggers, and carried.
    pub ddl: bool,
    /// Which table goes into which channel.
    pub channels: Vec<ChannelRule>,
    /// How often a commit is made where none comes by itself while WAL grows. Default 60 s.
    pub heartbeat_every: Duration,
    /// How long master and relay may be out of reach at the start. Default 30 s.
    pub start_within: Duration,
    /// How long making the slot may wait for transactions that are open. Default 10 min.
    pub slot_within: Duration,
    /// Connections that read the tables for a copy, at most. Default 4.
    pub copy_connections: usize,
    /// How old the newest snapshot may grow before another is taken. Default: as old as it gets.
    pub snapshot_every: Option<Duration>,
}

/// Slot and publication are named after the source: `tailwater_` and the name, in characters that
/// a slot may have.
pub fn object_name(source: &SourceName) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '_') => c,
        _ => '_',
    };
    let name: String = source.as_str().chars().map(plain).collect();
    let full = format!("tailwater_{name}");
    full.chars().take(63).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_suit_a_slot() {
        let name = |source: &str| object_name(&SourceName::new(source).unwrap());
        assert_eq!(name("orders"), "tailwater_orders");
        assert_eq!(name("Store-1.eu"), "tailwater_store_1_eu");
        assert_eq!(name(&"x".repeat(63)).len(), 63);
    }

    #[test]
    fn no_pattern_means_all_tables() {
        assert!(TablePatterns::default().matches("a", "b"));
        let some = TablePatterns::new(vec!["sales.*".into()]).unwrap();
        assert!(some.matches("sales", "x") && !some.matches("public", "x"));
        assert!(TablePatterns::new(vec!["sales".into()]).is_err());
    }

    #[test]
    fn columns_are_named_with_their_table() {
        let patterns = |list: &[&str]| {
            ColumnPatterns::new(list.iter().map(|pattern| (*pattern).to_owned()).collect())
        };
        let some = patterns(&["public.customer.iban", "hr.*.salary*"]).unwrap();
        assert_eq!(some.matching("public", "customer", "iban"), Some("public.customer.iban"));
        assert_eq!(some.matching("hr", "staff", "salary_eur"), Some("hr.*.salary*"));
        assert_eq!(some.matching("public", "customer", "iban2"), None);
        assert_eq!(some.matching("other", "customer", "iban"), None);
        for wrong in ["iban", "customer.iban", "public.customer.", ".customer.iban"] {
            assert!(patterns(&[wrong]).unwrap_err().to_string().contains(wrong));
        }
    }
}
