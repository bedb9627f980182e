//! A history that cannot go on: another one succeeds it, by the operator's word, and every terminal
//! loads that over what it has. Invariants 5 and 10; PITFALLS 11.

mod adopted;
mod killed;
mod lost;
mod terminals;

use anyhow::Result;
use harness::{Finished, ProcessBuilder, binary, eventually};

use crate::setup::{LIMIT, SOURCE, Setup, Terminal, capture_command, slot_of};

/// Tables of each kind of identity.
const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, n int);
    CREATE TABLE keyless (n int, note text);
    ALTER TABLE keyless REPLICA IDENTITY FULL;
    INSERT INTO t SELECT n, n FROM generate_series(1, 200) n;
    INSERT INTO keyless SELECT n % 10, 'x' FROM generate_series(1, 50) n";

/// Of each kind: rows that come, change and go.
const CHANGES: &str = "
    INSERT INTO t SELECT n, n FROM generate_series((SELECT max(id) + 1 FROM t), (SELECT max(id) + 40 FROM t)) n;
    DELETE FROM t WHERE id % 17 = 3;
    UPDATE t SET n = n + 1 WHERE id % 5 = 0;
    DELETE FROM keyless WHERE n = 3;
    INSERT INTO keyless SELECT n % 7, 'y' FROM generate_series(1, 20) n";

const RESNAPSHOT: [&str; 2] = ["--on-lost-slot", "resnapshot"];

pub(crate) async fn lineage(setup: &Setup) -> Result<String> {
    Ok(setup.relay.lag(SOURCE).await?.lineage)
}

/// Waits until the relay has begun another history than that; says which.
pub(crate) async fn begun_anew(setup: &Setup, before: &str) -> Result<String> {
    let mut now = String::new();
    eventually("the relay has begun another history", LIMIT, async || {
        // Until it has begun it has no position to tell.
        let Ok(lag) = setup.relay.lag(SOURCE).await else { return Ok(false) };
        now = lag.lineage;
        Ok(now != before && setup.relay.head(SOURCE).await.is_ok_and(|head| head.get() > 0))
    })
    .await?;
    Ok(now)
}

/// Capture has stopped, the slot is gone, and the master went on.
async fn lose_slot(setup: &mut Setup) -> Result<()> {
    setup.captured().await?;
    setup.capture.stop().await?;
    setup.master.drop_slot(&slot_of(&setup.master)).await?;
    setup.master.execute(CHANGES).await
}

/// Capture as it was, with more arguments.
pub(crate) fn capture_again(setup: &mut Setup, more: &[&str]) -> Result<()> {
    setup.capture = capture_command(&setup.master, &setup.relay.url())?.args(more).spawn()?;
    Ok(())
}

/// A capture that has to stop.
async fn stops(setup: &Setup) -> Result<Finished> {
    capture_command(&setup.master, &setup.relay.url())?.run(LIMIT).await
}

/// `tailwater-capture adopt`.
pub(crate) fn adopt(setup: &Setup) -> Result<ProcessBuilder> {
    adopt_by(setup, &slot_of(&setup.master))
}

fn adopt_by(setup: &Setup, slot: &str) -> Result<ProcessBuilder> {
    let (source, relay) = (setup.master.url(), setup.relay.url());
    Ok(ProcessBuilder::new("adopt", binary("tailwater-capture")?)
        .args(["adopt", "--source", source, "--name", SOURCE, "--relay", &relay])
        .args(["--slot", slot]))
}

/// Which history a terminal follows.
async fn followed(terminal: &Terminal) -> Result<String> {
    let table = if terminal.is_sqlite() { "tailwater_position" } else { "tailwater.position" };
    let lineage = terminal.value(&format!("SELECT lineage FROM {table}")).await?;
    Ok(lineage.unwrap_or_default())
}
