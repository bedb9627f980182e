//! Equal terminals are found to be equal: busy, behind, of another collation.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Cluster, Lsn, Pgbench, RelayProcess, Workload, seed, test, test_within};

use super::{counts, found, same, verify};
use crate::setup::{Options, Setup, Terminal};

async fn position(terminal: &Terminal) -> Result<Lsn> {
    let table = if terminal.is_sqlite() { "tailwater_" } else { "tailwater." };
    let lsn = terminal.value(&format!("SELECT lsn FROM {table}position")).await?;
    Ok(lsn.context("no position")?.parse()?)
}

const SMALL: &str = "CREATE TABLE t (id int PRIMARY KEY, note text, n int);
    INSERT INTO t SELECT n, 'x', n FROM generate_series(1, 50) n;
    CREATE TABLE empty_one (id int PRIMARY KEY)";

/// A terminal at a snapshot is compared where it is; one that is behind is taken to the next, which is asked for
/// where there is none, and is no further than that afterwards.
#[test]
fn a_terminal_at_a_snapshot_behind_one_and_beyond_all() {
    test(async {
        let setup = Setup::shared(SMALL).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        setup.master.execute("UPDATE t SET n = n + 1 WHERE id < 10").await?;
        let head = setup.captured().await?;
        let mut at = Vec::new();
        for terminal in &terminals {
            let before = position(terminal).await?;
            let done = verify(&setup, terminal, &[], 0).await?;
            assert!(
                done.stdout.contains("public.t") && done.stdout.contains("same"),
                "{}",
                done.stdout
            );
            at.push((before, position(terminal).await?));
        }
        // Both were loaded from the first one, and some of them pulled to behind it.
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        for terminal in &terminals {
            let before = position(terminal).await?;
            assert!(before >= head, "it is at the head");
            let done = verify(&setup, terminal, &[], 0).await?;
            let asked = "capture was asked for one";
            let first = terminal.name == "store";
            assert_eq!(
                done.stderr.contains(asked),
                first,
                "one snapshot is enough: {}",
                done.stderr
            );
            assert!(position(terminal).await? >= before, "it went back");
            same(&setup, terminal).await?;
        }
        // One that is behind goes to the newest, and not on.
        let late = setup.postgres("late").await?;
        setup.pull(&late).await?;
        setup.master.execute("UPDATE t SET n = 0 WHERE id = 3; DELETE FROM t WHERE id = 4").await?;
        setup.captured().await?;
        setup.pull(&terminals[1]).await?;
        verify(&setup, &terminals[1], &[], 0).await?;
        setup.master.execute("UPDATE t SET n = 1 WHERE id = 3").await?;
        setup.captured().await?;
        verify(&setup, &late, &[], 0).await?;
        assert_eq!(position(&late).await?, position(&terminals[1]).await?, "not at the snapshot");
        assert_eq!(late.value("SELECT n::text FROM t WHERE id = 3").await?.as_deref(), Some("0"));
        setup.all_equal(&[&late, &terminals[0], &terminals[1]]).await
    });
}

/// The master writes all the time: the snapshot is of one moment, and the terminal is at the same.
#[test]
fn while_the_master_goes_on_writing() {
    test_within(Duration::from_secs(300), async {
        let master = Cluster::shared().await?.database().await?;
        let pgbench = Pgbench::new(master.url())?;
        pgbench.init(1).await?;
        Workload::prepare(master.url()).await?;
        let relay = RelayProcess::builder().start().await?;
        let options = Options { capture: &["--keyless", "full"], config: None };
        let setup = Setup::with(master, relay, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        let load = pgbench.spawn(2, 600, &["--rate", "300"])?;
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        let mut workload = Workload::start(setup.master.url(), seed(), 3).await?;
        for terminal in &terminals {
            let (checked, worked) = tokio::join!(same(&setup, terminal), async {
                workload.run(200).await?;
                // A snapshot waits for transactions that are open.
                workload.finish().await
            });
            worked?;
            checked?;
            setup.pull(terminal).await?;
            same(&setup, terminal).await?;
        }
        load.kill()?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// What a terminal made otherwise than the master, or for itself, is no difference.
#[test]
fn another_collation_order_and_columns_of_its_own() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE t (id text PRIMARY KEY, b int, c varchar(10), g int GENERATED ALWAYS AS (b * 2) STORED, f float8);
             INSERT INTO t (id, b, c, f) SELECT chr(64 + n), n, 'C' || n, n / 3.0 FROM generate_series(1, 26) n;
             INSERT INTO t (id, b, c, f) VALUES ('a', 1, 'c1', 'NaN'), ('ä', 2, 'C2', '-0'), ('', NULL, NULL, 1e-300)",
        )
        .await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        terminals[0]
            .execute("CREATE TABLE t (f float8, own text DEFAULT 'mine', c varchar(10) COLLATE \"C\", b int, id text COLLATE \"POSIX\" PRIMARY KEY)")
            .await?;
        terminals[1]
            .execute("CREATE TABLE t (f REAL, own TEXT DEFAULT 'mine', c TEXT COLLATE NOCASE, b INTEGER, id TEXT PRIMARY KEY) WITHOUT ROWID")
            .await?;
        for terminal in &terminals {
            setup.pull(terminal).await?;
            same(&setup, terminal).await?;
            // Letters that the collation does not tell apart are another value all the same.
            terminal
                .execute("UPDATE t SET own = 'other'; UPDATE t SET c = 'c3' WHERE id = 'C'")
                .await?;
            let seen = found(&setup, terminal, &[], 1).await?;
            assert_eq!(counts(&seen, "t")?, [0, 0, 1], "{seen}");
            assert_eq!(seen["tables"][0]["shown"][0]["columns"], serde_json::json!(["c"]));
            assert_eq!(seen["tables"][0]["shown"][0]["key"]["id"], "C");
            found(&setup, terminal, &["--repair"], 0).await?;
            let own = terminal.value("SELECT count(*) FROM t WHERE own = 'other'").await?;
            assert_eq!(own.as_deref(), Some("29"), "a column of its own is left alone");
            same(&setup, terminal).await?;
        }
        Ok(())
    });
}
