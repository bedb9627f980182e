//! Load on the master, and a kill for each part on the way.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use harness::Lsn;

use crate::{
    figures::seconds,
    screen::Screen,
    show::Show,
    stage::{POSTGRES, Stage},
    watch::{CHANGES_PER_TRANSACTION, Sample, Watch},
};

const LOAD_SECONDS: u32 = 34;
const CLIENTS: u32 = 4;
/// Transactions a second, so that the demo is the same on every machine.
const RATE: &str = "500";
/// Between two looks at everything.
const LOOK: Duration = Duration::from_millis(200);
/// How long a killed part stays away.
const AWAY: Duration = Duration::from_secs(2);
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);

/// What the load was.
pub(crate) struct Load {
    pub(crate) transactions: u64,
    pub(crate) kills: usize,
}

#[derive(Clone, Copy)]
enum Victim {
    Relay,
    Capture,
    Terminal,
}

/// Who is killed, and when (seconds of load).
const KILLS: [(Victim, u64); 3] =
    [(Victim::Relay, 6), (Victim::Capture, 15), (Victim::Terminal, 24)];

/// Where the present kill stands.
enum Act {
    /// Nobody is down.
    Calm,
    Down {
        victim: Victim,
        since: Instant,
    },
    /// It runs again; done when both terminals have passed `goal`.
    Back {
        victim: Victim,
        since: Instant,
        goal: Lsn,
    },
}

/// Runs pgbench, kills and restarts, shows it all, and waits until both terminals are at the end.
pub(crate) async fn run_load(
    stage: &mut Stage,
    screen: &mut Screen,
    watch: &mut Watch,
) -> Result<Load> {
    screen.say(&format!(
        "  pgbench: {CLIENTS} clients, {RATE} transactions a second, {CHANGES_PER_TRANSACTION} changes each"
    ));
    let mut pgbench = stage.pgbench.spawn(CLIENTS, LOAD_SECONDS, &["--rate", RATE])?;
    let started = Instant::now();
    let mut show = Show::new(screen);
    let mut kills = KILLS.iter();
    let mut next_kill = kills.next();
    let mut act = Act::Calm;
    while pgbench.is_running()? || !matches!(act, Act::Calm) {
        stage.check_alive()?;
        if let (Act::Calm, Some((victim, at))) = (&act, next_kill)
            && started.elapsed() >= Duration::from_secs(*at)
        {
            act = kill(stage, screen, *victim)?;
            next_kill = kills.next();
        }
        let sample = watch.sample(stage).await?;
        act = go_on(act, stage, screen, &sample)?;
        show.update(screen, &sample);
        tokio::time::sleep(LOOK).await;
    }
    pgbench.wait(Duration::from_secs(1)).await?;
    let changes = arrive(stage, screen, watch, &mut show).await?;
    Ok(Load { transactions: changes / CHANGES_PER_TRANSACTION, kills: KILLS.len() })
}

fn kill(stage: &mut Stage, screen: &mut Screen, victim: Victim) -> Result<Act> {
    let process = victim.of(stage);
    let pid = process.pid().unwrap_or_default();
    process.kill()?;
    screen.alarm(&format!("  ⚡ kill -9 {pid}: {} is gone, the load goes on", victim.name()));
    Ok(Act::Down { victim, since: Instant::now() })
}

fn go_on(act: Act, stage: &mut Stage, screen: &mut Screen, sample: &Sample) -> Result<Act> {
    match act {
        Act::Down { victim, since } if since.elapsed() >= AWAY => {
            victim.of(stage).start()?;
            screen.say(&format!(
                "  ↻ {} is started again after {}",
                victim.name(),
                seconds(since.elapsed())
            ));
            Ok(Act::Back { victim, since: Instant::now(), goal: sample.master_lsn })
        }
        Act::Back { victim, since, goal } if sample.slowest_applied() >= Some(goal) => {
            let after = seconds(since.elapsed());
            screen.good(&format!(
                "  ✔ {}: all that was missed has arrived at both terminals within {after}",
                victim.name()
            ));
            Ok(Act::Calm)
        }
        Act::Back { victim, since, .. } if since.elapsed() > CATCH_UP_LIMIT => {
            bail!("{} is back, but the terminals have not caught up", victim.name())
        }
        other => Ok(other),
    }
}

/// The load is over: waits until both terminals have everything. Gives the number of changes.
async fn arrive(
    stage: &mut Stage,
    screen: &mut Screen,
    watch: &mut Watch,
    show: &mut Show,
) -> Result<u64> {
    let ended = Instant::now();
    let goal = stage.master.current_lsn().await?;
    loop {
        stage.check_alive()?;
        let sample = watch.sample(stage).await?;
        if sample.slowest_applied() >= Some(goal) {
            screen.good(&format!(
                "  ✔ the load is over; both terminals are at its end after {}",
                seconds(ended.elapsed())
            ));
            return Ok(sample.changes);
        }
        if ended.elapsed() > CATCH_UP_LIMIT {
            bail!("the load is over, but the terminals have not reached {goal}");
        }
        show.update(screen, &sample);
        tokio::time::sleep(LOOK).await;
    }
}

impl Victim {
    fn of(self, stage: &mut Stage) -> &mut harness::Process {
        match self {
            Self::Relay => &mut stage.relay,
            Self::Capture => &mut stage.capture,
            Self::Terminal => &mut stage.postgres_terminal,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Relay => "the relay",
            Self::Capture => "the capture",
            Self::Terminal => POSTGRES,
        }
    }
}
