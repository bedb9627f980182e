//! A load by several connections: each row is in once, whatever happens to one of them.

use anyhow::{Context, Result};
use harness::{Cluster, Database, Process, Proxy, Tables, eventually, test};
use terminal_client::{
    postgres::{PostgresTarget, Server},
    target::{LoadPoint, LoadedObject, RowWriter, StoredState, Target as _},
};

use crate::{
    alter::stage::{snapshot, source, stored},
    first_load::{MUCH, began_at},
    setup::{LIMIT, Setup, Target, Terminal},
};

/// The backends that write a load's rows.
const LOADERS: &str = "FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'tailwater-terminal' AND query LIKE 'COPY %' AND state = 'active'";

/// A pull in the middle of its load, by several connections, which the way from the relay holds up.
async fn held_up(setup: &Setup, terminal: &Terminal) -> Result<(Process, Proxy)> {
    let proxy = Proxy::to_port(setup.relay.port()).await?;
    proxy.limit(Some(1_000_000));
    let mut pull = terminal.command(&proxy.url())?.spawn()?;
    eventually("several connections load", LIMIT, async || {
        assert!(pull.is_running()?, "{}", pull.stderr());
        let loaders = terminal.value(&format!("SELECT count(*)::text {LOADERS}")).await?;
        Ok(loaders.context("no count")?.parse::<u32>()? > 1)
    })
    .await?;
    Ok((pull, proxy))
}

#[test]
fn a_connection_that_is_cut_ends_the_load_and_it_goes_on() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let terminal = setup.postgres("store").await?;
        let (mut pull, proxy) = held_up(&setup, &terminal).await?;
        for end in ["max(pid)", "min(pid)"] {
            eventually("one is cut", LIMIT, async || {
                let cut = format!("SELECT pg_terminate_backend({end})::text {LOADERS}");
                Ok(terminal.value(&cut).await?.is_some())
            })
            .await?;
            let begun = began_at("first load", &pull.stderr()).len();
            eventually("it goes on", LIMIT, async || {
                assert!(pull.is_running()?, "{}", pull.stderr());
                Ok(began_at("first load", &pull.stderr()).len() > begun)
            })
            .await?;
        }
        proxy.limit(None);
        let done = pull.wait(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        terminal.equals(&setup.master, &Tables::All).await
    });
}

/// Where it holds the lock it may be gone while its other connections live on.
#[test]
fn without_the_connection_that_has_the_lock_nothing_goes_on() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let terminal = setup.postgres("store").await?;
        let (mut pull, proxy) = held_up(&setup, &terminal).await?;
        pull.pause()?;
        let cut = "SELECT count(pg_terminate_backend(pid))::text FROM pg_locks
            WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        assert_eq!(terminal.value(cut).await?.as_deref(), Some("1"));
        let mut other = terminal.command(&setup.relay.url())?.spawn()?;
        eventually("the other run goes on", LIMIT, async || {
            assert!(other.is_running()?, "{}", other.stderr());
            Ok(!began_at("first load", &other.stderr()).is_empty())
        })
        .await?;
        proxy.limit(None);
        pull.resume()?;
        let done = other.wait(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        // It has seen that it was overtaken, or that its connection is gone; then it waited or pulled.
        let done = pull.wait(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        setup.all_equal(&[&terminal]).await
    });
}

async fn one_table(master: &Database) -> Result<()> {
    let sql = "CREATE PUBLICATION everything FOR ALL TABLES; CREATE TABLE t (id int PRIMARY KEY);
        INSERT INTO t SELECT generate_series(1, 10)";
    master.execute(sql).await
}

#[test]
fn who_was_overtaken_writes_no_more() {
    test(async {
        let cluster = Cluster::shared().await?;
        let master = cluster.database().await?;
        one_table(&master).await?;
        let (snapshot, rows) = snapshot(&master, 100).await?;
        let (table, rows) = (&snapshot.tables[0], &rows[0]);
        for (goes_on, writer) in [(true, 0), (true, 1), (false, 0), (false, 1)] {
            let database = cluster.database().await?;
            let server = Server::from_url(database.url())?;
            let loading = stored(100, StoredState::Loading);
            let mut stale = PostgresTarget::open(&server).await?;
            let mut point = LoadPoint::default();
            stale.begin_load(&source(), &loading, &snapshot).await?;
            assert_eq!(stale.widen(2).await?, None);
            point.add(&[LoadedObject { table: 0, object: 0, rows: 10 }], &snapshot.tables)?;
            {
                let mut writers = stale.writers();
                assert_eq!(writers.len(), 2);
                writers[writer].begin_table(table).await?;
                writers[writer].load_rows(rows.clone()).await?;
                assert_eq!(writers[writer].end_table().await?, 10);
            }

            let mut next = PostgresTarget::open(&server).await?;
            let unfinished = next.unfinished_load(&source()).await?.context("no load")?;
            let refused = async |mut stale: PostgresTarget| -> Result<String> {
                let written = stale.writers()[writer].end_part(&source(), &point).await;
                Ok(written.err().context("it wrote behind another's back")?.to_string())
            };
            let refused = if goes_on {
                let resumed = next.resume_load(&source(), &unfinished, &snapshot).await?;
                assert_eq!(resumed.context("it does not go on")?.bytes, 0);
                refused(stale).await?
            } else {
                let overtaken = async {
                    let waits =
                        "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 't'::regclass";
                    eventually("it waits for the table", LIMIT, async || {
                        Ok(database.value(waits).await?.is_some())
                    })
                    .await?;
                    refused(stale).await
                };
                let source = source();
                let (discarded, refused) =
                    tokio::join!(next.discard_load(&source, &unfinished), overtaken);
                discarded?;
                next.begin_load(&source, &loading, &snapshot).await?;
                refused?
            };
            assert!(refused.contains("another run has taken the load over"), "{refused}");
            assert_eq!(database.value("SELECT count(*)::text FROM t").await?.as_deref(), Some("0"));
            next.writer().begin_table(table).await?;
            next.writer().load_rows(rows.clone()).await?;
            next.writer().end_table().await?;
            next.writer().end_part(&source(), &point).await?;
            next.finish_load(&source(), &stored(100, StoredState::Ready), &snapshot).await?;
            assert_eq!(
                database.value("SELECT count(*)::text FROM t").await?.as_deref(),
                Some("10")
            );
        }
        Ok(())
    });
}

#[test]
fn where_the_target_is_full_fewer_connections_load() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let cluster = Cluster::builder().without_fsync().setting("max_connections", 10);
        let cluster = cluster.setting("superuser_reserved_connections", 0).start().await?;
        let database = cluster.database().await?;
        let free = "SELECT (10 - count(*))::text FROM pg_stat_activity WHERE backend_type = 'client backend'";
        let mut others = Vec::new();
        while database.value(free).await?.context("no number")?.parse::<i32>()? > 1 {
            others.push(database.connect().await?);
        }
        let (name, target) = ("store".to_owned(), Target::Postgres(database));
        let terminal = Terminal { name, target, channels: None };
        let done = setup.pull(&terminal).await?;
        let fewer = [1, 2, 3].map(|count| format!("loading with {count} connections instead of 4"));
        assert!(fewer.iter().any(|fewer| done.stderr.contains(fewer)), "{}", done.stderr);
        drop(others);
        terminal.equals(&setup.master, &Tables::All).await
    });
}

/// Killed while keys are made: those that are made stay, the others are made, and none twice.
#[test]
fn keys_are_gone_on_with() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let terminal = setup.postgres("store").await?;
        let Target::Postgres(target) = &terminal.target else { unreachable!() };
        let (mut pull, proxy) = held_up(&setup, &terminal).await?;
        // A reader that stays in one table: its keys have to wait, the others' need not.
        let reader = target.connect().await?;
        reader.batch_execute("BEGIN; SELECT count(*) FROM line").await?;
        proxy.limit(None);
        let keyed = "SELECT point::json ->> 'keyed' FROM tailwater.load";
        eventually("the other tables have their keys", LIMIT, async || {
            assert!(pull.is_running()?, "{}", pull.stderr());
            let keyed = terminal.value(keyed).await?.unwrap_or_default();
            Ok(["big", "small", "empty_one"].iter().all(|of| keyed.contains(of)))
        })
        .await?;
        pull.kill()?;
        let key = "SELECT count(*)::text FROM pg_constraint WHERE contype = 'p' AND conrelid = 'big'::regclass";
        assert_eq!(terminal.value(key).await?.as_deref(), Some("1"));
        reader.batch_execute("COMMIT").await?;
        setup.pull(&terminal).await?;
        let made = "SELECT string_agg(indexname, ' ' ORDER BY indexname)
            FROM pg_indexes WHERE schemaname = 'public'";
        let (ours, theirs) = (terminal.value(made).await?, setup.master.value(made).await?);
        assert_eq!(ours, theirs);
        setup.all_equal(&[&terminal]).await
    });
}
