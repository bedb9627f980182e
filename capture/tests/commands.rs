use anyhow::Result;
use capture::{
    source::{Refusal, Source},
    walsender::{SlotSnapshot, StartReplication, StreamSettings, Walsender, WalsenderError},
};
use harness::{Cluster, Lsn, test};

fn source(url: &str) -> Result<Source> {
    Ok(Source::from_url_and(url, None, None)?)
}

fn start(slot: &str, publication: &str) -> StartReplication {
    StartReplication { slot: slot.into(), publications: vec![publication.into()] }
}

#[test]
fn a_slot_exports_a_snapshot_until_the_next_command() {
    test(async {
        let database = Cluster::shared().await?.database().await?;
        database
            .execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
            .await?;
        let source = source(database.url())?;
        let mut walsender = Walsender::connect(&source).await?;
        assert_eq!(walsender.version().major(), 15);
        let created = walsender.create_slot("exporting", SlotSnapshot::Export).await?;
        database.execute("INSERT INTO t VALUES (3)").await?;

        let snapshot = created.snapshot.unwrap_or_default();
        let sql = source.connect_sql().await?;
        sql.batch_execute(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{snapshot}'"
        ))
        .await?;
        let count: i64 = sql.query_one("SELECT count(*) FROM public.t", &[]).await?.get(0);
        assert_eq!(count, 2);
        let identity = walsender.identify_system().await?;
        assert_eq!(identity.timeline, 1);
        assert!(identity.system_identifier > 0 && identity.position > Lsn::ZERO);
        assert_eq!(walsender.timeline_history(1).await?.switches, []);
        let other = source.connect_sql().await?;
        let late = other
            .batch_execute(&format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{snapshot}'"
            ))
            .await;
        assert!(late.is_err(), "the snapshot outlived the next command");

        let error = walsender.create_slot("exporting", SlotSnapshot::Nothing).await.unwrap_err();
        assert_eq!(error.refusal(), Some(&Refusal::SlotExists), "{error}");
        walsender.drop_slot("exporting").await?;
        let error = walsender.drop_slot("exporting").await.unwrap_err();
        assert_eq!(error.refusal(), Some(&Refusal::SlotMissing), "{error}");
        assert!(walsender.identify_system().await.is_ok(), "an error leaves the connection usable");
        Ok(())
    });
}

#[test]
fn a_command_given_up_in_the_middle_spoils_the_connection() {
    test(async {
        let database = Cluster::shared().await?.database().await?;
        let mut walsender = Walsender::connect(&source(database.url())?).await?;
        let sleep = walsender.query("to sleep", "SELECT pg_sleep(60)");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(100), sleep).await.is_err());
        let error = walsender.identify_system().await.unwrap_err();
        assert!(matches!(error, WalsenderError::Abandoned), "{error}");
        Ok(())
    });
}

#[test]
fn each_refusal_to_stream_has_its_name() {
    test(async {
        let database = Cluster::shared().await?.database().await?;
        database.execute("CREATE PUBLICATION all_tables FOR ALL TABLES").await?;
        let source = source(database.url())?;
        let settings = StreamSettings::default();

        let walsender = Walsender::connect(&source).await?;
        let error = walsender.start(&start("missing", "all_tables"), settings).await.err();
        assert_eq!(
            error.as_ref().and_then(WalsenderError::refusal),
            Some(&Refusal::SlotMissing),
            "{error:?}"
        );

        let mut walsender = Walsender::connect(&source).await?;
        walsender.create_slot("taken", SlotSnapshot::Nothing).await?;
        let pid = walsender.process_id();
        let (_reader, feedback) = walsender.start(&start("taken", "all_tables"), settings).await?;
        let second = Walsender::connect(&source).await?;
        let error = second.start(&start("taken", "all_tables"), settings).await.err();
        let expected = Refusal::SlotActive { pid: Some(pid) };
        assert_eq!(error.as_ref().and_then(WalsenderError::refusal), Some(&expected), "{error:?}");
        feedback.close().await?;
        Ok(())
    });
}

#[test]
fn a_server_that_is_not_prepared_says_what_to_do() {
    test(async {
        let cluster = Cluster::builder()
            .without_fsync()
            .setting("wal_level", "replica")
            .setting("max_replication_slots", 1)
            .start()
            .await?;
        let mut walsender = Walsender::connect(&source(&cluster.url("postgres"))?).await?;
        let error = walsender.create_slot("a", SlotSnapshot::Nothing).await.unwrap_err();
        assert_eq!(error.refusal(), Some(&Refusal::WalLevel), "{error}");
        assert!(error.to_string().contains("ALTER SYSTEM SET wal_level"), "{error}");

        let cluster =
            Cluster::builder().without_fsync().setting("max_replication_slots", 1).start().await?;
        let mut walsender = Walsender::connect(&source(&cluster.url("postgres"))?).await?;
        walsender.create_slot("a", SlotSnapshot::Nothing).await?;
        let error = walsender.create_slot("b", SlotSnapshot::Nothing).await.unwrap_err();
        assert_eq!(error.refusal(), Some(&Refusal::NoFreeSlot), "{error}");
        Ok(())
    });
}

#[test]
fn a_slot_whose_wal_was_removed_is_lost_by_name() {
    test(async {
        let cluster = Cluster::builder()
            .without_fsync()
            .setting("max_slot_wal_keep_size", "16MB")
            .setting("max_wal_size", "32MB")
            .setting("min_wal_size", "32MB")
            .start()
            .await?;
        let source = source(&cluster.url("postgres"))?;
        let mut walsender = Walsender::connect(&source).await?;
        walsender.create_slot("lost", SlotSnapshot::Nothing).await?;
        let sql = source.connect_sql().await?;
        sql.batch_execute("CREATE TABLE public.t (x text); CREATE PUBLICATION p FOR ALL TABLES")
            .await?;
        for _ in 0..8 {
            sql.batch_execute(
                "INSERT INTO public.t SELECT repeat(md5(n::text), 30) FROM generate_series(1, 10000) n; CHECKPOINT",
            )
            .await?;
        }
        let status: String =
            sql.query_one("SELECT wal_status FROM pg_replication_slots", &[]).await?.get(0);
        assert_eq!(status, "lost");
        let error = walsender.start(&start("lost", "p"), StreamSettings::default()).await.err();
        assert_eq!(
            error.as_ref().and_then(WalsenderError::refusal),
            Some(&Refusal::SlotLost),
            "{error:?}"
        );
        Ok(())
    });
}
