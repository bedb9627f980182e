use wire::{Lsn, ObjectKind, SnapshotObject, SnapshotTable};

use super::fixture::{begun, put, request, small, snapshot};
use crate::{
    feed::{channel, object},
    log::{Changes, Upload, UploadKind},
};

/// An upload that is tried again may be noted once more when its snapshot is complete already.
#[tokio::test]
async fn a_late_note_takes_nothing_from_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let (log, session, feed) = begun(folder.path(), small()).await;
    let lsn = Lsn::new(2000);
    let kind = ObjectKind::Snapshot { lsn, table: 7, part: 0, rows: 1 };
    let (name, bytes) = object(feed.lineage, "a", kind, b"1\n");
    put(&**log.objects(), name, &bytes);
    let len = bytes.len() as u64;
    let mut later = snapshot(feed.lineage, lsn);
    later.tables = vec![SnapshotTable {
        oid: 7,
        schema: "public".into(),
        name: "t".into(),
        channel: channel("a"),
        columns: Vec::new(),
        rows: 1,
        raw_len: 2,
        objects: vec![SnapshotObject { name, len, rows: 1, raw_len: 2, url: None }],
    }];
    log.add_snapshot(session, later).await.unwrap();
    let mut note = Changes::new();
    note.upload(name, Upload { kind: UploadKind::Snapshot, session }).unwrap();
    log.catalog().write(note).unwrap();
    log.open_session(request(false)).await.unwrap();
    assert_eq!(log.objects().len(name).unwrap(), Some(len));
}
