//! A terminal's side: pulls until the head, recomputes every hash, keeps every run.

use std::collections::BTreeMap;

use wire::{
    ChannelHashes, ChannelName, ChunkReader, Hash, Lineage, Lsn, ObjectReader, Record, Records,
};

use super::fixture::{Got, get, pull};
use crate::log::{Channels, ClosedRange, Log, ReadError};

/// What a terminal that began at a position has by now.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) at: Lsn,
    pub(super) hashes: ChannelHashes,
    /// The commits of each channel, with the digest of what they brought.
    pub(super) commits: BTreeMap<ChannelName, Vec<(Lsn, Hash)>>,
    lineage: Lineage,
    channels: Channels,
}

impl Reader {
    pub(super) fn new(lineage: Lineage, at: Lsn, channels: Channels) -> Self {
        let (hashes, commits) = Default::default();
        Self { at, hashes, commits, lineage, channels }
    }

    /// Pulls until the head.
    pub(super) fn catch_up(&mut self, log: &Log, limit_bytes: u64) -> Result<(), ReadError> {
        loop {
            let mut pull = pull(self.at, limit_bytes, self.channels.clone());
            pull.hashes = self.hashes.iter().map(|(name, hash)| (name.clone(), hash)).collect();
            let before = self.at;
            match get(log, &pull)? {
                Got::Nothing => return Ok(()),
                Got::Slices(slices) => {
                    for slice in slices {
                        let header = slice.header();
                        self.advance(header.after, header.through);
                        for (part, payload) in slice.parts() {
                            assert!(part.parts.is_empty(), "parts came inline");
                            self.take(log, &part.channel, payload, part.before, part.after);
                        }
                    }
                }
                Got::Ranges(ranges) => ranges.iter().for_each(|range| self.range(log, range)),
            }
            assert!(self.at > before, "no progress at {before}");
        }
    }

    fn range(&mut self, log: &Log, range: &ClosedRange) {
        self.advance(range.header.after, range.header.through);
        for (part, object) in range.header.channels.iter().zip(&range.objects) {
            if self.channels.keep(&part.channel) {
                let bytes = log.objects().read(object.name, 0, usize::MAX).unwrap();
                assert_eq!(bytes.len() as u64, object.len);
                let object = ObjectReader::named(bytes, object.name).unwrap();
                object.check().unwrap();
                assert_eq!(object.header().raw_len, part.raw_len);
                let payload = object.payload().clone();
                self.take(log, &part.channel, payload, part.before, part.after);
            }
        }
    }

    fn advance(&mut self, after: Lsn, through: Lsn) {
        assert!(after <= self.at, "a gap: at {}, and ({after}, {through}] came", self.at);
        self.at = self.at.max(through);
    }

    /// Hashes what is new, and compares with what the header says; what is old must hash to where
    /// this reader stood.
    fn take(
        &mut self,
        log: &Log,
        name: &ChannelName,
        payload: bytes::Bytes,
        before: Hash,
        after: Hash,
    ) {
        let known = self.hashes.get(self.lineage, name);
        let seen = self.commits.get(name).and_then(|all| all.last()).map_or(Lsn::ZERO, |(l, _)| *l);
        let mut hash = before;
        let mut met = hash == known;
        let mut defined = false;
        let mut chunks = ChunkReader::new(payload).unwrap();
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            for record in Records::new(chunk) {
                let (lsn, digest) = match record.unwrap() {
                    Record::Relation(_) => {
                        defined = true;
                        continue;
                    }
                    Record::Transaction { lsn, run } => (lsn, Hash::of(&run)),
                    Record::Huge(huge) => {
                        let mut run = Vec::new();
                        for part in huge.parts {
                            let bytes = log.objects().read(part, 0, usize::MAX).unwrap();
                            let object = ObjectReader::named(bytes, part).unwrap();
                            let mut chunks = object.chunks().unwrap();
                            while let Some(chunk) = chunks.next_chunk().unwrap() {
                                run.extend_from_slice(&chunk);
                            }
                        }
                        assert_eq!(run.len() as u64, huge.raw_len);
                        assert_eq!(Hash::of(&run), huge.digest);
                        (huge.lsn, huge.digest)
                    }
                };
                assert!(defined, "channel {name} at {lsn}: its table is not defined before it");
                hash = hash.extended(lsn, digest);
                if lsn > seen {
                    assert!(
                        met,
                        "channel {name} at {lsn}: what came does not continue this history"
                    );
                    self.commits.entry(name.clone()).or_default().push((lsn, digest));
                }
                met |= hash == known;
            }
        }
        assert_eq!(hash, after, "channel {name}: the recomputed hash");
        self.hashes.set(name.clone(), hash);
    }
}
