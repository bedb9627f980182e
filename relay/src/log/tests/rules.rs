//! What is taken and what is refused.

use wire::{ChannelName, Facts, Lineage, Lsn, SessionRequest, Slice};

use super::fixture::{
    BEGIN, Got, begun, facts, get, is_gap, open, pull, request, resumed, small, snapshot,
};
use crate::{
    feed::{Feed, channel, source},
    log::{Channels, Log, ReadError, Refusal},
};

#[tokio::test]
async fn repeats_gaps_and_turns() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    let one = feed.one(&[("a", b"1")]);
    let two = feed.one(&[("a", b"2")]);
    let three = feed.one(&[("a", b"3")]);
    let joined = {
        let mut feed = Feed::new(feed.lineage, BEGIN, Default::default());
        for row in [b"1", b"2"] {
            feed.commit(&[("a", row)]);
        }
        feed.slice()
    };
    // Out of order: the second waits for the first.
    let (second, first) = tokio::join!(log.append(session, two.clone()), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        log.append(session, one.clone()).await
    });
    assert_eq!((first.unwrap(), second.unwrap()), (Lsn::new(1200), Lsn::new(1200)));
    // A repeat, whole and in part.
    assert_eq!(log.append(session, one.clone()).await.unwrap(), Lsn::new(1200));
    assert_eq!(log.append(session, joined).await.unwrap(), Lsn::new(1200));
    // Over the head: begins before it, ends behind it.
    let mut over = Feed::new(feed.lineage, Lsn::new(1100), Default::default());
    over.commit(&[("a", b"2")]);
    over.commit(&[("a", b"3")]);
    assert_eq!(is_gap(log.append(session, over.slice()).await), Lsn::new(1200));
    // Nobody brings what lies between.
    let four = feed.one(&[("a", b"4")]);
    assert_eq!(is_gap(log.append(session, four).await), Lsn::new(1200));
    assert_eq!(log.append(session, three).await.unwrap(), Lsn::new(1300));
}

#[tokio::test]
async fn a_newer_session_wins() {
    let folder = tempfile::tempdir().unwrap();
    let (log, old, mut feed) = begun(folder.path(), small()).await;
    let slice = feed.one(&[("a", b"1")]);
    let ahead = feed.one(&[("a", b"2")]);
    let log = std::sync::Arc::new(log);
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.append(old, ahead).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let (new, _) = resumed(&log).await;
    assert_eq!(new, old + 1);
    for refused in [waiting.await.unwrap(), log.append(old, slice.clone()).await] {
        assert!(matches!(refused, Err(Refusal::Fenced { newest, .. }) if newest == new));
    }
    for unknown in [0, new + 1] {
        let refused = log.append(unknown, slice.clone()).await;
        assert!(matches!(refused, Err(Refusal::Fenced { .. })));
    }
    let snapshot = snapshot(feed.lineage, Lsn::new(1100));
    let refused = log.add_snapshot(old, snapshot).await;
    assert!(matches!(refused, Err(Refusal::Fenced { .. })));
    assert!(log.append(new, slice).await.is_ok());
}

#[tokio::test]
async fn another_history_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    log.append(session, feed.one(&[("a", b"1")])).await.unwrap();
    // The same position, other content before it.
    let mut other = Feed::new(feed.lineage, BEGIN, Default::default());
    other.one(&[("a", b"X")]);
    let refused = log.append(session, other.one(&[("a", b"2")])).await;
    assert!(matches!(refused, Err(Refusal::Chain { channel, .. }) if channel.as_str() == "a"));
    let mut foreign = Feed::new(Lineage::from_bytes([9; 16]), Lsn::new(1100), Default::default());
    let refused = log.append(session, foreign.one(&[("a", b"2")])).await;
    assert!(matches!(refused, Err(Refusal::OtherLineage { .. })));
    // Another database asks for a session.
    let facts = Facts { system_identifier: "2".into(), ..facts() };
    let refused =
        log.open_session(SessionRequest { facts, begin: false, succeed: None }).await.unwrap_err();
    assert!(matches!(refused, Refusal::OtherMaster(_)), "{refused}");
    assert!(log.append(session, feed.one(&[("a", b"2")])).await.is_ok());
}

#[tokio::test]
async fn malformed_slices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    let (huge, _) = feed.huge("a", b"row", session);
    let refused = log.append(session, huge).await.unwrap_err();
    assert!(refused.to_string().contains("upload it first"), "{refused}");
    let other = wire::SourceName::new("other").unwrap();
    let slice = Slice::progress(other, feed.lineage, BEGIN, Lsn::new(2000)).unwrap();
    assert!(matches!(log.append(session, slice).await, Err(Refusal::Malformed(_))));
    let ahead = Slice::progress(source(), feed.lineage, Lsn::new(2000), Lsn::new(2000)).unwrap();
    assert!(matches!(log.append(session, ahead).await, Err(Refusal::Malformed(_))));
    assert_eq!(log.standing().head, Some(BEGIN));
}

#[tokio::test]
async fn progress_is_replaced_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    log.append(session, feed.one(&[("a", b"1")])).await.unwrap();
    for _ in 0..50 {
        log.append(session, feed.progress()).await.unwrap();
    }
    let ends = |log: &Log| match get(log, &pull(BEGIN, 1 << 20, Channels::All)).unwrap() {
        Got::Slices(slices) => slices.iter().map(|s| s.header().through.get()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(ends(&log), [1100, 1600]);
    // What is empty is folded into what follows.
    let last = log.append(session, feed.one(&[("a", b"2")])).await.unwrap();
    assert_eq!(ends(&log), [1100, 1700]);
    // In the middle of what was joined: the slice that holds it comes.
    let middle = get(&log, &pull(Lsn::new(1333), 1 << 20, Channels::All)).unwrap();
    assert!(matches!(middle, Got::Slices(slices) if slices[0].header().after == Lsn::new(1100)));
    // What capture knows its master by is still the commit.
    log.append(session, feed.progress()).await.unwrap();
    let known = |log: &Log| log.standing().known.unwrap().end;
    assert_eq!(known(&log), last);
    drop(log);
    let log = open(folder.path(), small());
    assert_eq!(log.standing().head, Some(Lsn::new(1710)));
    assert_eq!(known(&log), last);
    assert_eq!(ends(&log), [1100, 1700, 1710]);
}

#[tokio::test]
async fn four_wrong_positions_have_four_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    log.append(session, feed.one(&[("a", b"1")])).await.unwrap();
    let at = |after: u64| get(&log, &pull(Lsn::new(after), 1 << 20, Channels::All));
    assert!(matches!(at(1100), Ok(Got::Nothing)));
    assert!(matches!(at(1101), Err(ReadError::BehindYou { .. })));
    assert!(matches!(at(999), Err(ReadError::Expired { .. })));
    let mut asked = pull(BEGIN, 1 << 20, Channels::All);
    asked.hashes = vec![(channel("a"), wire::Hash::of(b"other"))];
    assert!(matches!(get(&log, &asked), Err(ReadError::OtherHistory { .. })));
    // Of a channel that the slice does not touch, and right.
    asked.hashes = vec![(channel("b"), wire::Hash::of(b"other"))];
    assert!(get(&log, &asked).is_ok());
    asked.hashes = vec![(channel("a"), wire::Hash::genesis(feed.lineage, &channel("a")))];
    assert!(get(&log, &asked).is_ok());
}

#[tokio::test]
async fn channels_are_left_out_and_what_is_empty_is_folded() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, mut feed) = begun(folder.path(), small()).await;
    for rows in [
        &[("b", &b"1"[..])][..],
        &[("a", b"2"), ("b", b"2")],
        &[("b", b"3")],
        &[("a", b"4")],
        &[("b", b"5")],
    ] {
        log.append(session, feed.one(rows)).await.unwrap();
    }
    let only = Channels::Only([channel("a")].into());
    let ranges =
        |log: &Log, channels: &Channels| match get(log, &pull(BEGIN, 1 << 20, channels.clone()))
            .unwrap()
        {
            Got::Slices(slices) => slices
                .iter()
                .map(|s| {
                    let names: Vec<ChannelName> =
                        s.parts().map(|(p, _)| p.channel.clone()).collect();
                    (s.header().after.get(), s.header().through.get(), names.len())
                })
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
    let expected = [(1000, 1200, 1), (1200, 1400, 1), (1400, 1500, 0)];
    assert_eq!(ranges(&log, &only), expected);
    drop(log);
    // From the disk as from memory.
    let log = open(folder.path(), small());
    assert_eq!(ranges(&log, &only), expected);
    assert_eq!(ranges(&log, &Channels::Only([channel("c")].into())), [(1000, 1500, 0)]);
}

#[tokio::test]
async fn the_facts_of_a_session_count_once_it_appends() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _, _) = begun(folder.path(), small()).await;
    let promoted = Facts { timeline: 2, ..facts() };
    let ask =
        |facts: Facts| log.open_session(SessionRequest { facts, begin: false, succeed: None });
    let answer = ask(promoted.clone()).await.unwrap();
    assert_eq!(answer.facts.unwrap().timeline, 1);
    // It did not append: the next is still told of the old timeline.
    let answer = ask(promoted.clone()).await.unwrap();
    assert_eq!(answer.facts.unwrap().timeline, 1);
    let mut feed = Feed::new(answer.lineage.unwrap(), answer.head.unwrap(), answer.hashes);
    log.append(answer.session, feed.one(&[("a", b"1")])).await.unwrap();
    assert_eq!(ask(promoted).await.unwrap().facts.unwrap().timeline, 2);
}

#[tokio::test]
async fn an_interrupted_first_copy_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    Log::create(folder.path(), &facts()).unwrap();
    let log = open(folder.path(), small());
    let first = log.open_session(request(true)).await.unwrap();
    assert_eq!(first.head, None);
    drop(log);
    let log = open(folder.path(), small());
    let again = log.open_session(request(false)).await.unwrap();
    assert_eq!((again.lineage, again.head), (first.lineage, None));
    // Another master, of which nothing was captured yet, is another history.
    let facts = Facts { system_identifier: "2".into(), ..facts() };
    let other =
        log.open_session(SessionRequest { facts, begin: true, succeed: None }).await.unwrap();
    assert_ne!(other.lineage, first.lineage);
    let lineage = other.lineage.unwrap();
    let foreign = log.add_snapshot(other.session, snapshot(first.lineage.unwrap(), BEGIN)).await;
    assert!(matches!(foreign, Err(Refusal::OtherLineage { .. })));
    log.add_snapshot(other.session, snapshot(lineage, BEGIN)).await.unwrap();
    // The answer was lost: it comes again.
    log.add_snapshot(other.session, snapshot(lineage, BEGIN)).await.unwrap();
    assert_eq!(log.standing().head, Some(BEGIN));
    assert_eq!(log.newest_snapshot().unwrap(), Some(BEGIN));
    // A later one is shown once the log has passed it.
    log.add_snapshot(other.session, snapshot(lineage, Lsn::new(1100))).await.unwrap();
    assert_eq!(log.newest_snapshot().unwrap(), Some(BEGIN));
    let mut feed = Feed::new(lineage, BEGIN, Default::default());
    log.append(other.session, feed.one(&[("a", b"1")])).await.unwrap();
    assert_eq!(log.newest_snapshot().unwrap(), Some(Lsn::new(1100)));
}
