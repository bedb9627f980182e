use std::path::PathBuf;

use super::{Cluster, Shutdown};
use crate::test::test;

#[test]
fn starts_stops_and_survives_crashes() {
    test(async {
        let mut cluster = Cluster::builder().setting("work_mem", "5MB").start().await?;
        let database = cluster.database().await?;
        assert_eq!(database.value("SHOW wal_level").await?.as_deref(), Some("logical"));
        assert_eq!(database.value("SHOW work_mem").await?.as_deref(), Some("5MB"));
        assert_eq!(database.value("SHOW fsync").await?.as_deref(), Some("on"));
        database.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)").await?;

        cluster.restart(Shutdown::Immediate).await?;
        cluster.kill()?;
        assert!(database.connect().await.is_err());
        cluster.start().await?;
        cluster.restart(Shutdown::Fast).await?;
        assert_eq!(database.value("SELECT count(*) FROM t").await?.as_deref(), Some("1"));
        Ok(())
    });
}

#[test]
fn leaves_nothing_behind() {
    test(async {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let (pid, data) = (cluster.pid().unwrap_or_default(), cluster.data_dir());
        let process = PathBuf::from(format!("/proc/{pid}"));
        assert!(process.exists() && data.exists());
        drop(cluster);
        assert!(!process.exists() && !data.exists());
        Ok(())
    });
}

#[test]
fn passwords_can_be_required_and_identities_differ() {
    test(async {
        let cluster = Cluster::builder()
            .hba("host all clerk 127.0.0.1/32 scram-sha-256")
            .without_fsync()
            .with_own_identity()
            .start()
            .await?;
        let database = cluster.database().await?;
        database.execute("CREATE ROLE clerk LOGIN PASSWORD 'right'").await?;
        let login = async |password| {
            crate::connect(&cluster.url_as("clerk", password, database.name())).await
        };
        assert!(login("right").await.is_ok());
        assert!(login("wrong").await.is_err());

        let identity = "SELECT system_identifier FROM pg_control_system()";
        let shared = Cluster::shared().await?.database().await?;
        assert_ne!(database.value(identity).await?, shared.value(identity).await?);
        Ok(())
    });
}

#[test]
fn databases_go_with_their_slots() {
    test(async {
        let cluster = Cluster::shared().await?;
        let database = cluster.database().await?;
        let name = database.name().to_owned();
        database
            .execute(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"))
            .await?;
        drop(database);
        let other = cluster.database().await?;
        let left = format!(
            "SELECT (SELECT count(*) FROM pg_database WHERE datname = '{name}') \
             + (SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{name}')"
        );
        assert_eq!(other.value(&left).await?.as_deref(), Some("0"));
        Ok(())
    });
}
