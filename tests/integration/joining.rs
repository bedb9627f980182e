//! Tables that were made after capture's first start join at its next one: what they hold by then comes with
//! the snapshot that capture takes then (decision 0026).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use harness::{Cluster, Process, eventually, test, test_within};

use crate::{
    history,
    setup::{LIMIT, Options, SOURCE, Setup, Terminal, slot_of},
};

const PUBLISHED: &str =
    "SELECT string_agg(tablename, ', ' ORDER BY tablename) FROM pg_publication_tables";

async fn is_published(setup: &Setup, tables: &str) -> Result<()> {
    eventually("the tables are published", LIMIT, async || {
        Ok(setup.master.value(PUBLISHED).await?.as_deref() == Some(tables))
    })
    .await
}

async fn says(process: &Process, what: &str) -> Result<()> {
    eventually(what, LIMIT, async || Ok(process.stderr().contains(what))).await
}

/// One of each kind, loaded.
async fn terminals(setup: &Setup, names: [&str; 2]) -> Result<[Terminal; 2]> {
    let terminals = [setup.postgres(names[0]).await?, setup.sqlite(names[1])?];
    setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
    Ok(terminals)
}

/// Writes to the table until it is told to stop, each time in a transaction of some statements.
async fn keep_writing(
    setup: &Setup,
    stop: Arc<AtomicBool>,
) -> Result<tokio::task::JoinHandle<Result<u32>>> {
    let client = setup.master.connect().await?;
    Ok(tokio::spawn(async move {
        let mut times = 0;
        while !stop.load(Ordering::Relaxed) {
            times += 1;
            let id = 100_000 + times;
            let sql = format!(
                "BEGIN; INSERT INTO t VALUES ({id}); INSERT INTO filled VALUES ({id}, 'w'); UPDATE filled SET t = t || '.' WHERE id % 97 = {times} % 97; DELETE FROM filled WHERE id = {times}; COMMIT"
            );
            client.batch_execute(&sql).await.with_context(|| sql.clone())?;
        }
        Ok(times)
    }))
}

#[test]
fn a_table_joins_with_its_rows_while_it_is_written_to() {
    test_within(Duration::from_secs(240), async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let [store, till] = terminals(&setup, ["store", "till"]).await?;
        let [late, file] = terminals(&setup, ["late", "file"]).await?;
        let later = "CREATE TABLE filled (id int PRIMARY KEY, t text NOT NULL DEFAULT 'x', u text UNIQUE);
            INSERT INTO filled SELECT n, repeat('x', 100), n FROM generate_series(1, 20000) n; CREATE INDEX by_t ON filled (t);
            CREATE TABLE hollow (id int PRIMARY KEY);
            CREATE TABLE parts (id int PRIMARY KEY, t text) PARTITION BY LIST (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1, 2);
            INSERT INTO parts VALUES (1, 'one')";
        setup.master.execute(later).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let writing = keep_writing(&setup, stop.clone()).await?;
        setup.kill_capture()?;
        is_published(&setup, "filled, hollow, parts_1, t").await?;
        setup.master.execute("INSERT INTO hollow VALUES (7); INSERT INTO parts VALUES (2, 'two'); UPDATE parts SET t = 'eins' WHERE id = 1").await?;
        setup.captured().await?;
        for terminal in [&store, &till] {
            let mut pulling = terminal.command(&setup.relay.url())?.spawn()?;
            says(&pulling, "in one transaction").await?;
            for pause in [0, 100, 300] {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                pulling.kill()?;
                pulling.start()?;
            }
            let done = pulling.wait(LIMIT).await?;
            assert_eq!(done.code, 0, "{}", done.stderr);
        }
        stop.store(true, Ordering::Relaxed);
        let times = writing.await??;
        println!("{times} transactions meanwhile");
        assert!(times > 1);
        setup.all_equal(&[&store, &till, &late, &file]).await?;
        // What it is like came with the snapshot, not only with the stream.
        let indexes = "SELECT string_agg(indexdef, ' ' ORDER BY indexdef) FROM pg_indexes WHERE tablename = 'filled'";
        assert_eq!(store.value(indexes).await?, setup.master.value(indexes).await?);
        setup
            .master
            .execute("UPDATE filled SET t = 'y' WHERE id < 300; DELETE FROM parts WHERE id = 2")
            .await?;
        setup.all_equal(&[&store, &till, &late, &file]).await?;
        // From the first snapshot, which is offered still, and from the second.
        let [new, fresh] = terminals(&setup, ["new", "fresh"]).await?;
        for terminal in [&store, &till] {
            setup.reload(terminal).await?;
        }
        setup.all_equal(&[&store, &till, &new, &fresh]).await
    });
}

/// A row that is on its way while the table is looked at counts as one that is there. Capture does without the table, rather
/// than let its writers wait.
#[test]
fn a_table_that_is_being_filled_joins_at_a_later_start() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let [store, till] = terminals(&setup, ["store", "till"]).await?;
        setup.master.execute("CREATE TABLE filling (id int PRIMARY KEY)").await?;
        let writer = setup.master.connect().await?;
        writer.batch_execute("BEGIN; INSERT INTO filling VALUES (1)").await?;
        setup.kill_capture()?;
        says(&setup.capture, "not captured: public.filling").await?;
        let published = setup.master.value(PUBLISHED).await?;
        assert_eq!(published.as_deref(), Some("t"), "a row is missing at the terminals");
        setup.master.execute("INSERT INTO t VALUES (1)").await?;
        setup.captured().await?;
        writer.batch_execute("COMMIT").await?;
        setup.kill_capture()?;
        is_published(&setup, "filling, t").await?;
        setup.master.execute("INSERT INTO filling VALUES (2)").await?;
        setup.all_equal(&[&store, &till]).await
    });
}

/// Whose rows these are, nothing tells but all of their columns.
#[test]
fn keyless_tables_join_with_their_rows() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        master.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let relay = harness::RelayProcess::builder().start().await?;
        let options = Options { capture: &["--keyless", "full"], config: None };
        let mut setup = Setup::with(master, relay, options).await?;
        let [store, till] = terminals(&setup, ["store", "till"]).await?;
        setup.master.execute("CREATE TABLE bare (n int, t text); INSERT INTO bare VALUES (1, 'a'), (1, 'a'), (2, NULL)").await?;
        setup.kill_capture()?;
        is_published(&setup, "bare, t").await?;
        setup.master.execute("DELETE FROM bare WHERE t IS NULL; INSERT INTO bare VALUES (1, 'a'); UPDATE bare SET n = 3 WHERE ctid = (SELECT min(ctid) FROM bare)").await?;
        setup.all_equal(&[&store, &till]).await
    });
}

/// That a snapshot is needed is known to the next capture too, when the stream does not say it any more.
#[test]
fn a_capture_that_is_killed_before_the_snapshot_takes_it_later() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let [store, till] = terminals(&setup, ["store", "till"]).await?;
        setup
            .master
            .execute("CREATE TABLE filled (id int PRIMARY KEY); INSERT INTO filled VALUES (1)")
            .await?;
        // No snapshot is complete before it ends.
        let held = setup.master.connect().await?;
        held.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await?;
        setup.kill_capture()?;
        is_published(&setup, "filled, t").await?;
        let joined = setup.position().await?;
        let mut id = 10;
        eventually("the slot is past it", LIMIT, async || {
            id += 1;
            setup.master.execute(&format!("INSERT INTO t VALUES ({id})")).await?;
            setup.captured().await?;
            Ok(setup.confirmed().await? > joined)
        })
        .await?;
        setup.kill_capture()?;
        setup.captured().await?;
        held.batch_execute("ROLLBACK").await?;
        setup
            .master
            .execute("INSERT INTO filled VALUES (2); UPDATE filled SET id = 3 WHERE id = 1")
            .await?;
        setup.all_equal(&[&store, &till]).await
    });
}

/// Anyone may write such a message. What terminals have of a table is taken from a snapshot then, and one that
/// is in none is passed over.
#[test]
fn a_record_of_somebody_elses_does_no_harm() {
    test(async {
        let setup =
            Setup::shared("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
        let [store, till] = terminals(&setup, ["store", "till"]).await?;
        let forged = "SELECT pg_logical_emit_message(true, 'tailwater',
            json_build_object('kind', 'joined', 'table', json_build_object('oid', o, 'schema', 'public', 'name', n))::text)
            FROM (VALUES ('t'::regclass::oid::int, 'it'), (7, 'none')) of (o, n)";
        setup.master.execute(&format!("BEGIN; INSERT INTO t VALUES (2); {forged}; INSERT INTO t VALUES (3); COMMIT; DELETE FROM t WHERE id = 1")).await?;
        setup.all_equal(&[&store, &till]).await
    });
}

/// Terminals could not be told; or the table is not the role's, or hides rows from it. Capture goes on with the others.
#[test]
fn where_the_role_lacks_a_right_a_table_stays_out() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        let role = format!("plain_{}", master.name());
        let sql = format!(
            "CREATE ROLE {role} LOGIN REPLICATION; GRANT CREATE ON DATABASE {} TO {role}; CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO {role};
             DO $$ BEGIN
                 EXECUTE (SELECT string_agg(format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', oid::regprocedure), '; ')
                          FROM pg_proc WHERE proname = 'pg_logical_emit_message');
             END $$",
            master.name()
        );
        master.execute(&sql).await?;
        let relay = harness::RelayProcess::builder().start().await?;
        let url = master.url().replacen("postgres@", &format!("{role}@"), 1);
        let capture = harness::capture(&url, SOURCE, &relay.url())?;
        let capture = capture.args(["--slot", &slot_of(&master)]).spawn()?;
        let mut setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        let later = format!(
            "CREATE TABLE filled (id int PRIMARY KEY); INSERT INTO filled VALUES (1); ALTER TABLE filled OWNER TO {role}; CREATE TABLE hollow (id int PRIMARY KEY); ALTER TABLE hollow OWNER TO {role};
             CREATE TABLE alien (id int PRIMARY KEY); INSERT INTO alien VALUES (1);
             CREATE TABLE hidden (id int PRIMARY KEY); INSERT INTO hidden VALUES (1); ALTER TABLE hidden OWNER TO {role};
             ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden FORCE ROW LEVEL SECURITY"
        );
        setup.master.execute(&later).await?;
        setup.kill_capture()?;
        for table in ["filled", "alien", "hidden"] {
            says(&setup.capture, &format!("not captured: public.{table}")).await?;
        }
        is_published(&setup, "hollow, t").await?;
        setup.capture.stop().await?;
        setup.master.drop_slot(&slot_of(&setup.master)).await?;
        let drop = format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}");
        setup.master.execute(&drop).await
    });
}

/// Changes of a table that joins empty come by the stream, all of them.
#[test]
fn an_empty_table_joins_without_a_snapshot() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        setup.master.execute("CREATE TABLE hollow (id int PRIMARY KEY)").await?;
        setup.kill_capture()?;
        is_published(&setup, "hollow, t").await?;
        setup.master.execute("INSERT INTO hollow VALUES (7)").await?;
        setup.captured().await?;
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "hollow");
        assert_eq!(ids, ["7"]);
        assert!(
            !setup.capture.stderr().contains("taking a snapshot"),
            "{}",
            setup.capture.stderr()
        );
        Ok(())
    });
}
