//! Capture and its master.

use anyhow::Result;
use harness::{Cluster, Finished, ProcessBuilder, RelayProcess, free_port, test};

use crate::{
    ending::{hides, says},
    setup::{LIMIT, SOURCE, capture_command},
};

const PASSWORD: &str = "s3cret-0f-the-master";

fn run(source: &str, relay: &RelayProcess) -> Result<ProcessBuilder> {
    Ok(harness::capture(source, SOURCE, &relay.url())?.args(["--start-within", "2s"]))
}

/// `run`, then `check`: both end with `code` and hold the words.
async fn both(source: &str, relay: &RelayProcess, code: i32, words: &[&str]) -> Result<Finished> {
    let done = run(source, relay)?.run(LIMIT).await?;
    says(&done, code, words);
    hides(&done, PASSWORD);
    let check = ProcessBuilder::new("check", harness::binary("tailwater-capture")?)
        .args(["check", "--source", source])
        .run(LIMIT)
        .await?;
    assert_eq!(check.code, code, "{}{}", check.stdout, check.stderr);
    hides(&check, PASSWORD);
    for word in words {
        let found = check.stdout.contains(word) || check.stderr.contains(word);
        assert!(found, "check does not say '{word}': {}{}", check.stdout, check.stderr);
    }
    Ok(done)
}

#[test]
fn no_server() {
    test(async {
        let relay = RelayProcess::builder().start().await?;
        let port = free_port()?;
        let source = format!("postgres://app:{PASSWORD}@127.0.0.1:{port}/shop");
        let words = [&*port.to_string(), "check that the server runs"];
        both(&source, &relay, 4, &words).await?;
        let remove = ProcessBuilder::new("remove", harness::binary("tailwater-capture")?)
            .args(["remove", "--source", &source])
            .run(LIMIT)
            .await?;
        says(&remove, 4, &words);
        hides(&remove, PASSWORD);
        both("postgres://app@no-such-host.invalid/shop", &relay, 4, &["no-such-host.invalid"])
            .await?;
        Ok(())
    });
}

#[test]
fn passwords_rights_and_databases() {
    test(async {
        let cluster = Cluster::builder()
            .without_fsync()
            .setting("password_encryption", "scram-sha-256")
            .hba("host all locked 127.0.0.1/32 scram-sha-256")
            .hba("host all barred 127.0.0.1/32 reject")
            .start()
            .await?;
        let master = cluster.database().await?;
        let database = master.name();
        master
            .execute(&format!(
                "CREATE ROLE locked LOGIN REPLICATION PASSWORD 'right'; CREATE ROLE barred LOGIN REPLICATION;
                 CREATE ROLE plain LOGIN; CREATE ROLE stranger LOGIN REPLICATION; CREATE TABLE t (id int PRIMARY KEY);
                 ALTER TABLE t OWNER TO plain; ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT CREATE ON DATABASE {database} TO plain, stranger"
            ))
            .await?;
        let relay = RelayProcess::builder().start().await?;
        let url = |user: &str, password: &str| cluster.url_as(user, password, database);
        both(&url("locked", PASSWORD), &relay, 3, &["locked", "password", "PGPASSWORD"]).await?;
        both(&url("locked", ""), &relay, 3, &["password"]).await?;
        both(&url("barred", ""), &relay, 3, &["pg_hba.conf", "barred"]).await?;
        both(&url("nobody", ""), &relay, 3, &["nobody"]).await?;
        let nowhere = cluster.url("no_such_database");
        both(&nowhere, &relay, 3, &["no_such_database", "check the database"]).await?;
        both(&url("plain", ""), &relay, 3, &["REPLICATION", "ALTER ROLE"]).await?;
        both(
            &url("stranger", ""),
            &relay,
            3,
            &[
                "stranger",
                "GRANT SELECT ON \"public\".\"t\" TO \"stranger\"",
                "row level security hides rows",
                "ALTER ROLE \"stranger\" BYPASSRLS",
            ],
        )
        .await?;
        // TLS where there is none.
        let tls = format!("{}?sslmode=require", url("plain", ""));
        let done = run(&tls, &relay)?.run(LIMIT).await?;
        assert!([3, 4].contains(&done.code), "{}", done.code);
        assert!(done.stderr.contains("sslmode") || done.stderr.contains("TLS"), "{}", done.stderr);
        Ok(())
    });
}

#[test]
fn a_server_that_is_not_prepared() {
    test(async {
        let relay = RelayProcess::builder().start().await?;
        let replica =
            Cluster::builder().without_fsync().setting("wal_level", "replica").start().await?;
        let words =
            ["wal_level", "'replica'", "ALTER SYSTEM SET wal_level = 'logical';", "restart"];
        both(&replica.url("postgres"), &relay, 3, &words).await?;
        drop(replica);

        let full =
            Cluster::builder().without_fsync().setting("max_replication_slots", 1).start().await?;
        let master = full.database().await?;
        master.value("SELECT pg_create_physical_replication_slot('taken')").await?;
        let words = [
            "max_replication_slots",
            "ALTER SYSTEM SET max_replication_slots",
            "pg_replication_slots",
        ];
        both(master.url(), &relay, 3, &words).await?;
        Ok(())
    });
}

/// All WAL senders taken passes by itself; said, and given up in time.
#[test]
fn no_wal_sender_free() {
    test(async {
        let cluster =
            Cluster::builder().without_fsync().setting("max_wal_senders", 0).start().await?;
        let relay = RelayProcess::builder().start().await?;
        let done = run(&cluster.url("postgres"), &relay)?.run(LIMIT).await?;
        assert!([3, 4].contains(&done.code), "{}", done.code);
        says(&done, done.code, &["max_wal_senders"]);
        Ok(())
    });
}

/// What may pass by itself is tried again, not for ever.
#[test]
fn a_refusal_that_stays_is_given_up() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        master
            .execute(
                "CREATE TABLE t (id int PRIMARY KEY);
                 CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'no publications today'; END $$;
                 CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE PUBLICATION')
                     EXECUTE FUNCTION refuse()",
            )
            .await?;
        let relay = RelayProcess::builder().start().await?;
        let done = capture_command(&master, &relay.url())?.run(LIMIT).await?;
        says(&done, 3, &["given up after 5 attempts", "no publications today", "tailwater_orders"]);
        Ok(())
    });
}
