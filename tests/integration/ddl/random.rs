//! Random statements, definitions and rows mixed, while everybody is killed now and then.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use harness::{rng, test};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use super::{followed::shape, recorded};
use crate::setup::{LIMIT, Setup, Target, Terminal};

/// Batches of statements; each is one transaction, and fails as a whole where one of them does.
const BATCHES: usize = 160;
const TYPES: &[&str] = &[
    "int",
    "int DEFAULT 7",
    "text",
    "text DEFAULT 'it''s' NOT NULL",
    "numeric(8,2) DEFAULT 1.50",
    "date DEFAULT '2026-01-01'",
    "boolean DEFAULT true",
    "int[] DEFAULT '{1,NULL,3}'",
    "timestamptz DEFAULT now()",
    "mood DEFAULT 'ok'",
    "jsonb",
];

/// The tables that are there, each with its columns but `id`.
async fn tables(setup: &Setup) -> Result<BTreeMap<String, Vec<String>>> {
    let sql = "
        SELECT coalesce(jsonb_object_agg(relname, ARRAY(
            SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attname <> 'id')), '{}')
        FROM pg_class c WHERE relkind = 'r' AND relname ~ '^r[0-9]$'";
    Ok(serde_json::from_str(&setup.master.value(sql).await?.context("none")?)?)
}

fn statement(rng: &mut StdRng, tables: &BTreeMap<String, Vec<String>>) -> String {
    let new = |rng: &mut StdRng| format!("r{}", rng.random_range(0..4));
    let new_column = |rng: &mut StdRng| format!("c{}", rng.random_range(0..5));
    let of = TYPES.choose(rng).copied().unwrap_or_default();
    let (made, made_column) = (new(rng), new_column(rng));
    let names: Vec<&String> = tables.keys().collect();
    let table = names.choose(rng).map_or(made.clone(), |name| (*name).clone());
    let columns = tables.get(&table).cloned().unwrap_or_default();
    let column = |rng: &mut StdRng| columns.choose(rng).cloned().unwrap_or("id".to_owned());
    let (c, d) = (column(rng), column(rng));
    match rng.random_range(0..24) {
        0 | 1 => format!("CREATE TABLE {made} (id int PRIMARY KEY, {made_column} {of})"),
        2 => format!("DROP TABLE {table}"),
        3..=5 => format!("ALTER TABLE {table} ADD {made_column} {of}"),
        6 => format!("ALTER TABLE {table} DROP {c}"),
        7 => format!("ALTER TABLE {table} RENAME {c} TO {made_column}"),
        8 => format!("ALTER TABLE {table} RENAME TO {made}"),
        9 => format!("ALTER TABLE {table} ALTER {c} DROP DEFAULT, ALTER {d} DROP NOT NULL"),
        10 => format!("CREATE INDEX ON {table} ({c})"),
        11 => format!(
            "ALTER TABLE {table} REPLICA IDENTITY {}",
            if rng.random() { "FULL" } else { "DEFAULT" }
        ),
        12 => format!("TRUNCATE {table}"),
        13 => format!("ALTER TABLE {table} ADD UNIQUE (id, {c})"),
        14..=17 => {
            let from = rng.random_range(0..500);
            format!(
                "INSERT INTO {table} (id) SELECT i FROM generate_series({from}, {}) i ON CONFLICT DO NOTHING",
                from + 20
            )
        }
        18 => format!("UPDATE {table} SET id = id + 1000 WHERE id % 17 = 3"),
        19 => format!("UPDATE {table} SET {c} = {d}"),
        20 => format!("UPDATE {table} SET {c} = NULL WHERE id % 3 = 0"),
        21 => format!("UPDATE {table} SET {c} = DEFAULT WHERE id % 5 = 0"),
        _ => format!("DELETE FROM {table} WHERE id % 13 = {}", rng.random_range(0..13)),
    }
}

async fn kill_somebody(setup: &mut Setup, terminals: &[&Terminal], rng: &mut StdRng) -> Result<()> {
    match rng.random_range(0..4) {
        0 => setup.kill_capture(),
        1 => setup.relay.kill_and_restart().await,
        _ => {
            let Some(terminal) = terminals.choose(rng) else { return Ok(()) };
            let mut pulling = terminal.command(&setup.relay.url())?.spawn()?;
            tokio::time::sleep(std::time::Duration::from_millis(rng.random_range(20..900))).await;
            pulling.kill()
        }
    }
}

/// Without the names of constraints and indexes: of two that are the same but for that, one is made.
fn nameless(shape: &str) -> BTreeSet<String> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        match words.iter().position(|word| *word == "ON") {
            Some(on) if line.contains(" INDEX ") => {
                format!("{} {}", words[1], words[on..].join(" "))
            }
            _ if words.first().is_some_and(|word| !word.contains('.')) => {
                format!("{} {}", words[0], words[2..].join(" "))
            }
            _ => line.to_owned(),
        }
    };
    shape.lines().map(line).collect()
}

async fn same(setup: &Setup, terminals: &[&Terminal], when: &str) -> Result<()> {
    setup.all_equal(terminals).await.with_context(|| format!("after {when}"))?;
    for terminal in terminals {
        if let Target::Postgres(database) = &terminal.target {
            let (here, there) = (shape(database).await?, shape(&setup.master).await?);
            assert_eq!(nameless(&here), nameless(&there), "after {when}");
        }
    }
    Ok(())
}

#[test]
fn any_statements_in_any_order_leave_all_equal() {
    test(async {
        let mut rng = rng("random schema changes");
        let before = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE r0 (id int PRIMARY KEY, c0 int); CREATE TABLE kept (id int PRIMARY KEY, m mood)";
        let mut setup = recorded(before, &[]).await?;
        let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
        let terminals = [&postgres, &sqlite];
        same(&setup, &terminals, "the first load").await?;
        let mut done = 0;
        for batch in 0..BATCHES {
            let tables = tables(&setup).await?;
            let several = if rng.random_range(0..3) == 0 { rng.random_range(2..5) } else { 1 };
            let statements: Vec<String> =
                (0..several).map(|_| statement(&mut rng, &tables)).collect();
            let sql = statements.join("; ");
            if setup.master.execute(&sql).await.is_ok() {
                println!("{batch}: {sql}");
                done += 1;
            }
            if batch % 12 == 7 {
                kill_somebody(&mut setup, &terminals, &mut rng).await?;
            }
            if batch % 40 == 39 {
                same(&setup, &terminals, "some of it").await?;
            }
        }
        println!("{done} of {BATCHES} batches had an effect");
        let late = setup.postgres("late").await?;
        setup.captured().await?;
        late.command(&setup.relay.url())?.run(LIMIT).await?;
        same(&setup, &[&postgres, &sqlite, &late], "all of it").await
    });
}
