//! A large load and a large transaction in bounded memory.

use bytes::Bytes;

use super::{
    child::child,
    given::{Place, insert, items, relation, snapshot, source, stored, update},
};
use crate::{
    sqlite::SqliteTarget,
    target::{RowWriter, StoredState, Target},
};

/// Rows of about a kilobyte, so that load and transaction are of 150 MB each.
const ROWS: u64 = 150_000;
const LIMIT_KIB: u64 = 100 << 10;

pub(super) async fn much(mut target: SqliteTarget) {
    let note = "n".repeat(1_000);
    let mut snapshot = snapshot(&[items()]);
    snapshot.tables[0].rows = ROWS;
    let loading = stored(100, StoredState::Loading);
    target.begin_load(&source(), &loading, &snapshot).await.unwrap();
    target.begin_table(&snapshot.tables[0]).await.unwrap();
    for group in 0..ROWS / 1_000 {
        let rows = (0..1_000).map(|at| format!("{}\t{note}\t0\n", group * 1_000 + at));
        target.load_rows(Bytes::from(rows.collect::<String>())).await.unwrap();
    }
    assert_eq!(target.end_table().await.unwrap(), ROWS);
    target.finish_load(&source(), &stored(100, StoredState::Ready), &snapshot).await.unwrap();
    report("load");

    let of = relation(&items());
    target.begin().await.unwrap();
    for group in 0..ROWS / 1_000 {
        let changes = (0..1_000).map(|at| {
            let id = group * 1_000 + at;
            let (old, new) = (id.to_string(), (ROWS + id).to_string());
            match id % 2 {
                0 => insert(&of, &[&new, &note, "1"]),
                _ => update(&of, None, &[&old, &note, "1"]),
            }
        });
        target.apply(changes.collect()).await.unwrap();
    }
    target.commit(&source(), &stored(200, StoredState::Ready)).await.unwrap();
    report("apply");
    target.close().await;
}

/// The most memory that was resident so far (proc(5), `VmHWM`).
fn report(what: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak {what} {}", peak.trim());
}

#[test]
fn memory_does_not_grow_with_a_load_or_a_transaction() {
    let place = Place::new();
    let done = child(&place, "much").wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{printed}");
    let peaks: Vec<u64> = printed
        .lines()
        .filter_map(|line| line.split_once("peak ")?.1.split(' ').nth(1)?.parse().ok())
        .collect();
    assert_eq!(peaks.len(), 2, "{printed}");
    eprintln!("at most {peaks:?} KiB resident after the load, after the transaction");
    assert!(peaks.iter().all(|peak| *peak < LIMIT_KIB), "{peaks:?} KiB");
    assert_eq!(place.rows("SELECT count(*), sum(qty) FROM items"), ["225000|150000"]);
}
