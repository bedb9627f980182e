//! A database's rows brought to another one for the first time, beside `pg_dump | psql`.

use std::{process::Command, time::Instant};

use anyhow::{Context, Result, ensure};
use harness::{Cluster, pg_bin_dir};

use crate::{
    master::{Master, Work},
    report::Report,
    tailwater::Path,
};

/// Rows that pgbench makes for each step of its scale.
const ROWS_PER_SCALE: u32 = 100_011;

/// The same tables by `pg_dump | psql` and by Tailwater, in its two halves and whole.
pub(crate) async fn load(scale: u32) -> Result<()> {
    let rows = scale * ROWS_PER_SCALE;
    println!("\nload: pgbench at scale {scale}, {rows} rows\n");
    let master = Master::of_scale(Work::Pgbench, scale).await?;
    let mut report = Report::new(rows.into(), "rows", "pg_dump");
    report.peer("pg_dump | psql", dump_and_restore(&master).await?);
    let path = Path::empty("load").await?;
    let copied = path.capture(&master).await?;
    report.ours("master to relay (first copy)", copied);
    let loaded = path.pull().await?;
    report.ours("relay to terminal (first load)", loaded);
    report.ours("master to terminal (one after the other)", copied + loaded);
    path.check(&master).await?;
    report.print();
    Ok(())
}

/// Seconds for both, joined by a pipe.
async fn dump_and_restore(master: &Master) -> Result<f64> {
    let cluster = Cluster::builder().without_fsync().start().await?;
    let database = cluster.database().await?;
    let bin = pg_bin_dir()?;
    let script = format!(
        "set -o pipefail; '{0}/pg_dump' --no-owner '{1}' | '{0}/psql' --quiet --no-psqlrc -v ON_ERROR_STOP=1 '{2}' >/dev/null",
        bin.display(),
        master.database.url(),
        database.url()
    );
    let begin = Instant::now();
    let status = Command::new("bash").args(["-c", &script]).status().context("bash")?;
    ensure!(status.success(), "pg_dump | psql: {status}");
    Ok(begin.elapsed().as_secs_f64())
}
