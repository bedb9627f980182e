use std::{process::Command, time::Instant};

use anyhow::{Context, Result, ensure};
use capture::{
    pgoutput::{Message, decode},
    walsender::{CopyData, SlotSnapshot, StreamSettings},
};
use harness::{Cluster, Database, Lsn, Pgbench, test};

use crate::stream::{connect, reopen};

const TRANSACTIONS: u32 = 50_000;

/// Reads and decodes up to `until`; the number of messages.
async fn drain(database: &Database, until: Lsn) -> Result<u64> {
    let (mut reader, feedback) =
        reopen(connect(database.url()).await?, "ours", StreamSettings::default()).await?;
    let mut messages = 0;
    loop {
        match reader.next().await? {
            CopyData::XLogData(data) => {
                messages += 1;
                if let Message::Commit(commit) = decode(data.payload, data.start)? {
                    feedback.report(commit.end_lsn, commit.end_lsn);
                }
            }
            CopyData::Keepalive(keepalive) if keepalive.end >= until => break,
            CopyData::Keepalive(_) => {}
        }
    }
    feedback.close().await?;
    Ok(messages)
}

fn pg_recvlogical(cluster: &Cluster, database: &Database, until: Lsn) -> Result<()> {
    let port = cluster.port().to_string();
    let until = until.to_string();
    let status = Command::new(cluster.bin_dir().join("pg_recvlogical"))
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            "-d",
            database.name(),
            "--slot",
            "theirs",
        ])
        .args(["--start", "--no-loop", "-f", "/dev/null", "--endpos", &until])
        .args(["-o", "proto_version=1", "-o", "publication_names=\"All, ''of'' \"\"it\"\"\""])
        .status()
        .context("pg_recvlogical")?;
    ensure!(status.success(), "pg_recvlogical: {status}");
    Ok(())
}

#[test]
#[ignore = "a measurement: run it alone, with --release and --nocapture"]
fn reading_and_decoding_against_pg_recvlogical() {
    test(async {
        let cluster = Cluster::builder().without_fsync().start().await?;
        let database = cluster.database().await?;
        let pgbench = Pgbench::new(database.url())?;
        pgbench.init(5).await?;
        database.execute("CREATE PUBLICATION \"All, 'of' \"\"it\"\"\" FOR ALL TABLES").await?;
        let mut walsender = connect(database.url()).await?;
        for slot in ["ours", "theirs"] {
            walsender.create_slot(slot, SlotSnapshot::Nothing).await?;
        }
        pgbench.run(2, TRANSACTIONS / 2).await?;
        let until: Lsn = database
            .value("SELECT pg_current_wal_insert_lsn()")
            .await?
            .context("no position")?
            .parse()?;
        database.execute("SELECT pg_switch_wal()").await?;

        let began = Instant::now();
        pg_recvlogical(&cluster, &database, until)?;
        let theirs = began.elapsed();
        let began = Instant::now();
        let messages = drain(&database, until).await?;
        let ours = began.elapsed();
        println!("{messages} messages: pg_recvlogical {theirs:.2?}, ours {ours:.2?}");
        assert!(messages >= u64::from(TRANSACTIONS) * 6);
        Ok(())
    });
}
