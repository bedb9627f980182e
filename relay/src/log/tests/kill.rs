//! PITFALLS 39: `kill -9` at any moment during appends. A child appends and tells what was
//! acknowledged; the parent kills it, hundreds of times, over one log.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use wire::Lsn;

use super::{
    fixture::{BEGIN, begun, open, resumed, small},
    reader::Reader,
    sealing::noise,
};
use crate::log::{Channels, Log};

const FOLDER: &str = "TAILWATER_TEST_KILL_FOLDER";
const ROUNDS: &str = "TAILWATER_TEST_KILL_ROUNDS";

/// Runs only as a child: appends until it is killed.
#[test]
#[ignore = "run by its parent, killed_hundreds_of_times"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(append_for_ever(&open(Path::new(&folder), small())));
}

async fn append_for_ever(log: &Log) {
    // Not through the test's captured output.
    let mut out = std::io::stderr();
    writeln!(out, "head {}", log.standing().head.unwrap()).unwrap();
    let (session, mut feed) = resumed(log).await;
    loop {
        let row = noise(feed.at, usize::try_from(feed.at % 5000).unwrap());
        let first = match feed.at % 7 {
            0 => feed.progress(),
            1 => feed.one(&[("a", &row), ("b", b"x")]),
            _ => feed.one(&[("a", &row)]),
        };
        let second = feed.one(&[("b", &row)]);
        let (first, second) = tokio::join!(log.append(session, first), log.append(session, second));
        let acknowledged = first.unwrap().max(second.unwrap());
        writeln!(out, "acknowledged {acknowledged}").unwrap();
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["log::tests::kill::child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets the child say so many lines, work for a while longer, and kills it; what it began with,
/// and what it acknowledged last.
fn round(folder: &Path, lines: usize, millis: u64) -> (Option<Lsn>, Option<Lsn>) {
    let mut child = spawn(folder);
    let told = BufReader::new(child.stderr.take().unwrap());
    let (says, said) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let (mut head, mut acknowledged) = (None, None);
        let mut lines = told.lines().map_while(Result::ok);
        while let Some(line) = lines.next() {
            match line.split_once(' ') {
                Some(("head", lsn)) => head = lsn.parse().ok(),
                Some(("acknowledged", lsn)) => acknowledged = lsn.parse().ok(),
                // It panicked.
                _ => panic!("the child says: {line}\n{}", lines.collect::<Vec<_>>().join("\n")),
            }
            let _ = says.send(());
        }
        (head, acknowledged)
    });
    for _ in 0..lines {
        said.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(millis));
    child.kill().unwrap();
    child.wait().unwrap();
    reading.join().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_hundreds_of_times() {
    let rounds: u64 = std::env::var(ROUNDS).ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    eprintln!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let (log, _, feed) = begun(folder.path(), small()).await;
    drop(log);
    let (mut acknowledged, mut worked) = (BEGIN, 0);
    for n in 0..rounds {
        let chance = noise(u64::from(seed) + n, 2);
        let (head, said) =
            round(folder.path(), usize::from(chance[0] % 4), u64::from(chance[1]) / 4);
        if let Some(head) = head {
            assert!(head >= acknowledged, "round {n}: head {head} is below {acknowledged}");
        }
        worked += u64::from(said.is_some());
        acknowledged = said.unwrap_or(acknowledged);
    }
    assert!(
        worked >= rounds / 3,
        "the child acknowledged something in {worked} of {rounds} rounds"
    );
    let log = open(folder.path(), small());
    let standing = log.standing();
    assert_eq!(standing.damage, None);
    assert!(standing.head >= Some(acknowledged));
    let mut reader = Reader::new(feed.lineage, BEGIN, Channels::All);
    reader.catch_up(&log, 1 << 20).unwrap();
    assert_eq!((Some(reader.at), &reader.hashes), (standing.head, &standing.hashes));
    let commits: usize = reader.commits.values().map(Vec::len).sum();
    eprintln!("{rounds} kills, {worked} after an acknowledgement, {commits} commits, none lost");
}
