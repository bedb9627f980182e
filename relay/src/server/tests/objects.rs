//! Uploads, snapshots, signed addresses.

use bytes::{BufMut, Bytes, BytesMut};
use reqwest::{Method, header};
use wire::{
    Hash, Lsn, ObjectHeader, ObjectKind, ObjectWriter, ProblemKind, SnapshotObject, SnapshotTable,
    SourceName, UploadAnswer,
};

use super::relay::{Relay, empty_snapshot, fetched, ok, problem, small};
use crate::feed::{channel, object};

const OBJECTS: &str = "/v1/orders/objects";

fn kind() -> ObjectKind {
    ObjectKind::Snapshot { lsn: Lsn::new(1000), table: 7, part: 0, rows: 3 }
}

fn table(name: &str, of: &str, objects: Vec<SnapshotObject>) -> SnapshotTable {
    SnapshotTable {
        oid: 7,
        schema: "public".into(),
        name: name.into(),
        channel: channel(of),
        columns: vec!["id".into()],
        rows: 3,
        raw_len: 6,
        objects,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_with_rows_from_upload_to_download() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let answer = relay.session(true).await;
    let (session, lineage) = (answer.session, answer.lineage.unwrap());
    let (name, bytes) = object(lineage, "a", kind(), b"1\n2\n3\n");
    let described =
        SnapshotObject { name, len: bytes.len() as u64, rows: 3, raw_len: 6, url: None };
    let mut snapshot = empty_snapshot(lineage, 1000);
    snapshot.tables = vec![table("t", "a", vec![described]), table("u", "b", Vec::new())];

    // Not before its objects are there.
    let missing = relay.post_snapshot(session, &snapshot).await;
    let missing = problem(missing, ProblemKind::Malformed).await;
    assert!(missing.detail.contains("upload it first"), "{}", missing.detail);
    for _ in 0..2 {
        let answer = ok(relay.post_bytes(OBJECTS, session, bytes.clone()).await).await;
        let answer: UploadAnswer = answer.json().await.unwrap();
        assert_eq!(answer, UploadAnswer { name, len: bytes.len() as u64 });
    }
    assert!(relay.snapshots("").await.snapshots.is_empty());
    ok(relay.post_snapshot(session, &snapshot).await).await;

    let list = relay.snapshots("?channels=a").await.snapshots;
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].tables.len(), 1, "of the channels asked for only");
    let url = list[0].tables[0].objects[0].url.clone().unwrap();
    assert_eq!(fetched(&relay, &url).await, (name, bytes.clone()));
    caching_and_ranges(&relay, &url, name, &bytes).await;

    // Who has not the address has not the object.
    for wrong in [
        url.split('?').next().unwrap().to_owned(),
        url.replace("sig=", "sig=0"),
        url.replace("exp=", "exp=1"),
        url.replace("/orders/", "/orders2/"),
    ] {
        let status = relay.get(&wrong).await.status();
        assert!(status == 403 || status == 404, "{wrong}: {status}");
    }
    problem(relay.get(url.split('?').next().unwrap()).await, ProblemKind::Forbidden).await;
}

async fn caching_and_ranges(relay: &Relay, url: &str, name: Hash, bytes: &Bytes) {
    let whole = ok(relay.get(url).await).await;
    let headers = whole.headers().clone();
    assert_eq!(headers[header::ETAG], format!("\"{name}\""));
    let cache = headers[header::CACHE_CONTROL].to_str().unwrap();
    assert!(cache.starts_with("public, immutable, max-age="), "{cache}");
    let max_age: u64 = cache.rsplit('=').next().unwrap().parse().unwrap();
    assert!((3000..=7200).contains(&max_age));
    assert_eq!(headers[header::CONTENT_LENGTH], bytes.len().to_string());

    let part = relay.ask(Method::GET, url).header(header::RANGE, "bytes=10-19");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    let expected = format!("bytes 10-19/{}", bytes.len());
    assert_eq!(part.headers()[header::CONTENT_RANGE], expected);
    assert_eq!(part.bytes().await.unwrap(), bytes.slice(10..20));
    let behind = relay.ask(Method::GET, url).header(header::RANGE, "bytes=99999-");
    assert_eq!(behind.send().await.unwrap().status(), 416);
    let known = relay.ask(Method::GET, url).header(header::IF_NONE_MATCH, format!("\"{name}\""));
    assert_eq!(known.send().await.unwrap().status(), 304);
    assert_eq!(relay.ask(Method::HEAD, url).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_not_what_they_say_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, feed) = relay.begin().await;
    let (_, bytes) = object(feed.lineage, "a", kind(), &[7; 100_000]);
    let refuse = async |session: u64, bytes: Bytes, kind: ProblemKind| {
        problem(relay.post_bytes(OBJECTS, session, bytes).await, kind).await
    };
    refuse(session, Bytes::new(), ProblemKind::Malformed).await;
    refuse(session, Bytes::from_static(b"<html>proxy error</html>"), ProblemKind::Malformed).await;
    for len in [5, 20, bytes.len() / 2, bytes.len() - 1] {
        refuse(session, bytes.slice(..len), ProblemKind::Malformed).await;
    }
    for at in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut damaged = BytesMut::from(bytes.as_ref());
        damaged[at] ^= 1;
        refuse(session, damaged.freeze(), ProblemKind::Malformed).await;
    }
    // A chunk that claims four gigabytes, compressed or not.
    let header_len =
        bytes.len() - wire::ObjectReader::decode(bytes.clone()).unwrap().payload().len();
    for lie in [[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 9], [0, 0, 0, 9, 0xFF, 0xFF, 0xFF, 0xFF]] {
        let mut lying = BytesMut::from(&bytes[..header_len]);
        lying.put_slice(&lie);
        lying.put_slice(&[0; 30]);
        refuse(session, lying.freeze(), ProblemKind::Malformed).await;
    }
    refuse(session + 1, bytes.clone(), ProblemKind::Fenced).await;
    let (_, foreign) = object(wire::Lineage::from_bytes([9; 16]), "a", kind(), b"1\n");
    refuse(session, foreign, ProblemKind::OtherLineage).await;
    let part = ObjectKind::Transaction { session: session + 7, xid: 1, part: 0 };
    let (_, other) = object(feed.lineage, "a", part, b"1");
    refuse(session, other, ProblemKind::Malformed).await;
    let log = ObjectKind::Log {
        after: Lsn::ZERO,
        through: Lsn::new(1),
        before: Hash::of(b""),
        after_hash: Hash::of(b""),
    };
    refuse(session, object(feed.lineage, "a", log, b"1").1, ProblemKind::Malformed).await;
    // What its header says of it is not what it holds, or it is of another source.
    let whole = wire::ObjectReader::decode(bytes.clone()).unwrap();
    let longer = ObjectHeader { raw_len: whole.header().raw_len + 1, ..whole.header().clone() };
    let orders2 = SourceName::new("orders2").unwrap();
    let foreign = ObjectHeader { source: orders2, ..whole.header().clone() };
    for header in [longer, foreign] {
        let (bytes, _) = ObjectWriter::assemble(&header, whole.payload()).unwrap();
        refuse(session, bytes, ProblemKind::Malformed).await;
    }
    // Nothing of all that is left.
    let stored = |path: &str| std::fs::read_dir(data.path().join(path)).unwrap().count();
    assert_eq!((stored("orders/objects"), stored("orders/objects/tmp")), (1, 0));
    ok(relay.post_bytes(OBJECTS, session, bytes).await).await;
}
