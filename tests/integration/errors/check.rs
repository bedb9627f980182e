//! What `check` finds on a master, and that its SQL, taken by the letter, mends it.

use anyhow::{Context, Result};
use harness::{Cluster, Database, Finished, ProcessBuilder, test};

use crate::setup::{LIMIT, SOURCE, Setup, slot_of};

async fn check(master: &Database) -> Result<Finished> {
    let done = ProcessBuilder::new("check", harness::binary("tailwater-capture")?)
        .args(["check", "--source", master.url(), "--name", SOURCE, "--slot", &slot_of(master)])
        .run(LIMIT)
        .await?;
    assert_eq!(done.stderr.lines().filter(|line| line.contains("panicked")).count(), 0);
    Ok(done)
}

/// Runs every statement of the answer. ALTER SYSTEM stands alone in its message.
async fn mend(master: &Database, done: &Finished) -> Result<()> {
    let lines = done.stdout.lines().map(str::trim);
    let is_sql = |line: &&str| ["ALTER ", "SELECT "].iter().any(|word| line.starts_with(word));
    for line in lines.filter(is_sql) {
        let sql = line.split_once(" -- ").map_or(line, |(sql, _)| sql);
        for statement in sql.split_terminator(';') {
            master.execute(statement).await?;
        }
    }
    Ok(())
}

fn names(done: &Finished, words: &[&str]) {
    for word in words {
        assert!(done.stdout.contains(word), "it does not say '{word}': {}", done.stdout);
    }
}

async fn major(master: &Database) -> Result<u32> {
    let number = master.value("SHOW server_version_num").await?.context("no version")?;
    Ok(number.parse::<u32>()? / 10_000)
}

#[test]
fn settings_that_end_sessions_or_lose_the_slot_are_named_with_the_sql_that_mends_them() {
    test(async {
        let cluster = Cluster::builder()
            .without_fsync()
            .setting("max_slot_wal_keep_size", "64MB")
            .setting("wal_sender_timeout", "0")
            .start()
            .await?;
        let master = cluster.database().await?;
        master.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let mut words = vec!["max_slot_wal_keep_size is 64MB", "wal_sender_timeout is 0"];
        for (since, sql, word) in [
            (
                14,
                "ALTER ROLE postgres SET idle_session_timeout = '30s'",
                "idle_session_timeout is 30s",
            ),
            (
                17,
                "ALTER ROLE postgres SET transaction_timeout = '1h'",
                "transaction_timeout is 3600s",
            ),
            (
                18,
                "ALTER SYSTEM SET idle_replication_slot_timeout = '1d'",
                "idle_replication_slot_timeout is 86400s",
            ),
        ] {
            if major(&master).await? >= since {
                master.execute(sql).await?;
                words.push(word);
            }
        }
        master.execute("SELECT pg_reload_conf()").await?;
        let found = noted(&master, &words).await?;
        assert_eq!(found.code, 0, "these are notes: {}{}", found.stdout, found.stderr);
        mend(&master, &found).await?;
        harness::eventually("nothing is left to say", LIMIT, async || {
            let found = check(&master).await?;
            Ok(found.code == 0 && !found.stdout.contains("note:"))
        })
        .await
    });
}

/// Time-outs that any session may set for itself are no concern: capture does.
#[test]
fn a_role_in_a_hurry_can_capture() {
    test(async {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let master = cluster.database().await?;
        master
            .execute(
                "CREATE TABLE t AS SELECT n, repeat('f', 900) FROM generate_series(1, 20000) n;
                 ALTER TABLE t ADD PRIMARY KEY (n); CREATE ROLE hasty LOGIN SUPERUSER;
                 ALTER ROLE hasty SET statement_timeout = 1; ALTER ROLE hasty SET lock_timeout = 1;
                 ALTER ROLE hasty SET idle_in_transaction_session_timeout = 1",
            )
            .await?;
        let relay = harness::RelayProcess::builder().start().await?;
        let url = cluster.url_as("hasty", "", master.name());
        let capture =
            harness::capture(&url, SOURCE, &relay.url())?.args(["--slot", &slot_of(&master)]);
        let capture = capture.spawn()?;
        let setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        let said = setup.capture.stderr();
        assert!(!said.contains("cancel") && !said.contains("terminat"), "{said}");
        Ok(())
    });
}

/// A reloaded configuration reaches new sessions a moment later.
async fn noted(master: &Database, words: &[&str]) -> Result<Finished> {
    let mut found = check(master).await?;
    harness::eventually(&format!("check says {words:?}"), LIMIT, async || {
        found = check(master).await?;
        Ok(words.iter().all(|word| found.stdout.contains(word)))
    })
    .await
    .with_context(|| format!("it says {}", found.stdout))?;
    Ok(found)
}

#[test]
fn a_slot_that_is_there_is_looked_at() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        setup.captured().await?;
        let found = check(&setup.master).await?;
        assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
        names(&found, &["is in use by PID", "pg_stat_activity"]);

        let master = Cluster::shared().await?.database().await?;
        master.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let make = |plugin: &str| {
            format!("SELECT pg_create_logical_replication_slot('{}', '{plugin}')", slot_of(&master))
        };
        master.value(&make("test_decoding")).await?;
        let found = check(&master).await?;
        assert_eq!(found.code, 3, "{}", found.stdout);
        names(&found, &["test_decoding", "--slot"]);
        let drop = format!("SELECT pg_drop_replication_slot('{}')", slot_of(&master));
        master.value(&drop).await?;
        // Somebody dropped the publication, and the slot is still there.
        master.value(&make("pgoutput")).await?;
        let found = check(&master).await?;
        assert_eq!(found.code, 3, "{}", found.stdout);
        names(&found, &["publication 'tailwater_orders' is not", "tailwater-capture adopt", &drop]);
        master.value(&drop).await?;
        let found = check(&master).await?;
        assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
        Ok(())
    });
}

#[test]
fn the_sql_of_a_check_is_for_the_names_and_tables_of_the_run() {
    test(async {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let master = cluster.database().await?;
        let sql = "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE keyless (n int);
            CREATE ROLE reader LOGIN REPLICATION";
        master.execute(sql).await?;
        let url = cluster.url_as("reader", "", master.name());
        let check = async |args: &[&str]| -> Result<Finished> {
            let command = ProcessBuilder::new("check", harness::binary("tailwater-capture")?);
            command.args(["check", "--source", &url]).args(args).run(LIMIT).await
        };
        let found = check(&[]).await?;
        names(&found, &["no --name is given", "called 'tailwater'"]);
        let found = check(&["--name", SOURCE]).await?;
        assert_eq!(found.code, 3, "{}", found.stdout);
        assert!(!found.stdout.contains("no --name"), "{}", found.stdout);
        let (publish, keyless) = ("PUBLICATION \"tailwater_orders\"", "run check again");
        names(&found, &["GRANT SELECT ON \"public\".\"keyless\"", publish, keyless]);
        master.execute("ALTER TABLE keyless REPLICA IDENTITY FULL").await?;
        let found = check(&["--name", SOURCE]).await?;
        names(&found, &["FOR TABLE \"public\".\"keyless\", \"public\".\"t\";"]);
        assert!(!found.stdout.contains(keyless), "{}", found.stdout);
        let found = check(&["--slot", "s", "--publication", "p"]).await?;
        assert!(!found.stdout.contains("no --name"), "{}", found.stdout);
        Ok(())
    });
}
