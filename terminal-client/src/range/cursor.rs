use bytes::Bytes;
use wire::{DecodeError, Hash, HugeTransaction, Lsn, Record, Records};

use super::{
    closed::{Range, RangeChannel},
    error::{Malformed, Place, RangeError},
    payload::Chunks,
    relations::Relations,
};
use crate::position::Position;

/// One transaction's run in a channel, with the channel's running hash after it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) lsn: Lsn,
    pub(super) hash: Hash,
    pub(super) body: RunBody,
}

#[derive(Debug)]
pub(super) enum RunBody {
    Memory(Bytes),
    Huge(HugeTransaction),
}

/// Walks one channel of a range in order, hashing; hands out what is behind the own position.
/// Reaching the end without an error proves the channel.
#[derive(Debug)]
pub(super) struct ChannelCursor {
    place: Place,
    through: Lsn,
    claimed: (Hash, u64),
    own: (Lsn, Option<Hash>),
    met_own: bool,
    hash: Hash,
    runs: u64,
    chunks: Chunks,
    records: Option<Records>,
}

impl ChannelCursor {
    pub(super) fn new(
        range: &Range,
        channel: &RangeChannel,
        own: &Position,
    ) -> Result<Self, RangeError> {
        let place = Place {
            source: range.source.clone(),
            channel: channel.channel.clone(),
            lsn: range.after,
        };
        let chunks = match channel.payload.chunks() {
            Ok(chunks) => chunks,
            Err(error) => return Err(RangeError::Malformed { place, error }),
        };
        Ok(Self {
            place,
            through: range.through,
            claimed: (channel.after, channel.transactions),
            own: (own.lsn, own.hash(&channel.channel)),
            met_own: false,
            hash: channel.before,
            runs: 0,
            chunks,
            records: None,
        })
    }

    /// The next transaction behind the own position; `None` once the end was reached and found right.
    pub(super) fn next(&mut self, relations: &mut Relations) -> Result<Option<Run>, RangeError> {
        while let Some(record) = self.next_record()? {
            let (lsn, digest, body) = match record {
                Record::Relation(relation) => {
                    relations.learn(relation);
                    continue;
                }
                Record::Transaction { lsn, run } => (lsn, Hash::of(&run), RunBody::Memory(run)),
                Record::Huge(huge) => (huge.lsn, huge.digest, RunBody::Huge(huge)),
            };
            self.check_order(lsn)?;
            if lsn > self.own.0 {
                self.meet_own()?;
            }
            self.hash = self.hash.extended(lsn, digest);
            self.place.lsn = lsn;
            self.runs += 1;
            if lsn > self.own.0 {
                return Ok(Some(Run { lsn, hash: self.hash, body }));
            }
        }
        // A range that ends before the own position says nothing of it.
        if self.own.0 <= self.through {
            self.meet_own()?;
        }
        self.check_end()?;
        Ok(None)
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn malformed(&self, error: impl Into<Malformed>) -> RangeError {
        RangeError::Malformed { place: self.place.clone(), error: error.into() }
    }

    fn next_record(&mut self) -> Result<Option<Record>, RangeError> {
        loop {
            if let Some(record) = self.records.as_mut().and_then(Iterator::next) {
                return record.map(Some).map_err(|error: DecodeError| self.malformed(error));
            }
            match self.chunks.next_chunk() {
                Ok(Some(chunk)) => self.records = Some(Records::new(chunk)),
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.malformed(error)),
            }
        }
    }

    fn check_order(&self, found: Lsn) -> Result<(), RangeError> {
        let (after, through) = (self.place.lsn, self.through);
        if after < found && found <= through {
            Ok(())
        } else {
            Err(self.malformed(Malformed::Order { after, through, found }))
        }
    }

    /// Once, where the own position is passed: the history up to there must be the own one.
    fn meet_own(&mut self) -> Result<(), RangeError> {
        if std::mem::replace(&mut self.met_own, true) {
            return Ok(());
        }
        match self.own.1 {
            Some(own) if own != self.hash => {
                Err(RangeError::Fork { place: self.place.clone(), own, found: self.hash })
            }
            _ => Ok(()),
        }
    }

    fn check_end(&self) -> Result<(), RangeError> {
        let (claimed, count) = self.claimed;
        if self.runs != count {
            let error = Malformed::Count { claimed: count, found: self.runs };
            return Err(self.malformed(error));
        }
        if self.hash != claimed {
            let place = self.place.clone();
            return Err(RangeError::Chain { place, computed: self.hash, claimed });
        }
        Ok(())
    }
}
