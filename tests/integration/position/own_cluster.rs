//! A master that a test may disturb, and a relay that it may put out of reach.

use std::time::Duration;

use anyhow::Result;
use harness::{Cluster, ClusterBuilder, Database, Lsn, Proxy, RelayProcess};

use crate::setup::{Setup, capture_command};

/// A server of the test's own that forces nothing to disk.
pub(super) fn quick() -> ClusterBuilder {
    Cluster::builder().without_fsync()
}

/// Master and relay with a proxy between capture and relay; the first copy is done.
pub(super) async fn with_proxy(
    cluster: &Cluster,
    sql: &str,
    args: &[&str],
) -> Result<(Setup, Proxy)> {
    let master = cluster.database().await?;
    master.execute(sql).await?;
    let relay = RelayProcess::builder().start().await?;
    let proxy = Proxy::to_port(relay.port()).await?;
    let capture = capture_command(&master, &proxy.url())?.args(args).spawn()?;
    let setup = Setup::assembled(master, relay, capture);
    setup.captured().await?;
    Ok((setup, proxy))
}

/// The server's process that feeds the database's slot, if any does.
pub(super) async fn walsender(master: &Database) -> Result<Option<String>> {
    let sql =
        format!("SELECT active_pid FROM pg_replication_slots WHERE database = '{}'", master.name());
    master.value(&sql).await
}

/// How many slots the database has.
pub(super) async fn slots(master: &Database) -> Result<String> {
    let sql =
        format!("SELECT count(*) FROM pg_replication_slots WHERE database = '{}'", master.name());
    Ok(master.value(&sql).await?.unwrap_or_default())
}

/// Waits until the slot lets go of the WAL before `lsn`. It stands where the newest commit begins, and
/// while no more than this has been written since, none is made.
pub(super) async fn follows(setup: &Setup, lsn: Lsn) -> Result<()> {
    const QUIET_BYTES: u64 = 16 << 10;
    confirmed_at(setup, Lsn::new(lsn.get() - QUIET_BYTES), Duration::from_secs(20)).await
}

/// Waits until the slot is at `lsn` or beyond. It follows one commit behind, so commits may be needed.
pub(super) async fn confirmed_at(setup: &Setup, lsn: Lsn, limit: Duration) -> Result<()> {
    let what = format!("the slot has confirmed {lsn}");
    harness::eventually(&what, limit, async || Ok(setup.confirmed().await? >= lsn)).await
}
