use std::sync::Arc;

use wire::{Change, ChannelName, ChannelRule, Definitions, Relation, SchemaChange};

use crate::range::schema_change_text;

/// Which changes `tail` prints.
#[derive(Clone, Debug)]
pub(super) struct TailFilter(ChannelRule);

impl TailFilter {
    /// Those of tables that one of the patterns names; all, where there is none.
    pub(super) fn of(patterns: &[String]) -> Self {
        Self(ChannelRule { channel: ChannelName::control(), tables: patterns.to_vec() })
    }

    /// Whether a change that came in this channel is one of them. A message is of no table.
    pub(super) fn takes(&self, channel: &ChannelName, change: &Change<Arc<Relation>>) -> bool {
        if self.0.tables.is_empty() {
            return true;
        }
        if channel.is_control()
            && let Some(text) = schema_change_text(change)
        {
            return serde_json::from_slice(text).is_ok_and(|change| self.takes_altered(&change));
        }
        match change {
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => self.0.matches(&relation.schema, &relation.name),
            Change::Truncate { relations, .. } => {
                relations.iter().any(|of| self.0.matches(&of.schema, &of.name))
            }
            Change::Message { .. } => false,
        }
    }

    /// By its name before or after.
    fn takes_altered(&self, change: &SchemaChange) -> bool {
        let names = [&change.before, &change.after];
        let table = |of: &Option<Definitions>| Some(of.as_ref()?.tables.first()?.clone());
        names.into_iter().filter_map(table).any(|of| self.0.matches(&of.schema, &of.name))
    }
}
