//! The rows that were there before anyone captured them.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{
    figures::{grouped, seconds},
    screen::Screen,
    stage::{POSTGRES, SQLITE, Stage},
    watch::Watch,
};

const LIMIT: Duration = Duration::from_secs(60);

/// Waits until both terminals have them.
pub(crate) async fn await_first_copy(
    stage: &mut Stage,
    screen: &mut Screen,
    watch: &mut Watch,
) -> Result<()> {
    let started = Instant::now();
    let goal = stage.master.current_lsn().await?;
    loop {
        stage.check_alive()?;
        let sample = watch.sample(stage).await?;
        let loaded = [POSTGRES, SQLITE].iter().all(|name| sample.has_loaded(name));
        if loaded && sample.slowest_applied() >= Some(goal) {
            break;
        }
        if started.elapsed() > LIMIT {
            bail!("the first copy has not reached both terminals after {} s", LIMIT.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let accounts = stage.master.value("SELECT count(*) FROM pgbench_accounts").await?;
    let accounts = grouped(accounts.unwrap_or_default().parse().unwrap_or(0));
    let after = seconds(started.elapsed());
    screen.good(&format!("  ✔ first copy: {accounts} accounts at both terminals after {after}\n"));
    Ok(())
}
