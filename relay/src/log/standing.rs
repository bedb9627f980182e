//! How a log stands, and what may follow: no I/O, no clock.

use std::sync::Arc;

use wire::{
    ChannelHashes, ChannelMap, Commit, Facts, Hash, Lineage, Lsn, SliceHeader, SourceName,
    Succession,
};

use super::{
    catalog::{ClosedState, SourceRecord},
    damage::Damage,
    refusal::Refusal,
};

/// How a log stands: everything that an append is judged by and that readers need to know.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The source.
    pub source: SourceName,
    /// Its history.
    pub lineage: Lineage,
    /// The newest capture session.
    pub session: u64,
    /// The newest durable position; none until the log has begun.
    pub head: Option<Lsn>,
    /// The oldest position that can be read from.
    pub horizon: Option<Lsn>,
    /// The channels' hashes at head.
    pub hashes: ChannelHashes,
    /// The channel map in force at head.
    pub channel_map: Option<ChannelMap>,
    /// The newest commit.
    pub known: Option<Commit>,
    /// The master as the log has known it.
    pub facts: Facts,
    /// Signs URLs.
    pub secret: Hash,
    /// Where the newest slice begins, if it is a progress slice.
    pub progress_after: Option<Lsn>,
    /// The histories that the log succeeds, oldest first.
    pub succeeds: Arc<[Succession]>,
    /// The log that has taken this one's place, and why.
    pub succeeded: Option<Arc<(Lineage, String)>>,
    /// From where on acknowledged slices are lost or damaged.
    pub damage: Option<Damage>,
}

/// What becomes of an append.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It follows.
    Apply,
    /// It is in the log already.
    Repeat,
    /// What comes before it may be under way.
    Wait,
}

impl Standing {
    /// From what the catalogue says: as of the end of the closed ranges.
    pub(super) fn of(
        source: SourceName,
        record: SourceRecord,
        closed: Option<ClosedState>,
    ) -> Self {
        let (head, hashes, channel_map, known) = match closed {
            Some(state) => (Some(state.through), state.hashes, state.channel_map, state.known),
            None => Default::default(),
        };
        Self {
            source,
            lineage: record.lineage,
            session: record.session,
            head,
            horizon: record.horizon,
            hashes,
            channel_map,
            known,
            facts: record.facts,
            secret: record.secret,
            progress_after: None,
            succeeds: record.succeeds.into(),
            succeeded: None,
            damage: None,
        }
    }

    /// Whether the slice may be appended now.
    pub(super) fn judge(&self, session: u64, slice: &SliceHeader) -> Result<Verdict, Refusal> {
        self.check_session(session)?;
        if let Some(damage) = &self.damage {
            return Err(Refusal::Damaged(damage.clone()));
        }
        if slice.source != self.source {
            return Err(Refusal::Malformed(format!(
                "the slice is of source '{}', this log of '{}'",
                slice.source, self.source
            )));
        }
        if slice.lineage != self.lineage {
            return Err(Refusal::OtherLineage { ours: self.lineage, theirs: slice.lineage });
        }
        let (after, through) = (slice.after, slice.through);
        let Some(head) = self.head else { return Err(Refusal::NotBegun) };
        if through <= head {
            return Ok(Verdict::Repeat);
        }
        if through == after {
            return Err(Refusal::Malformed(format!("the slice ({after}, {through}] is empty")));
        }
        if after > head {
            return Ok(Verdict::Wait);
        }
        if after < head {
            return Err(Refusal::Gap { head, after, through });
        }
        self.check_chain(slice)?;
        Ok(Verdict::Apply)
    }

    /// The lineages that the log succeeds, oldest first.
    pub(crate) fn succeeded_lineages(&self) -> Vec<Lineage> {
        self.succeeds.iter().map(|of| of.lineage).collect()
    }

    /// Whether the session is the newest.
    pub(crate) fn check_session(&self, session: u64) -> Result<(), Refusal> {
        if session == self.session && session > 0 {
            return Ok(());
        }
        Err(Refusal::Fenced { session, newest: self.session })
    }

    /// Whether the slice's hashes continue the log's.
    pub(super) fn check_chain(&self, slice: &SliceHeader) -> Result<(), Refusal> {
        for part in &slice.channels {
            let ours = self.hashes.get(self.lineage, &part.channel);
            if part.before != ours {
                return Err(Refusal::Chain { channel: part.channel.clone(), after: slice.after });
            }
        }
        Ok(())
    }

    /// The standing once the slice is in. `map` is its channel map, read.
    pub(super) fn advance(&mut self, slice: &SliceHeader, map: Option<ChannelMap>) {
        self.progress_after = slice.is_progress().then_some(slice.after);
        self.head = Some(slice.through);
        for part in &slice.channels {
            self.hashes.set(part.channel.clone(), part.after);
        }
        if slice.commit.is_some() {
            self.known = slice.commit;
        }
        if map.is_some() {
            self.channel_map = map;
        }
    }
}

/// The channel map that a slice brings, if it brings one.
pub(super) fn channel_map(slice: &SliceHeader) -> Result<Option<ChannelMap>, Refusal> {
    slice
        .channel_map
        .as_deref()
        .map(|json| {
            serde_json::from_slice(json).map_err(|error| {
                Refusal::Malformed(format!("the slice's channel map cannot be read: {error}"))
            })
        })
        .transpose()
}
