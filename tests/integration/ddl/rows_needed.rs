//! Changes that leave rows out of the stream: terminals take them from the snapshot that capture takes then.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use harness::{Cluster, Database, Process, Tables, eventually, test, test_within};
use tokio_postgres::Client;

use super::{followed::same, recorded};
use crate::{
    channels,
    setup::{LIMIT, Options, SOURCE, Setup, Target, Terminal},
};

/// An open transaction, older than what follows: no snapshot is complete before it ends.
pub(super) async fn hold_snapshots_back(setup: &Setup) -> Result<Client> {
    let client = setup.master.connect().await?;
    client.batch_execute("BEGIN; INSERT INTO held VALUES (1)").await?;
    Ok(client)
}

pub(super) const HELD: &str = "CREATE TABLE held (id int PRIMARY KEY);";

/// Runs the groups of statements one by one, each statement committed by itself; after each the
/// terminals must be as the master, by pulls alone. Others come late, and see all of it in one pull.
pub(super) async fn fetch(before: &str, capture: &[&str], groups: &[&[&str]]) -> Result<()> {
    let setup = recorded(&format!("{HELD}{before}"), capture).await?;
    let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
    let terminals = [&postgres, &sqlite];
    same(&setup, &terminals, "the first load").await?;
    let (late, file) = (setup.postgres("late").await?, setup.sqlite("file")?);
    setup.pull(&late).await?;
    setup.pull(&file).await?;
    for group in groups {
        let held = hold_snapshots_back(&setup).await?;
        for sql in *group {
            setup.master.execute(sql).await.with_context(|| (*sql).to_owned())?;
        }
        held.batch_execute("ROLLBACK").await?;
        same(&setup, &terminals, &group.join("; ")).await?;
    }
    same(&setup, &[&late, &file], "all of it at once").await
}

const T: &str = "CREATE TABLE t (id int PRIMARY KEY, a int, b text); INSERT INTO t SELECT i, i, 'b' || i FROM generate_series(1, 50) i;
    CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)";
/// Changes rows of any shape of the table.
const WORK: &str = "UPDATE t SET b = b || '!' WHERE id % 7 = 0; DELETE FROM t WHERE id = (SELECT max(id) FROM t); INSERT INTO t (id) SELECT max(id) + 10 FROM t; INSERT INTO u SELECT max(id) + 1 FROM u";

#[test]
fn rewritten_tables_get_their_rows() {
    test(async {
        fetch(T, &[], &[
            &["BEGIN; INSERT INTO u VALUES (2); ALTER TABLE t ADD k uuid DEFAULT gen_random_uuid(); INSERT INTO u VALUES (3); COMMIT"],
            &[WORK, "ALTER TABLE t ADD n bigint GENERATED ALWAYS AS IDENTITY", WORK],
            &[WORK, "ALTER TABLE t ALTER a TYPE text USING 'a' || a", WORK],
            &["ALTER TABLE t ALTER b TYPE jsonb USING to_jsonb(b || length(b))"],
            &["ALTER TABLE t ALTER a TYPE int USING length(a)", "UPDATE t SET a = a + 1 WHERE id < 9"],
            &["ALTER TABLE t ALTER b TYPE int USING 7, ALTER b SET NOT NULL, ADD r float8 NOT NULL DEFAULT random()", "DELETE FROM t WHERE id = 4"],
        ])
        .await
    });
}

/// Terminals with some of the channels: what is done to tables of others is nothing to them, also while they
/// go to a snapshot for their own.
#[test]
fn terminals_fetch_the_rows_of_their_channels() {
    test(async {
        let options = Options { capture: &["--ddl"], config: Some(channels::CONFIG) };
        let setup = Setup::on(Cluster::shared().await?, channels::TABLES, options).await?;
        let sales = setup.postgres("sales").await?.channels("sales");
        let (stock, till) = (setup.sqlite("stock")?.channels("stock"), setup.sqlite("till")?);
        for terminal in [&sales, &stock, &till] {
            setup.pull(terminal).await?;
        }
        setup
            .master
            .execute(
                "ALTER TABLE warehouse.shelf ADD k uuid DEFAULT gen_random_uuid();
                 ALTER TABLE order_lines ADD k uuid DEFAULT gen_random_uuid();
                 ALTER TABLE warehouse.shelf ADD r float8 DEFAULT random();
                 UPDATE order_lines SET n = 1; UPDATE warehouse.shelf SET n = 1;
                 ALTER TABLE warehouse.shelf RENAME TO board; ALTER TABLE order_lines DROP n",
            )
            .await?;
        setup.captured().await?;
        let orders = Tables::only(&["public.order_lines"]);
        let board = Tables::only(&["warehouse.board"]);
        for (terminal, tables) in
            [(&sales, &orders), (&stock, &board), (&till, &orders), (&till, &board)]
        {
            setup.pull(terminal).await?;
            terminal.equals(&setup.master, tables).await?;
        }
        let found = "SELECT count(*) FROM pg_class WHERE relname IN ('shelf', 'board', 'elsewhere') AND relkind = 'r'";
        assert_eq!(sales.value(found).await?.as_deref(), Some("0"));
        let found = "SELECT count(*) FROM sqlite_schema WHERE name IN ('order_lines', 'elsewhere')";
        assert_eq!(stock.value(found).await?.as_deref(), Some("0"));
        Ok(())
    });
}

#[test]
fn more_may_happen_before_the_snapshot() {
    test(async {
        fetch(T, &[], &[
            &[
                "ALTER TABLE t ADD k uuid DEFAULT gen_random_uuid()",
                WORK,
                "ALTER TABLE t RENAME TO v",
                "ALTER TABLE v ADD c int DEFAULT 5; INSERT INTO v (id) VALUES (600); UPDATE v SET c = 6 WHERE id % 2 = 0",
                "ALTER TABLE v ADD k2 uuid DEFAULT gen_random_uuid()",
                "TRUNCATE u; INSERT INTO u VALUES (9)",
                "ALTER TABLE v DROP COLUMN a; ALTER TABLE v RENAME c TO a",
                "DELETE FROM v WHERE id = 3; CREATE INDEX ON v (a)",
                "ALTER TABLE v RENAME TO t",
            ],
            &["ALTER TABLE t ALTER a TYPE text USING 'x' || a", "TRUNCATE t", "INSERT INTO t (id, a) VALUES (1, 'one')"],
            // Two in one transaction, one of which goes again.
            &[
                "BEGIN; ALTER TABLE t ADD r float8 DEFAULT random(); ALTER TABLE u ADD r float8 DEFAULT random(); INSERT INTO u VALUES (50, 1); COMMIT",
                "CREATE TABLE w (id int PRIMARY KEY); INSERT INTO w VALUES (1)",
                "ALTER TABLE w ADD k uuid DEFAULT gen_random_uuid()",
                "DROP TABLE u",
                "DROP TABLE w; CREATE TABLE w (id int PRIMARY KEY, t text); INSERT INTO w VALUES (1, 'again')",
            ],
        ])
        .await
    });
}

#[test]
fn types_change_before_the_snapshot() {
    test(async {
        let before = "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN price AS numeric(8,2);
            CREATE TABLE e (id int PRIMARY KEY, m mood, p price); INSERT INTO e VALUES (1, 'sad', 1)";
        fetch(before, &[], &[
            &[
                "ALTER TABLE e ADD k uuid DEFAULT gen_random_uuid()",
                "ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy'",
                "INSERT INTO e VALUES (2, 'ok', 2)",
                "CREATE TABLE f (id int PRIMARY KEY, m mood); INSERT INTO f VALUES (1, 'ok'), (2, 'sad')",
                "ALTER DOMAIN price ADD CHECK (VALUE < 100)",
            ],
            &["ALTER TABLE e ALTER m TYPE text USING 'm' || m", "UPDATE f SET m = 'ok' WHERE id = 2"],
            &["ALTER TABLE e ALTER m TYPE mood USING 'sad'::mood", "ALTER TYPE mood ADD VALUE 'so' AFTER 'ok'", "UPDATE f SET m = 'so'"],
        ])
        .await
    });
}

#[test]
fn tables_refer_to_those_that_are_rewritten() {
    test(async {
        let before = "CREATE TABLE a (id int PRIMARY KEY, v int); INSERT INTO a SELECT i, i FROM generate_series(1, 9) i;
            CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE); INSERT INTO b SELECT i, i FROM generate_series(1, 9) i";
        fetch(before, &[], &[
            &["ALTER TABLE a ADD k uuid DEFAULT gen_random_uuid()", "INSERT INTO a VALUES (10, 1)", "INSERT INTO b VALUES (10, 10)", "DELETE FROM a WHERE id = 2"],
            &["BEGIN; ALTER TABLE b ADD k uuid DEFAULT gen_random_uuid(); ALTER TABLE a ADD k2 uuid DEFAULT gen_random_uuid(); COMMIT", "TRUNCATE a, b", "INSERT INTO a VALUES (1, 1)"],
        ])
        .await
    });
}

/// Where triggers and foreign keys stay active, what they would do to other rows is refused.
#[test]
fn a_role_that_may_not_switch_keys_off_fetches_too() {
    test(async {
        let setup = recorded(T, &[]).await?;
        let terminal = setup.postgres("store").await?;
        let Target::Postgres(target) = &terminal.target else { unreachable!() };
        let url = target.plain_url().await?;
        let pull = async || {
            setup.captured().await?;
            harness::terminal(&setup.relay.url(), SOURCE, &url, "store")?.run(LIMIT).await
        };
        let done = pull().await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        target
            .execute("CREATE TABLE note (t int REFERENCES t ON DELETE CASCADE); INSERT INTO note VALUES (1)")
            .await?;
        setup.master.execute("ALTER TABLE t ADD k uuid DEFAULT gen_random_uuid()").await?;
        let done = pull().await?;
        assert!(done.code == 1 && done.stderr.contains("note_t_fkey"), "{}", done.stderr);
        assert_eq!(terminal.value("SELECT count(*) FROM note").await?.as_deref(), Some("1"));
        target.execute("DROP TABLE note").await?;
        let done = pull().await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        terminal.equals(&setup.master, &Tables::All).await
    });
}

#[test]
fn partitions_get_their_rows() {
    test(async {
        let before = "CREATE SCHEMA other;
            CREATE TABLE p (id int, at date, a int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); INSERT INTO p VALUES (1, '2026-05-05', 1)";
        fetch(before, &[], &[
            // Made with its rows, it is captured only as a part.
            &[
                "CREATE TABLE other.apart AS SELECT i AS id, '2028-02-02'::date AS at, i AS a FROM generate_series(7, 8) i",
                "ALTER TABLE other.apart ADD PRIMARY KEY (id, at)",
                "ALTER TABLE p ATTACH PARTITION other.apart FOR VALUES FROM ('2028-01-01') TO ('2029-01-01')",
                "INSERT INTO p VALUES (9, '2028-03-03', 9), (2, '2026-03-03', 2)",
            ],
            &["ALTER TABLE p ADD k uuid DEFAULT gen_random_uuid()", "UPDATE p SET id = id + 100"],
            &["ALTER TABLE p ALTER a TYPE text USING 'a' || a"],
            &["ALTER TABLE p ALTER a TYPE int USING length(a)", "INSERT INTO p (id, at, a) VALUES (10, '2028-03-03', 9)"],
            &["ALTER TABLE p ALTER a TYPE jsonb USING to_jsonb(a)"],
        ])
        .await
    });
}

async fn says(process: &Process, what: &str) -> Result<()> {
    eventually(what, LIMIT, async || Ok(process.stderr().contains(what))).await
}

const TABLES: &str = "
    CREATE TABLE a (id int PRIMARY KEY, v int, t text); CREATE TABLE b (id int PRIMARY KEY, v int, t text);
    INSERT INTO a SELECT n, n, repeat('x', 200) FROM generate_series(1, 60000) n;
    INSERT INTO b SELECT n, n, repeat('y', 200) FROM generate_series(1, 60000) n;";
/// One transaction of the source; `a` and `b` have the same sum before and after.
const REWRITE: &str =
    "BEGIN; UPDATE b SET v = v + 1; ALTER TABLE a ALTER v TYPE bigint USING v + 1; COMMIT";
const LOOK: &str = "SELECT (SELECT count(*) || '/' || sum(v) FROM a) || ' ' || (SELECT count(*) || '/' || sum(v) FROM b)";

type Seen = Result<BTreeSet<String>>;

async fn look_at_postgres(url: String, stop: Arc<AtomicBool>) -> Seen {
    let client = harness::connect(&url).await?;
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        seen.insert(client.query_one(LOOK, &[]).await?.get(0));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(seen)
}

fn look_at_sqlite(file: std::path::PathBuf, stop: Arc<AtomicBool>) -> Seen {
    let client = rusqlite::Connection::open(file)?;
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        seen.insert(client.query_row(LOOK, [], |row| row.get(0))?);
        thread::sleep(Duration::from_millis(10));
    }
    Ok(seen)
}

fn look(terminal: &Terminal, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<Seen> {
    match &terminal.target {
        Target::Postgres(target) => {
            tokio::spawn(look_at_postgres(Database::url(target).to_owned(), stop))
        }
        Target::Sqlite { file, .. } => {
            let file = file.clone();
            tokio::task::spawn_blocking(move || look_at_sqlite(file, stop))
        }
    }
}

#[test]
fn a_reader_sees_all_of_it_or_nothing_also_when_the_pull_is_killed() {
    test_within(Duration::from_secs(240), async {
        let setup = recorded(&format!("{HELD}{TABLES}"), &[]).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        let old = terminals[0].value(LOOK).await?.context("no rows")?;
        let held = hold_snapshots_back(&setup).await?;
        setup.master.execute(REWRITE).await?;
        setup.captured().await?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut watched = Vec::new();
        for terminal in &terminals {
            let looking = look(terminal, stop.clone());
            // It waits for the snapshot, and gives up in the time given.
            let waited = terminal.command(&setup.relay.url())?.args(["--timeout", "3s"]);
            let waited = waited.run(LIMIT).await?;
            assert_eq!(waited.code, 4, "{}", waited.stderr);
            assert!(waited.stderr.contains("tailwater-relay status"), "{}", waited.stderr);
            assert_eq!(terminal.value(LOOK).await?, Some(old.clone()));
            let pulling = terminal.command(&setup.relay.url())?.spawn()?;
            says(&pulling, "waiting for a snapshot").await?;
            watched.push((terminal, pulling, looking));
        }
        held.batch_execute("ROLLBACK").await?;
        let mut looks = Vec::new();
        for (terminal, mut pulling, looking) in watched {
            says(&pulling, "in one transaction").await?;
            for pause in [0, 150, 400] {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                pulling.kill()?;
                pulling.start()?;
            }
            let done = pulling.wait(LIMIT).await?;
            assert_eq!(done.code, 0, "{}", done.stderr);
            // It may have found the lock of the one that was killed.
            setup.pull(terminal).await?;
            looks.push((terminal, looking));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.store(true, Ordering::Relaxed);
        for (terminal, looking) in looks {
            let new = terminal.value(LOOK).await?.context("no rows")?;
            let seen = looking.await??;
            println!("{}: {seen:?}", terminal.name);
            assert_ne!(old, new);
            assert_eq!(seen, BTreeSet::from([old.clone(), new]));
        }
        same(&setup, &[&terminals[0], &terminals[1]], REWRITE).await
    });
}
