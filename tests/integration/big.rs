//! Large transactions and values, with every process's resident memory measured. Left out of
//! `make test`; `make test-big` runs them, optimised.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use harness::{Cluster, Finished, Scratch, Tables, rng, test_within};
use rand::{Rng, rngs::StdRng};

use crate::setup::{Options, SOURCE, Setup, Terminal};

const BOUND: u64 = 256 << 20;
const TEST_LIMIT: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(1800);

fn report(what: &str, peak: u64, bound: u64) {
    println!("{what}: at most {} MiB resident", peak >> 20);
    assert!(peak > 0 && peak < bound, "{what} took {} MiB", peak >> 20);
}

async fn pull(setup: &Setup, terminal: &Terminal) -> Result<Finished> {
    let done = terminal.command(&setup.relay.url())?.args(["--timeout", "30m"]).run(LIMIT).await?;
    anyhow::ensure!(
        done.code == 0,
        "terminal {} ended with {}: {}",
        terminal.name,
        done.code,
        done.stderr
    );
    Ok(done)
}

/// Runs `sql` as one transaction and lets everybody have it, each below `bound`.
async fn one_transaction(before: &str, sql: &str, bound: u64) -> Result<()> {
    let cluster = Cluster::builder().without_fsync().setting("max_wal_size", "8GB").start().await?;
    let mut setup = Setup::on(&cluster, before, Options::default()).await?;
    let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
    for terminal in [&postgres, &sqlite] {
        pull(&setup, terminal).await?;
    }
    setup.master.execute(sql).await?;
    let position = setup.position().await?;
    setup.relay.wait_head(SOURCE, position, LIMIT).await?;
    report("capture", setup.capture.memory().peak, bound);
    for (what, terminal) in [("PostgreSQL terminal", &postgres), ("SQLite terminal", &sqlite)] {
        let done = pull(&setup, terminal).await?;
        report(what, done.peak, bound);
        terminal.equals(&setup.master, &Tables::All).await?;
    }
    report("relay", setup.relay.memory().peak, bound);
    Ok(())
}

#[test]
#[ignore = "minutes long: make test-big"]
fn a_transaction_of_two_gigabytes() {
    test_within(TEST_LIMIT, async {
        // 2,000,000 rows of 1,000 random-looking bytes.
        let row = "SELECT i, md5(i::text) || repeat(md5((i * 7)::text), 30) FROM generate_series(1, 2000000) i";
        let sql = format!("INSERT INTO bulk {row}");
        one_transaction("CREATE TABLE bulk (id int PRIMARY KEY, t text)", &sql, BOUND).await
    });
}

#[test]
#[ignore = "minutes long: make test-big"]
fn a_copy_of_five_hundred_megabytes() {
    test_within(TEST_LIMIT, async {
        let folder = Scratch::new("copy")?;
        let file: PathBuf = folder.path().join("rows.txt");
        let mut out = std::io::BufWriter::new(std::fs::File::create(&file)?);
        for id in 0..5_000_000_u32 {
            use std::io::Write;
            writeln!(out, "{id}\t{:0>90}", u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15))?;
        }
        drop(out);
        // The server runs as another user.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&file, mode)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode)?;
        let sql = format!("COPY bulk FROM '{}'", file.display());
        one_transaction("CREATE TABLE bulk (id int PRIMARY KEY, t text)", &sql, BOUND).await
    });
}

fn one_value(size: u64) {
    test_within(TEST_LIMIT, async move {
        let sql = format!("INSERT INTO bulk SELECT 1, repeat('0123456789abcdef', {})", size / 16);
        one_transaction("CREATE TABLE bulk (id int PRIMARY KEY, t text)", &sql, 3 * size).await
    });
}

#[test]
#[ignore = "minutes long: make test-big"]
fn one_value_of_two_hundred_megabytes() {
    one_value(200 << 20);
}

/// PITFALLS 36: nearly the largest that PostgreSQL can hold, and send.
#[test]
#[ignore = "minutes long: make test-big"]
fn one_value_of_nine_hundred_megabytes() {
    one_value(900 << 20);
}

async fn a_while(rng: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(500..8_000))).await;
}

/// Everybody on its way is killed again and again; what is begun anew may not leave anything half.
#[test]
#[ignore = "minutes long: make test-big"]
fn a_transaction_of_five_gigabytes_with_kills() {
    test_within(TEST_LIMIT, async {
        let mut rng = rng("five gigabytes");
        let cluster =
            Cluster::builder().without_fsync().setting("max_wal_size", "2GB").start().await?;
        let before = "
            CREATE TABLE bulk (id int PRIMARY KEY, t text); ALTER TABLE bulk ALTER t SET STORAGE EXTERNAL;
            CREATE TABLE small (id int PRIMARY KEY, n int); INSERT INTO small VALUES (1, 0)";
        let mut setup = Setup::on(&cluster, before, Options::default()).await?;
        let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
        for terminal in [&postgres, &sqlite] {
            pull(&setup, terminal).await?;
        }
        let insert = "
            BEGIN; UPDATE small SET n = 1;
            INSERT INTO bulk SELECT i, repeat(md5(i::text), 3200) FROM generate_series(1, 50000) i;
            UPDATE small SET n = n + 1; COMMIT";
        setup.master.execute(insert).await?;
        let position = setup.position().await?;
        for _ in 0..3 {
            a_while(&mut rng).await;
            println!("capture is killed, the relay at {}", setup.relay.head(SOURCE).await?);
            setup.kill_capture()?;
            a_while(&mut rng).await;
            setup.relay.kill_and_restart().await?;
        }
        setup.relay.wait_head(SOURCE, position, LIMIT).await?;
        report("capture", setup.capture.memory().peak, BOUND);
        for (what, terminal) in [("PostgreSQL terminal", &postgres), ("SQLite terminal", &sqlite)] {
            for _ in 0..3 {
                let mut pulling =
                    terminal.command(&setup.relay.url())?.args(["--timeout", "30m"]).spawn()?;
                a_while(&mut rng).await;
                report(what, pulling.memory().peak, BOUND);
                pulling.kill()?;
                let seen = "SELECT (SELECT count(*) FROM bulk) || ' ' || (SELECT n FROM small)";
                let seen = terminal.value(seen).await?.unwrap_or_default();
                assert!(["0 0", "50000 2"].contains(&seen.as_str()), "{what} holds {seen}");
            }
            let done = pull(&setup, terminal).await?;
            report(what, done.peak, BOUND);
            terminal.equals(&setup.master, &Tables::All).await?;
        }
        report("relay", setup.relay.memory().peak, BOUND);
        Ok(())
    });
}
