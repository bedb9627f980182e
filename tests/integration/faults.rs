//! Networks that fail in every way at once, under load: afterwards all databases are equal.

use std::time::Duration;

use anyhow::Result;
use harness::{
    Cluster, Direction, Mode, Pgbench, Process, Proxy, RelayProcess, Tables, Workload, eventually,
    rng, seed, test_within,
};
use rand::{Rng, rngs::StdRng};

use crate::setup::{LIMIT, SOURCE, Setup, Terminal, slot_of};

const FAULTS: u32 = 60;
const TEST_LIMIT: Duration = Duration::from_secs(600);
const MEMORY: u64 = 256 << 20;

/// Something else that can go wrong with a network. What was sent and not answered is sent again, so
/// an answer that is cut off makes a duplicate.
fn misbehave(proxy: &Proxy, rng: &mut StdRng) -> String {
    let direction = if rng.random() { Direction::ToTarget } else { Direction::ToClient };
    let mode = match rng.random_range(0..8) {
        0 | 1 => Mode::Pass,
        2 => Mode::Stall,
        3 => Mode::Blackhole,
        4 => Mode::Refuse,
        5 => Mode::Html(if rng.random() { 200 } else { 502 }),
        6 => Mode::Truncate(direction, rng.random_range(0..2_000)),
        _ => Mode::Truncate(direction, rng.random_range(2_000..300_000)),
    };
    let (rate, cut) = (rng.random_range(20_000..2_000_000), rng.random_ratio(1, 3));
    let rate = rng.random_ratio(1, 3).then_some(rate);
    let done = format!("{mode:?}, {rate:?} bytes/s{}", if cut { ", cut" } else { "" });
    proxy.limit(rate);
    proxy.set(mode);
    if cut {
        proxy.cut();
    }
    done
}

fn heal(proxy: &Proxy) {
    proxy.limit(None);
    proxy.set(Mode::Pass);
}

fn follow(terminal: &Terminal, relay: &str) -> Result<Process> {
    terminal.command(relay)?.arg("--follow").spawn()
}

#[test]
fn sixty_faults_between_all_parts_lose_nothing_and_repeat_nothing() {
    test_within(TEST_LIMIT, async {
        let mut rng = rng("faults");
        let cluster = Cluster::builder().without_fsync().start().await?;
        let master = cluster.database().await?;
        let pgbench = Pgbench::new(master.url())?;
        pgbench.init(1).await?;
        Workload::prepare(master.url()).await?;
        let relay = RelayProcess::builder().start().await?;
        let to_master = Proxy::to_port(cluster.port()).await?;
        let to_relay = Proxy::to_port(relay.port()).await?;
        let to_terminals = Proxy::to_port(relay.port()).await?;
        let source = master
            .url()
            .replace(&format!(":{}/", cluster.port()), &format!(":{}/", to_master.port()));
        let capture = harness::capture(&source, SOURCE, &to_relay.url())?
            .args(["--slot", &slot_of(&master), "--keyless", "full"])
            .spawn()?;
        let mut setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        let mut following = Vec::new();
        for terminal in &terminals {
            following.push(follow(terminal, &to_terminals.url())?);
        }

        let mut workload = Workload::start(setup.master.url(), seed(), 4).await?;
        let load = pgbench.spawn(2, 600, &["--rate", "300"])?;
        let proxies = [("master", &to_master), ("relay", &to_relay), ("terminals", &to_terminals)];
        for _ in 0..FAULTS {
            let (whose, proxy) = proxies[rng.random_range(0..3)];
            println!("{whose}: {}", misbehave(proxy, &mut rng));
            workload.run(rng.random_range(1..40)).await?;
            tokio::time::sleep(Duration::from_millis(rng.random_range(50..900))).await;
        }
        load.kill()?;
        workload.finish().await?;
        proxies.iter().for_each(|(_, proxy)| heal(proxy));

        assert!(setup.capture.is_running()?, "capture gave up: {}", setup.capture.stderr());
        let position = setup.captured().await?;
        eventually("capture streams again", LIMIT, async || {
            Ok(setup.relay.lag(SOURCE).await?.capture.state == "streaming")
        })
        .await?;
        for (terminal, process) in terminals.iter().zip(&mut following) {
            assert!(process.is_running()?, "a terminal gave up: {}", process.stderr());
            setup.relay.wait_applied(SOURCE, &terminal.name, position, LIMIT).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
            assert!(process.memory().peak < MEMORY, "{:?}", process.memory());
        }
        assert!(setup.capture.memory().peak < MEMORY, "{:?}", setup.capture.memory());
        assert!(setup.relay.memory().peak < MEMORY, "{:?}", setup.relay.memory());
        Ok(())
    });
}
