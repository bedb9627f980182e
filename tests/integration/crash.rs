//! Random kills of every process while the master works; afterwards all databases are equal.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::{Cluster, Pgbench, Process, Shutdown, Tables, Workload, rng, seed, test_within};
use rand::Rng;

use crate::setup::{LIMIT, Options, SOURCE, Setup, Terminal};

const KILLS_EACH: u32 = 30;
const TEST_LIMIT: Duration = Duration::from_secs(600);

/// A terminal that is started again when it has ended: killed, or done with its `--once`.
struct Loop {
    terminal: Terminal,
    process: Process,
}

impl Loop {
    fn start(terminal: Terminal, relay: &str, args: &[&str]) -> Result<Self> {
        let process = terminal.command(relay)?.args(args).spawn()?;
        Ok(Self { terminal, process })
    }

    fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.start()
    }

    fn go_on(&mut self) -> Result<()> {
        if !self.process.is_running()? {
            self.process.start()?;
        }
        Ok(())
    }
}

#[test]
fn ninety_kills_lose_nothing_and_repeat_nothing() {
    test_within(TEST_LIMIT, async {
        let mut rng = rng("kills");
        // The master is stopped without a checkpoint below: what it acknowledged must be on disk.
        let mut cluster = Cluster::new().await?;
        let master = cluster.database().await?;
        let pgbench = Pgbench::new(master.url())?;
        pgbench.init(1).await?;
        Workload::prepare(master.url()).await?;
        let relay = harness::RelayProcess::builder().start().await?;
        let mut setup =
            Setup::with(master, relay, Options { capture: &["--keyless", "full"], config: None })
                .await?;
        let url = setup.relay.url();
        let mut terminals = [
            Loop::start(setup.postgres("store-1").await?, &url, &["--follow"])?,
            Loop::start(setup.sqlite("till-1")?, &url, &["--once"])?,
        ];

        let mut workload = Workload::start(setup.master.url(), seed(), 4).await?;
        let mut load = pgbench.spawn(2, 600, &["--rate", "300"])?;
        let mut kills = [0_u32; 3];
        let mut restarts = 0;
        let begin = Instant::now();
        while kills.iter().any(|count| *count < KILLS_EACH) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(10..400))).await;
            workload.run(rng.random_range(1..40)).await?;
            let which = rng.random_range(0..3);
            match which {
                0 => setup.kill_capture()?,
                1 => setup.relay.kill_and_restart().await?,
                _ => terminals[rng.random_range(0..2)].kill()?,
            }
            kills[which] += 1;
            for terminal in &mut terminals {
                terminal.go_on()?;
            }
            let done: u32 = kills.iter().sum();
            if restarts < 2 && done >= (restarts + 1) * 25 {
                restarts += 1;
                load.kill()?;
                cluster.restart(Shutdown::Immediate).await?;
                workload.reconnect().await?;
                load = pgbench.spawn(2, 600, &["--rate", "300"])?;
            }
        }
        load.kill()?;
        workload.finish().await?;
        println!("{kills:?} kills and {restarts} restarts of the master in {:?}", begin.elapsed());

        setup.capture.kill()?;
        setup.capture.start()?;
        let position = setup.captured().await?;
        for Loop { terminal, process } in &mut terminals {
            process.kill()?;
            setup.pull(terminal).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
            let lag = setup.relay.lag(SOURCE).await?;
            let seen = lag.terminal(&terminal.name).and_then(|seen| seen.applied);
            assert!(seen >= Some(position), "{seen:?} is before {position}");
        }
        setup.relay.wait_head(SOURCE, position, LIMIT).await
    });
}
