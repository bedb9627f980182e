use wire::{
    CONTROL_PREFIX, Change, ChannelMap, ChannelName, ControlRecord, SCHEMA, SCHEMA_CHANGES,
};

/// The channel map in force, and whether the log has yet to be told that it changed.
///
/// A table that no record of the map binds is bound when the stream first describes it, so that a
/// later rename moves nothing; the slice that brings it notes the map. Map and WAL alone decide this.
#[derive(Debug)]
pub(super) struct Mapping {
    map: ChannelMap,
    changed: bool,
}

impl Mapping {
    pub(super) fn new(map: ChannelMap) -> Self {
        Self { map, changed: false }
    }

    /// Where capture speaks is no question of configuration, and nobody else may write there.
    pub(super) fn channel(&self, oid: u32, schema: &str, table: &str) -> ChannelName {
        if (schema, table) == (SCHEMA, SCHEMA_CHANGES) {
            return ChannelName::control();
        }
        self.map.channel(oid, schema, table)
    }

    /// The map in force.
    pub(super) fn map(&self) -> &ChannelMap {
        &self.map
    }

    /// Binds a table that is not bound yet. Nothing is ever bound to `control`: that goes by name.
    pub(super) fn bind(&mut self, oid: u32, channel: &ChannelName) {
        if channel.is_control() {
            return;
        }
        self.map.tables.entry(oid).or_insert_with(|| {
            self.changed = true;
            channel.clone()
        });
    }

    /// Takes the map of a record. Tables that are bound stay where they are, whatever it says: their
    /// rows at the terminals cannot follow.
    pub(super) fn switch(&mut self, map: ChannelMap) {
        let bound = std::mem::replace(&mut self.map, map).tables;
        self.map.tables.extend(bound);
        self.changed = true;
    }

    /// The map as JSON, once after it changed.
    pub(super) fn take_note(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.changed).then(|| serde_json::to_vec(&self.map).ok()).flatten()
    }
}

/// The channel map that a message of capture's own carries.
pub(super) fn map_of<R>(message: &Change<R>) -> Option<ChannelMap> {
    let Change::Message { prefix, content, transactional: true } = message else { return None };
    if prefix != CONTROL_PREFIX {
        return None;
    }
    match serde_json::from_slice(content) {
        Ok(ControlRecord::Channels { map }) => Some(map),
        Ok(
            ControlRecord::Heartbeat
            | ControlRecord::Joined { .. }
            | ControlRecord::Sequences { .. },
        ) => None,
        Err(error) => {
            // Anyone may write a message of this prefix, so it cannot be reason enough to stop.
            tracing::warn!(%error, "a message with the prefix '{CONTROL_PREFIX}' is none of ours: it is carried, and has no effect");
            None
        }
    }
}

/// The channel of a message.
pub(super) fn message_channel(prefix: &str) -> ChannelName {
    if prefix == CONTROL_PREFIX { ChannelName::control() } else { ChannelName::default_channel() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_tables_stay_and_the_log_is_told_once() {
        let sales = ChannelName::new("sales").unwrap();
        let mut mapping = Mapping::new(ChannelMap::default());
        mapping.bind(7, &sales);
        assert!(mapping.take_note().is_some());
        mapping.bind(7, &ChannelName::default_channel());
        assert_eq!(mapping.take_note(), None);
        let other = ChannelName::new("other").unwrap();
        let tables = [(7, other.clone()), (8, other.clone())].into();
        mapping.switch(ChannelMap { rules: Vec::new(), tables });
        assert_eq!(mapping.channel(7, "s", "t"), sales);
        assert_eq!(mapping.channel(8, "s", "t"), other);
        assert!(mapping.take_note().is_some());
    }
}
