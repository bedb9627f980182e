//! Invariants 9 and 10: the master knows no terminal, and capture never makes an application's
//! statement fail (PITFALLS 25).

use anyhow::{Context, Result};
use harness::{Cluster, Database, RelayProcess, Tables, eventually, test};

use crate::{
    ending::says,
    setup::{LIMIT, Options, SOURCE, Setup, capture_command, slot_of},
};

/// All that a terminal could leave on a master, or capture besides what it says.
async fn inventory(master: &Database) -> Result<String> {
    let sql = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
        SELECT 'slot ' || slot_name || ' ' || coalesce(plugin, 'physical') AS line FROM pg_replication_slots
        UNION ALL SELECT 'publication ' || pubname FROM pg_publication
        UNION ALL SELECT 'published ' || tablename FROM pg_publication_tables
        UNION ALL SELECT 'backend ' || backend_type || ' ' || application_name FROM pg_stat_activity
            -- The test's own have no name, and take a moment to go.
            WHERE backend_type IN ('client backend', 'walsender') AND application_name <> ''
        UNION ALL SELECT 'relation ' || oid::regclass || ' ' || relreplident::text FROM pg_class WHERE oid >= 16384
        UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE oid >= 16384
        UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger
        UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
        UNION ALL SELECT 'role ' || rolname FROM pg_roles) t";
    Ok(master.value(sql).await?.unwrap_or_default())
}

#[test]
fn terminals_that_come_and_go_change_nothing_on_the_master() {
    test(async {
        // Its own server: the terminals' databases are on the shared one.
        let cluster = Cluster::builder().without_fsync().start().await?;
        let sql = "CREATE TABLE t (id int PRIMARY KEY)";
        let setup = Setup::on(&cluster, sql, Options::default()).await?;
        // Capture's SQL connection comes a moment after the stream.
        let mut before = inventory(&setup.master).await?;
        eventually("capture has all its connections", LIMIT, async || {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            let now = inventory(&setup.master).await?;
            Ok(std::mem::replace(&mut before, now.clone()) == now)
        })
        .await?;
        let postgres = [setup.postgres("store-1").await?, setup.postgres("store-2").await?];
        let files = [setup.sqlite("till-1")?, setup.sqlite("till-2")?];
        let url = setup.relay.url();
        let mut following = Vec::new();
        for (round, terminal) in postgres.iter().chain(&files).enumerate() {
            setup.pull(terminal).await?;
            following.push(terminal.command(&url)?.arg("--follow").spawn()?);
            setup.master.execute(&format!("INSERT INTO t VALUES ({round})")).await?;
            assert_eq!(inventory(&setup.master).await?, before, "with {} terminals", round + 1);
        }
        let end = setup.captured().await?;
        for name in ["store-1", "store-2", "till-1", "till-2"] {
            setup.relay.wait_applied(SOURCE, name, end, LIMIT).await?;
        }
        assert_eq!(inventory(&setup.master).await?, before, "while four follow");
        // One is killed, one leaves in order, one is forgotten.
        following[0].kill()?;
        following[1].stop().await?;
        following[2].stop().await?;
        let forget = format!("{url}/v1/{SOURCE}/terminals/till-1");
        let answer = harness::http_client()?.delete(forget).send().await?;
        assert!(answer.status().is_success(), "{}", answer.status());
        drop(following);
        setup.master.execute("INSERT INTO t VALUES (100)").await?;
        setup.captured().await?;
        assert_eq!(inventory(&setup.master).await?, before, "after they have gone");
        Ok(())
    });
}

const KEYLESS: &str = "
    CREATE TABLE keyed (id int PRIMARY KEY, n int); INSERT INTO keyed VALUES (1, 1), (2, 2);
    CREATE TABLE bare (id int, n int); INSERT INTO bare VALUES (1, 1), (2, 2);
    CREATE TABLE \"Late Key\" (id int PRIMARY KEY DEFERRABLE, n int); INSERT INTO \"Late Key\" VALUES (1, 1), (2, 2);
    CREATE TABLE mute (id int PRIMARY KEY, n int); INSERT INTO mute VALUES (1, 1), (2, 2);
    ALTER TABLE mute REPLICA IDENTITY NOTHING;
    CREATE TABLE gone_index (id int NOT NULL, n int); CREATE UNIQUE INDEX gone ON gone_index (id);
    ALTER TABLE gone_index REPLICA IDENTITY USING INDEX gone; DROP INDEX gone;
    CREATE UNIQUE INDEX another ON gone_index (id); INSERT INTO gone_index VALUES (1, 1), (2, 2);
    CREATE UNLOGGED TABLE fleeting (id int); CREATE VIEW seen AS SELECT id FROM bare";
const TABLES: [&str; 5] = ["keyed", "bare", "\"Late Key\"", "mute", "gone_index"];

/// What the application does to every table, all the time.
pub(crate) async fn application_works(master: &Database, tables: &[&str]) -> Result<()> {
    for table in tables {
        let sql = format!(
            "UPDATE {table} SET n = n + 1; INSERT INTO {table} VALUES (9, 9); DELETE FROM {table} WHERE id = 9"
        );
        master
            .execute(&sql)
            .await
            .with_context(|| format!("the application is harmed at {table}"))?;
    }
    Ok(())
}

#[test]
fn keyless_tables_stop_the_start_and_nothing_is_changed() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        master.execute(KEYLESS).await?;
        let relay = RelayProcess::builder().start().await?;
        let facts = "SELECT string_agg(oid::regclass || ' ' || relreplident::text, ', ' ORDER BY oid) FROM pg_class WHERE oid >= 16384";
        let before = master.value(facts).await?;
        let done = capture_command(&master, &relay.url())?.run(LIMIT).await?;
        says(
            &done,
            2,
            &[
                "public.bare",
                "public.Late Key",
                "deferrable",
                "public.mute",
                "public.gone_index",
                "ALTER TABLE \"public\".\"bare\" REPLICA IDENTITY FULL;",
                "ALTER TABLE \"public\".\"Late Key\" REPLICA IDENTITY FULL;",
                "--keyless full",
                "--keyless skip",
            ],
        );
        for other in ["public.keyed", "public.fleeting", "public.seen"] {
            assert!(!done.stderr.contains(other), "{}", done.stderr);
        }
        assert_eq!(master.value(facts).await?, before);
        assert_eq!(
            master.value("SELECT count(*) FROM pg_publication").await?.as_deref(),
            Some("0")
        );
        let slot =
            format!("SELECT 1 FROM pg_replication_slots WHERE slot_name = '{}'", slot_of(&master));
        assert_eq!(master.value(&slot).await?, None);
        application_works(&master, &TABLES).await?;

        // `check` says the same without trying; its SQL, taken by the letter, helps.
        let check = harness::ProcessBuilder::new("check", harness::binary("tailwater-capture")?)
            .args(["check", "--source", master.url()]);
        let found = check.clone().run(LIMIT).await?;
        assert_eq!(found.code, 3, "{}{}", found.stdout, found.stderr);
        let lines = found.stdout.lines().map(str::trim);
        let statements: Vec<&str> = lines.filter(|line| line.starts_with("ALTER TABLE")).collect();
        assert_eq!(statements.len(), 4, "{}", found.stdout);
        for statement in statements {
            master.execute(statement).await?;
        }
        let found = check.run(LIMIT).await?;
        assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
        Ok(())
    });
}

#[test]
fn made_full_they_can_be_changed_and_follow() {
    test(async {
        let options = Options { capture: &["--keyless", "full"], config: None };
        let setup = Setup::on(Cluster::shared().await?, KEYLESS, options).await?;
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        application_works(&setup.master, &TABLES).await?;
        setup.all_equal(&[&terminal]).await
    });
}

#[test]
fn skipped_they_can_be_changed_and_stay_at_home() {
    test(async {
        let options = Options { capture: &["--keyless", "skip"], config: None };
        let setup = Setup::on(Cluster::shared().await?, KEYLESS, options).await?;
        application_works(&setup.master, &TABLES).await?;
        setup.captured().await?;
        let said = setup.capture.stderr();
        for name in ["public.bare", "public.Late Key", "public.mute", "public.gone_index"] {
            assert!(said.contains(name), "it leaves {name} out without a word: {said}");
        }
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        terminal.equals(&setup.master, &Tables::only(&["keyed"])).await?;
        assert_eq!(terminal.value("SELECT to_regclass('bare')").await?, None);
        Ok(())
    });
}

/// Tables that the application makes later, and keys that it gives up, while capture runs and after
/// it was started again.
#[test]
fn tables_made_later_are_never_harmed() {
    test(async {
        let sql = "CREATE TABLE keyed (id int PRIMARY KEY, n int)";
        let mut setup = Setup::shared(sql).await?;
        let later = "
            CREATE TABLE bare_later (id int, n int);
            CREATE TABLE keyed_later (id int PRIMARY KEY, n int);
            CREATE TABLE deferred_later (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, n int);
            CREATE TABLE parts_later (id int, n int) PARTITION BY LIST (id);
            CREATE TABLE parts_later_1 PARTITION OF parts_later DEFAULT";
        setup.master.execute(later).await?;
        let tables = ["keyed", "bare_later", "keyed_later", "deferred_later", "parts_later"];
        application_works(&setup.master, &tables).await?;
        setup.captured().await?;
        setup.kill_capture()?;
        eventually("it says what it leaves out", LIMIT, async || {
            let said = setup.capture.stderr();
            Ok(["bare_later", "deferred_later", "parts_later_1"]
                .iter()
                .all(|name| said.contains(name)))
        })
        .await?;
        application_works(&setup.master, &tables).await?;
        setup.captured().await?;
        application_works(&setup.master, &tables).await?;
        setup.captured().await?;
        assert!(setup.capture.is_running()?, "{}", setup.capture.stderr());
        Ok(())
    });
}

#[test]
fn removed_nothing_of_it_is_left() {
    test(async {
        // Its own server: the inventory counts all slots and connections.
        let cluster = Cluster::builder().without_fsync().start().await?;
        let master = cluster.database().await?;
        master.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
        let before = inventory(&master).await?;
        let relay = RelayProcess::builder().start().await?;
        let mut setup = Setup::with(master, relay, Options::default()).await?;
        let slot = slot_of(&setup.master);
        let remove = harness::ProcessBuilder::new("remove", harness::binary("tailwater-capture")?)
            .args(["remove", "--source", setup.master.url(), "--name", SOURCE, "--slot", &slot]);
        let used = "SELECT 1 FROM pg_replication_slots WHERE active";
        let in_use = async || Ok(setup.master.value(used).await?.is_some());
        eventually("capture holds its slot", LIMIT, in_use).await?;
        // In use: nothing is taken from under a running capture.
        let done = remove.clone().run(LIMIT).await?;
        says(&done, 3, &[&slot, "in use", "stop"]);
        setup.capture.stop().await?;
        let done = remove.clone().run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.contains(&slot), "{}", done.stdout);
        assert!(done.stdout.contains("tailwater_orders"), "{}", done.stdout);
        eventually("all is as it was", LIMIT, async || {
            Ok(inventory(&setup.master).await? == before)
        })
        .await?;
        let done = remove.run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        Ok(())
    });
}
