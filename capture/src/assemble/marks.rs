//! How the channels stand at a position that is learned of later: a snapshot's, which the server tells
//! only when the stream may have passed it.

use std::collections::VecDeque;

use wire::{ChannelHashes, ChannelMap, ChannelName, Hash, Lsn};

/// Commits that are kept; an older position cannot be told any more.
const MOST_KEPT: usize = 65_536;

/// How the channels stand at a position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// The running hashes.
    pub hashes: ChannelHashes,
    /// The map in force.
    pub map: ChannelMap,
}

/// The position was passed longer ago than is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stream passed the snapshot's position {lsn} too long ago: what it was like is known only from {since} on"
)]
pub struct Forgotten {
    pub lsn: Lsn,
    pub since: Lsn,
}

/// What one commit changed.
#[derive(Debug)]
pub(super) struct Mark {
    end: Lsn,
    hashes: Vec<(ChannelName, Hash)>,
    map: Option<ChannelMap>,
}

/// Notes commits until the position is known and passed.
#[derive(Debug, Default)]
pub(super) enum Marks {
    /// Nobody asks.
    #[default]
    Off,
    /// The position is not known: `base` is how the channels stood at `since`, before all that is kept.
    Noting { base: ChannelState, since: Lsn, kept: VecDeque<Mark>, most: usize },
    /// The stream has yet to pass it.
    Sought(Lsn),
    /// It has.
    Passed(Result<ChannelState, Forgotten>),
}

impl Marks {
    /// Begins; `base` is how the channels stand at `since`.
    pub(super) fn noting(base: ChannelState, since: Lsn) -> Self {
        Self::Noting { base, since, kept: VecDeque::new(), most: MOST_KEPT }
    }

    pub(super) fn is_noting(&self) -> bool {
        matches!(self, Self::Noting { .. })
    }

    /// A commit that ends at `end` gave channels these hashes, and the map if that changed.
    pub(super) fn commit(
        &mut self,
        end: Lsn,
        hashes: Vec<(ChannelName, Hash)>,
        map: Option<ChannelMap>,
    ) {
        let Self::Noting { base, since, kept, most } = self else { return };
        kept.push_back(Mark { end, hashes, map });
        if kept.len() > *most
            && let Some(mark) = kept.pop_front()
        {
            *since = mark.end;
            mark.apply(base);
        }
    }

    /// The position is known. `reached` is how far the stream is for certain: nothing more comes at or
    /// before it.
    pub(super) fn seek(&mut self, lsn: Lsn, reached: Lsn) {
        let Self::Noting { base, since, kept, .. } = self else { return };
        if lsn < *since {
            *self = Self::Passed(Err(Forgotten { lsn, since: *since }));
            return;
        }
        let mut state = std::mem::take(base);
        let mut passed = reached >= lsn;
        for mark in kept.drain(..) {
            if mark.end > lsn {
                passed = true;
                break;
            }
            mark.apply(&mut state);
        }
        *self = if passed { Self::Passed(Ok(state)) } else { Self::Sought(lsn) };
    }

    /// Nothing more comes at or before `reached`, and `state` tells how the channels stand there.
    pub(super) fn reach(&mut self, reached: Lsn, state: impl FnOnce() -> ChannelState) {
        if matches!(self, Self::Sought(lsn) if reached >= *lsn) {
            *self = Self::Passed(Ok(state()));
        }
    }

    /// How the channels stood there, once.
    pub(super) fn take(&mut self) -> Option<Result<ChannelState, Forgotten>> {
        match std::mem::take(self) {
            Self::Passed(found) => Some(found),
            other => {
                *self = other;
                None
            }
        }
    }
}

impl Mark {
    fn apply(self, state: &mut ChannelState) {
        self.hashes.into_iter().for_each(|(channel, hash)| state.hashes.set(channel, hash));
        state.map = self.map.unwrap_or(std::mem::take(&mut state.map));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bytes: u64) -> Lsn {
        Lsn::new(bytes)
    }

    fn hash(n: u64) -> Vec<(ChannelName, Hash)> {
        vec![(ChannelName::default_channel(), Hash::of(&n.to_be_bytes()))]
    }

    fn state(n: u64) -> ChannelState {
        ChannelState { hashes: hash(n).into_iter().collect(), map: ChannelMap::default() }
    }

    fn noting() -> Marks {
        let mut marks = Marks::noting(state(0), at(100));
        [110, 120, 130].into_iter().for_each(|end| marks.commit(at(end), hash(end), None));
        marks
    }

    fn found(lsn: u64, reached: u64) -> Option<Result<ChannelState, Forgotten>> {
        let mut marks = noting();
        marks.seek(at(lsn), at(reached));
        marks.take()
    }

    #[test]
    fn the_last_commit_at_or_before_it_counts() {
        assert_eq!(found(100, 130), Some(Ok(state(0))));
        assert_eq!(found(109, 130), Some(Ok(state(0))));
        assert_eq!(found(110, 130), Some(Ok(state(110))));
        assert_eq!(found(129, 130), Some(Ok(state(120))));
        assert_eq!(found(130, 130), Some(Ok(state(130))));
        assert!(matches!(found(99, 130), Some(Err(_))), "it is before what is known");
    }

    #[test]
    fn a_position_to_come_is_waited_for() {
        assert_eq!(found(131, 130), None);
        assert_eq!(found(131, 131), Some(Ok(state(130))));
        let mut marks = noting();
        marks.seek(at(150), at(130));
        marks.reach(at(149), || state(1));
        assert_eq!(marks.take(), None);
        marks.reach(at(150), || state(2));
        marks.reach(at(160), || state(3));
        assert_eq!(marks.take(), Some(Ok(state(2))));
        assert!(matches!(marks, Marks::Off));
    }

    #[test]
    fn what_is_dropped_is_not_guessed_at() {
        let mut marks =
            Marks::Noting { base: state(0), since: at(100), kept: VecDeque::new(), most: 2 };
        [110, 120, 130].into_iter().for_each(|end| marks.commit(at(end), hash(end), None));
        marks.seek(at(109), at(130));
        assert_eq!(marks.take(), Some(Err(Forgotten { lsn: at(109), since: at(110) })));
        let mut marks =
            Marks::Noting { base: state(0), since: at(100), kept: VecDeque::new(), most: 2 };
        [110, 120, 130].into_iter().for_each(|end| marks.commit(at(end), hash(end), None));
        marks.seek(at(115), at(130));
        assert_eq!(marks.take(), Some(Ok(state(110))));
    }
}
