//! Later snapshots: taken by the running capture, beside the stream (PITFALLS 16 to 19, again and again).

mod command;
mod killed;
mod outgrown;
mod taken;

use anyhow::{Context, Result};
use harness::{Cluster, Finished, Lsn, Process, ProcessBuilder, RelayProcess, binary, eventually};
use wire::SnapshotList;

use crate::setup::{LIMIT, SOURCE, Setup, Terminal, slot_of};

/// Some 100 MB of rows, so that a copy takes a while.
const MUCH: &str = "
    CREATE TABLE big (id int PRIMARY KEY, t text);
    CREATE TABLE small (id int PRIMARY KEY, t text);
    INSERT INTO big SELECT n, repeat(md5((n % 100)::text), 45) FROM generate_series(1, 70000) n;
    INSERT INTO small SELECT n, 'small ' || n FROM generate_series(1, 1000) n";

/// A server of the test's own: making a slot waits for the transactions of all of a server's databases.
async fn alone() -> Result<Cluster> {
    Cluster::builder().without_fsync().start().await
}

/// `tailwater-capture snapshot`.
fn command(relay_url: &str, source: &str, args: &[&str]) -> Result<ProcessBuilder> {
    let program = binary("tailwater-capture")?;
    let command = ProcessBuilder::new("request for a snapshot", program);
    Ok(command.args(["snapshot", "--relay", relay_url, "--name", source]).args(args))
}

async fn ask(setup: &Setup, args: &[&str]) -> Result<Finished> {
    let done = command(&setup.relay.url(), SOURCE, args)?.run(LIMIT).await?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    Ok(done)
}

/// Asks for a snapshot and waits for it; where it is.
async fn snapshot(setup: &Setup) -> Result<Lsn> {
    let before = positions(&setup.relay).await?;
    ask(setup, &["--wait=80s"]).await?;
    let lsn = *positions(&setup.relay).await?.first().context("no snapshot")?;
    assert!(before.iter().all(|before| *before < lsn), "{lsn} is not newer than {before:?}");
    Ok(lsn)
}

/// The snapshots that terminals may take, newest first.
async fn list(relay: &RelayProcess) -> Result<SnapshotList> {
    let answer = relay.get(&format!("/v1/{SOURCE}/snapshot"))?.send().await?;
    Ok(serde_json::from_str(&answer.text().await?)?)
}

async fn positions(relay: &RelayProcess) -> Result<Vec<Lsn>> {
    Ok(list(relay).await?.snapshots.iter().map(|snapshot| snapshot.lsn).collect())
}

/// A first pull, which must begin with the snapshot at `lsn`.
async fn first_pull(setup: &Setup, terminal: &Terminal, lsn: Lsn) -> Result<()> {
    let done = setup.pull(terminal).await?;
    let began = format!("first load of {SOURCE} from the snapshot at {lsn}:");
    assert!(done.stderr.contains(&began), "not at {lsn}: {}", done.stderr);
    Ok(())
}

async fn says(capture: &Process, times: usize, what: &str) -> Result<()> {
    eventually(&format!("capture says '{what}'"), LIMIT, async || {
        Ok(capture.stderr().matches(what).count() >= times)
    })
    .await
}

/// Nothing of a snapshot is left on the master: the one slot is the stream's.
async fn one_slot(setup: &Setup) -> Result<()> {
    let sql = format!(
        "SELECT string_agg(slot_name, ', ') FROM pg_replication_slots WHERE database = '{}'",
        setup.master.name()
    );
    eventually("there is one slot", LIMIT, async || {
        Ok(setup.master.value(&sql).await?.as_deref() == Some(&*slot_of(&setup.master)))
    })
    .await
}
