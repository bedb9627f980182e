//! A slot that standbys have (`--failover`, PostgreSQL 17 and later).

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context, Result, ensure};
use harness::{Cluster, Database, RelayProcess, Shutdown, eventually, test};

use super::own_cluster::quick;
use crate::{
    ending::says,
    history,
    setup::{LIMIT, Options, Setup, capture_command, slot_of},
};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY)";
const FAILOVER: [&str; 1] = ["--failover"];

async fn has_failover(master: &Database) -> Result<bool> {
    let number = master.value("SHOW server_version_num").await?.context("no version")?;
    Ok(number.parse::<u32>()? >= 170_000)
}

/// What the master shows of the slot: `t` or `f`.
async fn failover(setup: &Setup) -> Result<Option<String>> {
    let slot = slot_of(&setup.master);
    let sql = format!("SELECT failover FROM pg_replication_slots WHERE slot_name = '{slot}'");
    setup.master.value(&sql).await
}

#[test]
fn standbys_get_the_slot_only_when_asked_for() {
    test(async {
        let cluster = Cluster::shared().await?;
        let master = cluster.database().await?;
        if !has_failover(&master).await? {
            master.execute(TABLE).await?;
            let relay = RelayProcess::builder().start().await?;
            let command = capture_command(&master, &relay.url())?.args(FAILOVER);
            let done = command.run(LIMIT).await?;
            says(&done, 3, &["standbys get slots from 17 on", "leave --failover out"]);
            return Ok(());
        }
        let options = Options { capture: &FAILOVER, config: None };
        let asked = Setup::on(cluster, TABLE, options).await?;
        assert_eq!(failover(&asked).await?.as_deref(), Some("t"));

        let mut setup = Setup::shared(TABLE).await?;
        assert_eq!(failover(&setup).await?.as_deref(), Some("f"));
        setup.capture.stop().await?;
        let config = Options { capture: &[], config: Some("failover = true") };
        let (master, relay) = (setup.master, setup.relay);
        // The server needs a moment to see that capture has left.
        let free = format!(
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = '{}' AND NOT active",
            slot_of(&master)
        );
        eventually("the slot is free", LIMIT, async || Ok(master.value(&free).await?.is_some()))
            .await?;
        let setup = Setup::with(master, relay, config).await?;
        setup.master.execute("INSERT INTO t VALUES (1)").await?;
        setup.captured().await?;
        assert_eq!(failover(&setup).await?.as_deref(), Some("t"));
        Ok(())
    });
}

/// Why it is not the default: capture stands still for a machine that is not there (decision 0040). `check`
/// says so beforehand.
#[test]
fn capture_waits_for_standbys_that_are_to_be_waited_for() {
    test(async {
        let mut cluster = quick().start().await?;
        if !has_failover(&cluster.database().await?).await? {
            return Ok(());
        }
        let options = Options { capture: &FAILOVER, config: None };
        let setup = Setup::on(&cluster, TABLE, options).await?;
        let away = "SELECT pg_create_physical_replication_slot('away', true)";
        setup.master.value(away).await?;
        let slot = slot_of(&setup.master);
        let without = check(&setup.master, "tailwater_other").await?;
        assert!(without.contains("promoted will not have the slot"), "{without}");
        assert!(without.contains("--failover"), "{without}");
        let with = check(&setup.master, &slot).await?;
        assert!(!with.contains("promoted") && !with.contains("synchronized"), "{with}");

        let wait = ("synchronized_standby_slots".to_owned(), "away".to_owned());
        cluster.write_settings(&BTreeMap::from([wait]))?;
        setup.master.value("SELECT pg_reload_conf()").await?;
        setup.master.execute("INSERT INTO t VALUES (1)").await?;
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'WaitForStandbyConfirmation'";
        eventually("the server waits", LIMIT, async || {
            Ok(setup.master.value(waits).await?.as_deref() == Some("1"))
        })
        .await?;
        let with = check(&setup.master, &slot).await?;
        assert!(with.contains("synchronized_standby_slots is 'away'"), "{with}");
        let wait = ("synchronized_standby_slots".to_owned(), String::new());
        cluster.write_settings(&BTreeMap::from([wait]))?;
        setup.master.value("SELECT pg_reload_conf()").await?;
        setup.captured().await.map(drop)
    });
}

/// The application's commits wait then. What capture writes itself does not.
#[test]
fn a_synchronous_standby_that_is_away_does_not_hold_capture_up() {
    test(async {
        let mut cluster = quick().setting("synchronous_commit", "on").start().await?;
        let master = cluster.database().await?;
        master.execute(TABLE).await?;
        let wait = ("synchronous_standby_names".to_owned(), "away".to_owned());
        cluster.write_settings(&BTreeMap::from([wait]))?;
        master.value("SELECT pg_reload_conf()").await?;
        let relay = RelayProcess::builder().start().await?;
        let setup = Setup::with(master, relay, Options { capture: &[], config: None }).await?;
        let insert = "SET synchronous_commit = local; INSERT INTO t VALUES (1)";
        setup.master.execute(insert).await?;
        setup.captured().await?;
        // The database's end would wait too.
        cluster.write_settings(&BTreeMap::from([(
            "synchronous_standby_names".to_owned(),
            String::new(),
        )]))?;
        setup.master.value("SELECT pg_reload_conf()").await.map(drop)
    });
}

async fn check(master: &Database, slot: &str) -> Result<String> {
    let done = harness::ProcessBuilder::new("check", harness::binary("tailwater-capture")?)
        .args(["check", "--source", master.url(), "--name", "orders", "--slot", slot])
        .run(LIMIT)
        .await?;
    ensure!(done.code == 0, "{}{}", done.stdout, done.stderr);
    Ok(done.stdout)
}

/// A standby of `master`, from a copy of its data folder: without its slots, as backups are.
async fn standby_of(master: &mut Cluster, database: &str) -> Result<Cluster> {
    let mut standby = quick().start().await?;
    standby.stop(Shutdown::Fast).await?;
    let data = standby.data_dir();
    std::fs::remove_dir_all(&data)?;
    master.stop(Shutdown::Fast).await?;
    let done = Command::new("cp").arg("-a").arg(master.data_dir()).arg(&data).output()?;
    ensure!(done.status.success(), "cp: {}", String::from_utf8_lossy(&done.stderr));
    for slot in std::fs::read_dir(data.join("pg_replslot"))? {
        std::fs::remove_dir_all(slot?.path())?;
    }
    master.start().await?;
    asked(&master.url(database), "SELECT pg_create_physical_replication_slot('standby', true)")
        .await?;
    std::fs::write(data.join("standby.signal"), "")?;
    let settings = [
        (
            "primary_conninfo",
            format!("host=127.0.0.1 port={} user=postgres dbname={database}", master.port()),
        ),
        ("primary_slot_name", "standby".to_owned()),
        ("hot_standby_feedback", "on".to_owned()),
        ("sync_replication_slots", "on".to_owned()),
    ];
    let settings: BTreeMap<String, String> =
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    standby.write_settings(&settings)?;
    standby.start().await?;
    Ok(standby)
}

/// The whole of it: the master dies, the standby is promoted, capture goes on there under the same source
/// name, and nothing is missing or there twice. Older servers are refused, see above.
#[test]
fn capture_goes_on_from_a_promoted_standby() {
    test(async {
        let mut cluster = quick().start().await?;
        if !has_failover(&cluster.database().await?).await? {
            return Ok(());
        }
        let options = Options { capture: &FAILOVER, config: None };
        let mut setup = Setup::on(&cluster, TABLE, options).await?;
        let slot = slot_of(&setup.master);
        let standby = standby_of(&mut cluster, setup.master.name()).await?;
        let url = standby.url(setup.master.name());
        for id in 1..10 {
            setup.master.execute(&format!("INSERT INTO t VALUES ({id})")).await?;
        }
        let end = setup.captured().await?;
        // Synchronised in earnest only once the standby has all that the slot needs.
        let ready = format!(
            "SELECT count(*) > 0 FROM pg_replication_slots WHERE slot_name = '{slot}' AND synced AND NOT temporary"
        );
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{end}'");
        eventually("the standby has the slot and all that was committed", LIMIT, async || {
            // The slot of a quiet master does not move, and then it is not synchronised.
            setup.master.execute("SELECT pg_log_standby_snapshot(); SELECT pg_logical_emit_message(true, 'x', '')").await?;
            Ok(asked(&url, &ready).await? == "t" && asked(&url, &replayed).await? == "t")
        })
        .await?;
        setup.capture.stop().await?;
        cluster.stop(Shutdown::Fast).await?;
        assert_eq!(asked(&url, "SELECT pg_promote(true, 30)").await?, "t");
        let insert = "WITH i AS (INSERT INTO t VALUES (10) RETURNING 1) SELECT 't' FROM i";
        assert_eq!(asked(&url, insert).await?, "t");
        let command = harness::capture(&url, crate::setup::SOURCE, &setup.relay.url())?;
        let mut capture = command.args(["--slot", &slot]).args(FAILOVER).spawn()?;
        let end = asked(&url, "SELECT pg_current_wal_insert_lsn()").await?.parse()?;
        setup.relay.wait_head(crate::setup::SOURCE, end, LIMIT).await?;
        assert!(capture.is_running()?, "{}", capture.stderr());
        let expected: Vec<String> = (1..=10).map(|id| id.to_string()).collect();
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "t");
        assert_eq!(ids, expected);
        Ok(())
    });
}

async fn asked(url: &str, sql: &str) -> Result<String> {
    let client = harness::connect(url).await?;
    let answer = client.simple_query(sql).await?;
    let value = answer.into_iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    value.with_context(|| format!("no answer to {sql}"))
}
