//! Large transactions and values, with every process's resident memory measured. Left out of
//! `make test`; `make test-big` runs them, optimised.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use harness::{Cluster, Finished, Scratch, Tables, test_within};

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

#[test]
#[ignore = "minutes long: make test-big"]
fn one_value_of_two_hundred_megabytes() {
    test_within(TEST_LIMIT, async {
        let size = 200 << 20;
        let sql = format!("INSERT INTO bulk SELECT 1, repeat('0123456789abcdef', {})", size / 16);
        one_transaction("CREATE TABLE bulk (id int PRIMARY KEY, t text)", &sql, 3 * size).await
    });
}
