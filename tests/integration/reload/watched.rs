//! Readers see the old rows or the new ones, of all tables.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use harness::{Database, Tables, test_within};

use crate::setup::{Setup, Target, Terminal};

/// What both tables hold together.
const TABLES: &str = "
    CREATE TABLE a (id int PRIMARY KEY, v int, t text); CREATE TABLE b (id int PRIMARY KEY, v int, t text);
    INSERT INTO a SELECT n, n, repeat('x', 200) FROM generate_series(1, 30000) n;
    INSERT INTO b SELECT n, n, repeat('y', 200) FROM generate_series(1, 30000) n";
const DAMAGE: &str = "DELETE FROM a WHERE id % 5 = 0; DELETE FROM b WHERE id % 3 = 0";
const LOOK: &str = "SELECT (SELECT count(*) || '/' || sum(v) FROM a) || ' ' || (SELECT count(*) || '/' || sum(v) FROM b)";

type Seen = Result<BTreeSet<String>>;

/// Looks until told to stop; every other look takes its snapshot a while before it reads.
async fn look_at_postgres(url: String, stop: Arc<AtomicBool>) -> Seen {
    let client = harness::connect(&url).await?;
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        seen.insert(client.query_one(LOOK, &[]).await?.get(0));
        client
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
            .await?;
        tokio::time::sleep(Duration::from_millis(700)).await;
        seen.insert(client.query_one(LOOK, &[]).await?.get(0));
        client.batch_execute("COMMIT").await?;
    }
    Ok(seen)
}

fn look_at_sqlite(file: PathBuf, stop: Arc<AtomicBool>) -> Seen {
    let client = rusqlite::Connection::open(file)?;
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        seen.insert(client.query_row(LOOK, [], |row| row.get(0))?);
        client.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
        thread::sleep(Duration::from_millis(100));
        seen.insert(client.query_row(LOOK, [], |row| row.get(0))?);
        client.execute_batch("COMMIT")?;
    }
    Ok(seen)
}

async fn reload_watched(setup: &Setup, terminal: &Terminal) -> Result<()> {
    setup.pull(terminal).await?;
    let whole = terminal.value(LOOK).await?.context("no rows")?;
    terminal.execute(DAMAGE).await?;
    let damaged = terminal.value(LOOK).await?.context("no rows")?;
    let stop = Arc::new(AtomicBool::new(false));
    let looking = match &terminal.target {
        Target::Postgres(target) => {
            let url = Database::url(target).to_owned();
            tokio::spawn(look_at_postgres(url, stop.clone()))
        }
        Target::Sqlite { file, .. } => {
            let (file, stop) = (file.clone(), stop.clone());
            tokio::task::spawn_blocking(move || look_at_sqlite(file, stop))
        }
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    setup.reload(terminal).await?;
    tokio::time::sleep(Duration::from_millis(900)).await;
    stop.store(true, Ordering::Relaxed);
    let seen = looking.await??;
    println!("{}: {seen:?}", terminal.name);
    assert_eq!(seen, BTreeSet::from([whole, damaged]));
    terminal.equals(&setup.master, &Tables::All).await
}

/// What somebody writes meanwhile comes before the exchange, and is replaced, or behind it; it never
/// gets in between.
#[test]
fn other_writers_wait_for_the_exchange() {
    test_within(Duration::from_secs(300), async {
        let setup = Setup::shared(TABLES).await?;
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        let Target::Postgres(target) = &terminal.target else { unreachable!() };
        let client = target.connect().await?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let writing = tokio::spawn(async move {
            for id in 100_000.. {
                if *stopped.borrow() {
                    break;
                }
                client.execute("INSERT INTO a VALUES ($1)", &[&id]).await?;
            }
            anyhow::Ok(())
        });
        for _ in 0..4 {
            setup.reload(&terminal).await?;
        }
        // A statement that was sent and not waited for would come behind the removal.
        stop.send_replace(true);
        writing.await??;
        terminal.execute("DELETE FROM a WHERE id >= 100000").await?;
        setup.all_equal(&[&terminal]).await
    });
}

#[test]
fn a_reader_sees_the_old_rows_or_the_new_ones() {
    test_within(Duration::from_secs(300), async {
        let setup = Setup::shared(TABLES).await?;
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            for _ in 0..4 {
                reload_watched(&setup, &terminal).await?;
            }
        }
        Ok(())
    });
}
