use std::time::{Duration, Instant};

use capture::{
    source::Refusal,
    walsender::{StreamSettings, WalsenderError},
};
use harness::{Cluster, Mode, Proxy, Shutdown, eventually, test};

use crate::stream::{connect, next, open, reopen, transaction};

#[test]
fn feedback_goes_on_while_nobody_reads() {
    test(async {
        let cluster =
            Cluster::builder().without_fsync().setting("wal_sender_timeout", "2s").start().await?;
        let database = cluster.database().await?;
        database.execute("CREATE TABLE t (id int PRIMARY KEY, filler text)").await?;
        let (mut reader, feedback) = open(&database, "held", StreamSettings::default()).await?;
        // More than the socket's buffers hold, so that the server waits for us.
        database
            .execute("INSERT INTO t SELECT n, repeat('f', 2000) FROM generate_series(1, 20000) n")
            .await?;
        next(&mut reader).await?;
        tokio::time::sleep(Duration::from_secs(7)).await;
        let mut inserts = 0;
        while !matches!(next(&mut reader).await?, capture::pgoutput::Message::Commit(_)) {
            inserts += 1;
        }
        assert!(inserts >= 20_000);
        feedback.close().await?;
        Ok(())
    });
}

/// The slot stays one commit behind on purpose; a server that waited for it would never stop.
#[test]
fn a_server_stops_although_the_slot_is_behind() {
    test(async {
        let mut cluster = Cluster::new().await?;
        let database = cluster.database().await?;
        database.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let (mut reader, feedback) = open(&database, "behind", StreamSettings::default()).await?;
        let mut ends = Vec::new();
        for id in 1..=2 {
            database.execute(&format!("INSERT INTO t VALUES ({id})")).await?;
            ends.push(transaction(&mut reader).await?.1);
        }
        feedback.report(ends[0], ends[0]);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let began = Instant::now();
        let reading = tokio::spawn(async move {
            loop {
                if let Err(error) = reader.next().await {
                    return error;
                }
            }
        });
        cluster.stop(Shutdown::Fast).await?;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let error = reading.await?;
        assert!(matches!(error, WalsenderError::Ended), "{error}");
        drop(feedback);

        cluster.start().await?;
        let (mut reader, feedback) =
            reopen(connect(database.url()).await?, "behind", StreamSettings::default()).await?;
        // The slot did not move past what was reported; it may have forgotten even that.
        let mut repeated = transaction(&mut reader).await?.1;
        if repeated == ends[0] {
            repeated = transaction(&mut reader).await?.1;
        }
        assert_eq!(repeated, ends[1]);
        feedback.close().await?;
        Ok(())
    });
}

/// A server that asks is told what we have received; its slot does not take that for durable.
#[test]
fn what_was_only_received_is_not_acknowledged() {
    test(async {
        let cluster =
            Cluster::builder().without_fsync().setting("wal_sender_timeout", "2s").start().await?;
        let database = cluster.database().await?;
        database.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        // Nothing is told unasked, so that the server has to ask.
        let never = Duration::from_secs(3600);
        let settings = StreamSettings { status_every: never, ..StreamSettings::default() };
        let (mut reader, _feedback) = open(&database, "received", settings).await?;
        database.execute("INSERT INTO t VALUES (1)").await?;
        let end = transaction(&mut reader).await?.1;
        let reading = tokio::spawn(async move { while reader.next().await.is_ok() {} });
        let received =
            format!("SELECT count(*) FROM pg_stat_replication WHERE write_lsn >= '{end}'");
        harness::eventually("the server was told", Duration::from_secs(20), async || {
            Ok(database.value(&received).await?.as_deref() == Some("1"))
        })
        .await?;
        let acknowledged = format!(
            "SELECT count(*) FROM pg_replication_slots WHERE confirmed_flush_lsn >= '{end}'"
        );
        assert_eq!(database.value(&acknowledged).await?.as_deref(), Some("0"));
        assert!(!reading.is_finished(), "the stream goes on");
        Ok(())
    });
}

#[test]
fn a_dead_but_open_connection_is_noticed() {
    test(async {
        let cluster = Cluster::shared().await?;
        let database = cluster.database().await?;
        database.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let proxy = Proxy::to_port(cluster.port()).await?;
        let url = format!("postgres://postgres@127.0.0.1:{}/{}", proxy.port(), database.name());
        let settings =
            StreamSettings { silence_limit: Duration::from_secs(2), ..StreamSettings::default() };
        drop(open(&database, "dead", settings).await?);
        harness::eventually("the slot is free", Duration::from_secs(5), async || {
            let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'dead'";
            Ok(database.value(active).await?.as_deref() == Some("f"))
        })
        .await?;
        let (mut reader, _feedback) = reopen(connect(&url).await?, "dead", settings).await?;

        // An idle server answers when asked, so idleness is no death.
        let idle = async {
            loop {
                reader.next().await?;
            }
            #[expect(unreachable_code, reason = "gives the block its type")]
            Ok::<(), WalsenderError>(())
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(6), idle).await.is_err(),
            "an idle server counts as dead"
        );

        proxy.set(Mode::Stall);
        let began = Instant::now();
        let error = loop {
            if let Err(error) = reader.next().await {
                break error;
            }
        };
        assert!(matches!(error, WalsenderError::Silent { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        Ok(())
    });
}

#[test]
fn a_cut_and_a_killed_backend_are_told_apart() {
    test(async {
        let cluster = Cluster::shared().await?;
        let database = cluster.database().await?;
        let proxy = Proxy::to_port(cluster.port()).await?;
        let url = format!("postgres://postgres@127.0.0.1:{}/{}", proxy.port(), database.name());
        let settings = StreamSettings::default();
        let (mut reader, _feedback) = open(&database, "cut", settings).await?;
        database.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'cut'").await?;
        let error = next(&mut reader).await.unwrap_err();
        let error = error.downcast::<WalsenderError>()?;
        assert_eq!(error.refusal(), Some(&Refusal::NotServing), "{error}");
        // It says so before it lets go of the slot.
        eventually("the slot is free", Duration::from_secs(60), async || {
            let free =
                "SELECT active_pid IS NULL FROM pg_replication_slots WHERE slot_name = 'cut'";
            Ok(database.value(free).await?.as_deref() == Some("t"))
        })
        .await?;

        let (mut reader, _feedback) = reopen(connect(&url).await?, "cut", settings).await?;
        proxy.cut();
        let error = next(&mut reader).await.unwrap_err().downcast::<WalsenderError>()?;
        assert!(
            matches!(error, WalsenderError::Broken(_) | WalsenderError::Closed { .. }),
            "{error}"
        );
        Ok(())
    });
}

/// The server cannot print it, and would say so again after every restart.
#[test]
fn a_value_that_the_server_cannot_print_has_a_name() {
    test(async {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let database = cluster.database().await?;
        database.execute("CREATE TABLE t (id int PRIMARY KEY, b bytea)").await?;
        let (mut reader, _feedback) =
            open(&database, "unprintable", StreamSettings::default()).await?;
        database
            .execute("INSERT INTO t VALUES (1, convert_to(repeat('x', 540000000), 'UTF8'))")
            .await?;
        let error = loop {
            if let Err(error) = next(&mut reader).await {
                break error.downcast::<WalsenderError>()?;
            }
        };
        assert_eq!(error.refusal(), Some(&Refusal::ValueTooLarge), "{error:?}");
        Ok(())
    });
}
