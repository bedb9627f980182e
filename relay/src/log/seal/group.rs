//! Which slices become one range.

use std::collections::BTreeMap;

use wire::{ChannelName, Lsn, Part, PartObject, SliceHeader};

use crate::log::{
    catalog::ClosedState,
    error::StoreError,
    standing::channel_map,
    tail::{StoredHeader, Tail},
};

/// More slices than this are not gathered: their positions are kept in memory.
const MOST_SLICES: usize = 1 << 16;

/// Consecutive slices and what a range over them says of itself.
#[derive(Debug)]
pub(super) struct Group {
    /// The joined header; payload lengths are not filled in.
    pub(super) header: SliceHeader,
    /// For each channel, in the header's order, the positions that its slices begin at.
    pub(super) slices: Vec<Vec<Lsn>>,
    /// How the log stands at its end.
    pub(super) state: ClosedState,
    /// The objects, where the group is one item that is a closed range already.
    pub(super) closed: Option<Vec<PartObject>>,
}

/// Gathers slices from where `state` stands, at most up to `limit`, until a channel has
/// `object_bytes`; none where nothing is left. What is a closed range already stays alone.
pub(super) fn gather(
    tail: &dyn Tail,
    mut state: ClosedState,
    limit: Lsn,
    object_bytes: u64,
) -> Result<Option<Group>, StoreError> {
    let mut joined: Option<SliceHeader> = None;
    let mut channels: BTreeMap<ChannelName, (Part, Vec<Lsn>)> = BTreeMap::new();
    let mut count = 0;
    let mut closed = None;
    while state.through < limit && count < MOST_SLICES {
        let stored = next(tail, state.through)?;
        let slice = &stored.header;
        let full = channels.values().any(|(part, _)| part.raw_len >= object_bytes);
        if joined.is_some() && (stored.objects.is_some() || full) {
            break;
        }
        join_header(joined.get_or_insert_with(|| begun(slice)), slice);
        join_channels(&mut channels, slice);
        advance(&mut state, slice)?;
        count += 1;
        closed = stored.objects;
        if closed.is_some() {
            break;
        }
    }
    let Some(mut header) = joined else { return Ok(None) };
    let (parts, slices) = channels.into_values().unzip();
    header.channels = parts;
    Ok(Some(Group { header, slices, state, closed }))
}

fn next(tail: &dyn Tail, position: Lsn) -> Result<StoredHeader, StoreError> {
    let found = tail.header(position)?.filter(|stored| stored.header.after == position);
    found.ok_or_else(|| StoreError::corrupt("slice", Some(position), "it is not in the tail"))
}

fn begun(first: &SliceHeader) -> SliceHeader {
    SliceHeader {
        transactions: 0,
        changes: 0,
        first_commit_us: 0,
        channel_map: None,
        channels: Vec::new(),
        ..first.clone()
    }
}

fn join_header(joined: &mut SliceHeader, slice: &SliceHeader) {
    joined.through = slice.through;
    joined.commit = slice.commit.or(joined.commit);
    joined.transactions += slice.transactions;
    joined.changes += slice.changes;
    if joined.first_commit_us == 0 {
        joined.first_commit_us = slice.first_commit_us;
    }
    if slice.channel_map.is_some() {
        joined.channel_map.clone_from(&slice.channel_map);
    }
}

fn join_channels(channels: &mut BTreeMap<ChannelName, (Part, Vec<Lsn>)>, slice: &SliceHeader) {
    for part in &slice.channels {
        let (joined, slices) = channels.entry(part.channel.clone()).or_insert_with(|| {
            let empty =
                Part { transactions: 0, changes: 0, raw_len: 0, parts: Vec::new(), ..part.clone() };
            (empty, Vec::new())
        });
        joined.after = part.after;
        joined.transactions += part.transactions;
        joined.changes += part.changes;
        joined.raw_len = joined.raw_len.saturating_add(part.raw_len);
        joined.parts.extend_from_slice(&part.parts);
        slices.push(slice.after);
    }
}

fn advance(state: &mut ClosedState, slice: &SliceHeader) -> Result<(), StoreError> {
    state.through = slice.through;
    state.known = slice.commit.or(state.known);
    for part in &slice.channels {
        state.hashes.set(part.channel.clone(), part.after);
    }
    let map = channel_map(slice)
        .map_err(|error| StoreError::corrupt("slice", Some(slice.after), error))?;
    if map.is_some() {
        state.channel_map = map;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wire::ChannelHashes;

    use super::*;
    use crate::{
        feed::{Feed, source},
        log::{engine::SledTail, tail::Item},
    };

    /// By it a capture knows its master again, so it must not be lost where only progress follows.
    #[test]
    fn the_newest_commit_outlives_progress() {
        let folder = tempfile::tempdir().unwrap();
        let tail = SledTail::open(folder.path(), &source(), 1 << 20).unwrap();
        let (begin, hashes) = (Lsn::new(1000), ChannelHashes::default());
        let lineage = wire::Lineage::from_bytes([1; 16]);
        let mut feed = Feed::new(lineage, begin, hashes.clone());
        let slices = [feed.one(&[("a", b"1")]), feed.progress()];
        slices.iter().for_each(|slice| tail.append(Item::Slice(slice), None).unwrap());
        let mut state = ClosedState { through: begin, hashes, channel_map: None, known: None };
        let commit = slices[0].header().commit;
        for limit in [1100, 1110].map(Lsn::new) {
            let group = gather(&tail, state, limit, 1 << 20).unwrap().unwrap();
            assert_eq!((group.state.through, group.state.known), (limit, commit));
            assert_eq!(group.header.commit.is_some(), limit == Lsn::new(1100));
            state = group.state;
        }
        assert!(commit.is_some());
    }
}
