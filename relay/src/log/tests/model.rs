//! Random histories with restarts and stops at random operations, beside a model that is a list.

use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestCaseResult};
use wire::{ChannelName, Hash, Lsn, Slice};

use super::{
    faults::Faults,
    faulty::open_faulty,
    fixture::{BEGIN, begun, resumed, small},
    reader::Reader,
    sealing::noise,
};
use crate::{
    feed::{Feed, channel},
    log::{Channels, Log, LogSettings},
};

#[derive(Clone, Debug)]
enum Step {
    /// Transactions of one slice: which channels each touches, and how large it is.
    Append(Vec<(bool, bool, u16)>),
    Progress,
    /// An append that came already.
    Repeat,
    Session,
    Reopen,
    /// All operations fail after so many.
    Stop(u8),
    /// A terminal reads: how much at once, which channel.
    Read {
        limit: u16,
        only: Option<bool>,
    },
    /// A terminal that stands at an earlier commit goes on from there.
    Resume(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let transaction = (any::<bool>(), any::<bool>(), 0_u16..3000);
    prop_oneof![
        8 => prop::collection::vec(transaction, 1..8).prop_map(Step::Append),
        2 => Just(Step::Progress),
        1 => Just(Step::Repeat),
        1 => Just(Step::Session),
        1 => Just(Step::Reopen),
        1 => (0_u8..40).prop_map(Step::Stop),
        2 => (any::<u16>(), any::<Option<bool>>()).prop_map(|(limit, only)| Step::Read { limit, only }),
        1 => any::<u8>().prop_map(Step::Resume),
    ]
}

type Commits = BTreeMap<ChannelName, Vec<(Lsn, Hash)>>;

struct World {
    faults: Faults,
    log: Option<Log>,
    session: u64,
    feed: Feed,
    acknowledged: Lsn,
    last: Option<Slice>,
    /// What readers have seen so far: nothing of it may ever change.
    seen: Commits,
    /// Goes last: a log that is open still writes.
    folder: tempfile::TempDir,
}

fn settings() -> LogSettings {
    LogSettings { room_wait: std::time::Duration::from_millis(500), ..small() }
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (log, session, feed) = begun(folder.path(), settings()).await;
        drop(log);
        let faults = Faults::none();
        let log = Some(open_faulty(folder.path(), settings(), &faults));
        Self {
            folder,
            faults,
            log,
            session,
            feed,
            acknowledged: BEGIN,
            last: None,
            seen: Commits::new(),
        }
    }

    fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    async fn reopen(&mut self) {
        self.log = None;
        self.faults.after(i64::MAX);
        self.log = Some(open_faulty(self.folder.path(), settings(), &self.faults));
        let standing = self.log().standing();
        assert_eq!(standing.damage, None);
        assert!(standing.head >= Some(self.acknowledged));
        self.resume().await;
    }

    /// Capture begins again at the head, as after any error.
    async fn resume(&mut self) {
        let at = self.feed.at;
        let (session, mut feed) = resumed(self.log()).await;
        assert_eq!(session, self.log().standing().session);
        // Its transactions do not come twice with other content.
        feed.commit_time_us = i64::try_from(at).unwrap();
        (self.session, self.feed, self.last) = (session, feed, None);
    }

    async fn append(&mut self, slice: Slice) {
        let through = slice.header().through;
        match self.log().append(self.session, slice.clone()).await {
            Ok(durable) => {
                assert_eq!(durable, through);
                self.acknowledged = through;
                self.last = Some(slice);
            }
            Err(refused) => {
                assert!(self.faults.struck(), "{refused}");
                self.reopen().await;
            }
        }
    }

    fn read(&mut self, limit: u64, only: Option<bool>) -> TestCaseResult {
        let names: Vec<ChannelName> = match only {
            None => vec![channel("a"), channel("b")],
            Some(first) => vec![channel(if first { "a" } else { "b" })],
        };
        let channels = match only {
            None => Channels::All,
            Some(_) => Channels::Only(names.iter().cloned().collect()),
        };
        let mut reader = Reader::new(self.feed.lineage, BEGIN, channels);
        let head = self.log().standing().head.unwrap();
        reader
            .catch_up(self.log(), limit)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(reader.at, head);
        for name in names {
            let now = reader.commits.remove(&name).unwrap_or_default();
            let before = self.seen.insert(name, now.clone()).unwrap_or_default();
            prop_assert!(now.starts_with(&before));
        }
        Ok(())
    }

    /// A reader that had pulled up to some commit, and goes on.
    fn go_on(&mut self, n: u8) -> TestCaseResult {
        let mut whole = Reader::new(self.feed.lineage, BEGIN, Channels::All);
        whole.catch_up(self.log(), 1 << 20).unwrap();
        let mut ends: Vec<Lsn> = whole.commits.values().flatten().map(|(lsn, _)| *lsn).collect();
        ends.sort();
        ends.dedup();
        let Some(at) = ends.get(usize::from(n) % ends.len().max(1)).copied() else { return Ok(()) };
        let mut part = Reader::new(self.feed.lineage, BEGIN, Channels::All);
        part.at = at;
        for (name, commits) in &whole.commits {
            let old: Vec<_> = commits.iter().take_while(|(lsn, _)| *lsn <= at).copied().collect();
            let hash =
                old.iter().fold(Hash::genesis(self.feed.lineage, name), |hash, (lsn, digest)| {
                    hash.extended(*lsn, *digest)
                });
            if !old.is_empty() {
                part.hashes.set(name.clone(), hash);
                part.commits.insert(name.clone(), old);
            }
        }
        part.catch_up(self.log(), 3000).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(part.commits, whole.commits);
        Ok(())
    }

    async fn step(&mut self, step: Step) -> TestCaseResult {
        match step {
            Step::Append(transactions) => {
                for (n, (a, b, len)) in (0..).zip(transactions) {
                    let row = noise(self.feed.at + n, usize::from(len));
                    let mut rows: Vec<(&str, &[u8])> = Vec::new();
                    if a || !b {
                        rows.push(("a", &row));
                    }
                    if b {
                        rows.push(("b", &row));
                    }
                    self.feed.commit(&rows);
                }
                let slice = self.feed.slice();
                self.append(slice).await;
            }
            Step::Progress => {
                let slice = self.feed.progress();
                self.append(slice).await;
            }
            Step::Repeat => {
                if let Some(slice) = self.last.clone() {
                    let again = self.log().append(self.session, slice).await;
                    prop_assert!(
                        again.is_ok_and(|head| head == self.acknowledged) || self.faults.struck()
                    );
                }
            }
            Step::Session if !self.faults.struck() => {
                self.faults.after(i64::MAX);
                self.resume().await;
            }
            Step::Session => {}
            Step::Reopen => self.reopen().await,
            Step::Stop(count) => self.faults.after(i64::from(count)),
            Step::Read { limit, only } => self.read(u64::from(limit), only)?,
            Step::Resume(n) => self.go_on(n)?,
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_a_list_whatever_happens(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.step(step).await?;
            }
            world.reopen().await;
            world.read(1 << 20, None)
        })?;
    }
}
