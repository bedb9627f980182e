use wire::{Lsn, ProblemKind, headers};

use super::relay::{Relay, header_lsn, ok, problem, slices, small};

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_the_first_pull() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    problem(relay.pull(Lsn::new(1), "").await, ProblemKind::UnknownSource).await;
    let nothing = relay.session(false).await;
    assert_eq!((nothing.session, nothing.lineage, nothing.head), (0, None, None));
    ok(relay.get("/readyz").await).await;

    let (session, mut feed) = relay.begin().await;
    let begun = relay.pull(Lsn::new(1000), "").await;
    assert_eq!(begun.status(), 204);
    assert_eq!(header_lsn(&begun, headers::THROUGH), Lsn::new(1000));

    let first = feed.one(&[("a", b"1"), ("b", b"2")]);
    assert_eq!(relay.append(session, &first).await, Lsn::new(1100));
    let second = feed.one(&[("a", b"3")]);
    assert_eq!(relay.append(session, &second).await, Lsn::new(1200));
    let answer = relay.pull(Lsn::new(1000), "").await;
    assert_eq!(header_lsn(&answer, headers::HEAD), Lsn::new(1200));
    assert_eq!(answer.headers()[headers::LINEAGE], feed.lineage.to_string());
    let found = slices(answer).await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].bytes(), first.bytes());
    assert_eq!(found[1].bytes(), second.bytes());

    relay.stop().await;
    let relay = Relay::start(data.path(), small()).await;
    let found = slices(relay.pull(Lsn::new(1000), "").await).await;
    assert_eq!(found[0].bytes(), first.bytes());
    assert_eq!(found[1].bytes(), second.bytes());
    let (session, mut feed) = relay.resume().await;
    assert_eq!(session, 2);
    assert_eq!(relay.append(session, &feed.one(&[("b", b"4")])).await, Lsn::new(1300));
    assert_eq!(relay.lag().await.relay.head, Some(Lsn::new(1300)));
    relay.stop().await;
}
