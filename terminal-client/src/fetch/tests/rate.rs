use std::{
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, Instant},
};

use wire::Hash;

use super::{
    fake::{FakeRelay, Reply},
    samples::{
        lsn, object_bytes, pull_after, range, relays_with, row, settings, slices, slices_reply,
    },
};
use crate::fetch::{
    FetchSettings, Spool,
    ranges::{Kept, fetch_range},
    whereabouts::Whereabouts,
};

#[tokio::test]
async fn slices_and_objects_share_one_rate() {
    let (first, second) = (object_bytes("a", 150_000), object_bytes("b", 150_000));
    let listed = range(100, 300, &first, std::slice::from_ref(&second), "s");
    let objects = [first, second];
    let relay = FakeRelay::start(move |request, _| {
        let wanted = |bytes: &&Vec<u8>| request.path.ends_with(&Hash::of(bytes).to_string());
        match objects.iter().find(wanted) {
            Some(bytes) => Reply::new(200, &[], bytes),
            None => slices_reply(300, 100, &[300]),
        }
    })
    .await;
    let max_rate = NonZeroU64::new(200_000);
    let parent = tempfile::tempdir().unwrap();
    let spool = Arc::new(Spool::create(Some(parent.path())).unwrap());
    let begun = Instant::now();
    let settings = FetchSettings { max_rate, ..settings() };
    let relays = relays_with(vec![relay.address()], settings);
    let whereabouts = Whereabouts::of_range(0, &listed, pull_after(lsn(100)));
    let fetched = fetch_range(&relays, &spool, &whereabouts, &listed, &mut Kept::new()).await;
    assert!(fetched.unwrap().is_some());
    assert_eq!((relay.count(), relays.received()), (2, 300_000));
    relays.pull(&pull_after(lsn(100))).await.unwrap();
    let sliced = row(&slices(lsn(100), &[300])).len() as u64;
    assert_eq!(relays.received(), 300_000 + sliced);
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(1500), "300 kB at 200 kB/s came in {elapsed:?}");
}
