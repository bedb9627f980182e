//! Damage is an answer that names the position; other ranges and sources are served.

use std::{fs, path::Path, time::Duration};

use wire::{Lsn, ObjectKind, ProblemKind};

use super::{
    pulls::fill,
    relay::{Relay, manifest, ok, problem, small},
};
use crate::feed::object;

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_an_object() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    fill(&relay, session, &mut feed, 150).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ranges = manifest(relay.pull(Lsn::new(1000), "").await).await.ranges;
    let (damaged, whole) = (&ranges[0].channels[0].object, &ranges[1].channels[0].object);
    // Once served, so that the relay could remember it as whole.
    ok(relay.get(&damaged.url).await).await;
    let name = damaged.name.to_string();
    let path = data.path().join("orders/objects").join(&name[..2]).join(&name);
    tokio::time::sleep(Duration::from_millis(20)).await;
    flip(&path, 5000);
    let answer = problem(relay.get(&damaged.url).await, ProblemKind::Corrupt).await;
    assert_eq!(answer.lsn, Some(ranges[0].after));
    assert!(answer.detail.contains(&name), "{}", answer.detail);
    ok(relay.get(&whole.url).await).await;
    // Put back, it is served again.
    flip(&path, 5000);
    ok(relay.get(&damaged.url).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_opened_harms_no_other() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    relay.begin().await;
    relay.stop().await;
    let copy = data.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::create_dir(copy.join("catalog")).unwrap();
    fs::write(copy.join("HEAD"), b"nothing").unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let answer = problem(relay.get("/v1/copy/lag").await, ProblemKind::Corrupt).await;
    assert!(answer.detail.contains("HEAD"), "{}", answer.detail);
    assert_eq!(relay.lag().await.relay.head, Some(Lsn::new(1000)));
    let ready = relay.get("/readyz").await;
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("copy"));
    ok(relay.get("/healthz").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_lost_its_end() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (open, mut feed) = relay.begin().await;
    fill(&relay, open, &mut feed, 5).await;
    relay.stop().await;
    let db = fs::OpenOptions::new().write(true).open(data.path().join("orders/tail/0/db"));
    db.unwrap().set_len(0).unwrap();
    let relay = Relay::start(data.path(), small()).await;
    for after in [1000, 1100, 1500] {
        let answer = problem(relay.pull(Lsn::new(after), "").await, ProblemKind::Corrupt).await;
        assert_eq!(answer.lsn, Some(Lsn::new(1000)));
    }
    let body = serde_json::json!({"facts": super::relay::facts(), "begin": false});
    let session = relay.ask(reqwest::Method::POST, "/v1/orders/session").json(&body);
    let answer = problem(session.send().await.unwrap(), ProblemKind::Corrupt).await;
    assert!(answer.detail.contains("move it away"), "{}", answer.detail);
    // Nor does it take objects of the session that was open.
    let kind = ObjectKind::Snapshot { lsn: Lsn::new(1000), table: 7, part: 0, rows: 1 };
    let (_, bytes) = object(feed.lineage, "a", kind, b"1\n");
    let upload = relay.post_bytes("/v1/orders/objects", open, bytes).await;
    problem(upload, ProblemKind::Corrupt).await;
    assert_eq!(relay.get("/readyz").await.status(), 503);
}
