//! A terminal as a library: the programs in `terminal-client/examples`.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context, Result};
use harness::{Database, Finished, ProcessBuilder, Scratch, Tables, binary, rng, test};
use rand::Rng;
use serde_json::Value;

use crate::setup::{LIMIT, SOURCE, Setup};

const TABLES: &str = "
    CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(8, 2), big text);
    ALTER TABLE item ALTER big SET STORAGE EXTERNAL;
    INSERT INTO item SELECT i, E'a\\tb\\n\\\\ ' || i, i / 3.0, repeat('x', 5000) FROM generate_series(1, 200) i;
    INSERT INTO item VALUES (0, NULL, NULL, '');
    CREATE SCHEMA \"s p\"; CREATE TABLE \"s p\".pair (a text, b int, n int, PRIMARY KEY (a, b));
    INSERT INTO \"s p\".pair SELECT 'k' || i % 7, i, NULL FROM generate_series(1, 50) i;
    CREATE TABLE empty_one (id int PRIMARY KEY)";

fn example(name: &str, setup: &Setup, target: &str) -> Result<ProcessBuilder> {
    let program = binary(&format!("examples/{name}"))?;
    Ok(ProcessBuilder::new(name, program).args([&setup.relay.url(), SOURCE, target]))
}

fn ended_well(done: &Finished) {
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("AtHead"), "{}", done.stdout);
}

/// Each row as an object of texts.
async fn rows_of(master: &Database, table: &str) -> Result<BTreeSet<String>> {
    let sql = format!(
        "SELECT coalesce(jsonb_agg((SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(to_jsonb(t)))), '[]') FROM {table} t"
    );
    let rows: Vec<Value> = serde_json::from_str(&master.value(&sql).await?.context("no rows")?)?;
    Ok(rows.iter().map(ToString::to_string).collect())
}

/// What the file holds is what the master has.
async fn is_as(master: &Database, file: &Path) -> Result<()> {
    let content: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    for (name, table) in
        [("public.item", "item"), ("s p.pair", "\"s p\".pair"), ("public.empty_one", "empty_one")]
    {
        let rows = content["tables"][name]["rows"].as_object().context("no such table")?;
        let held: BTreeSet<String> = rows.values().map(ToString::to_string).collect();
        let expected = rows_of(master, table).await?;
        let differing: Vec<_> = held.symmetric_difference(&expected).take(3).collect();
        assert!(differing.is_empty(), "{name}: {differing:?}");
    }
    Ok(())
}

#[test]
fn a_target_of_ones_own_holds_what_the_master_has() {
    test(async {
        let setup = Setup::shared(TABLES).await?;
        let folder = Scratch::new("own-target")?;
        let file = folder.path().join("tables.json");
        let path = file.to_string_lossy().into_owned();
        let run = async || {
            setup.captured().await?;
            ended_well(&example("own_target", &setup, &path)?.run(LIMIT).await?);
            is_as(&setup.master, &file).await
        };
        run().await.context("after the load")?;
        for sql in [
            "INSERT INTO item SELECT i, 'new', 1, NULL FROM generate_series(201, 400) i; INSERT INTO empty_one VALUES (1)",
            // A large value that the update does not touch, keys that change, two rows that change places.
            "UPDATE item SET price = 7 WHERE id % 5 = 0; UPDATE item SET id = id + 1000 WHERE id % 7 = 1; UPDATE \"s p\".pair SET a = 'other' WHERE b < 9",
            "BEGIN; UPDATE item SET id = -1 WHERE id = 2; UPDATE item SET id = 2 WHERE id = 3; UPDATE item SET id = 3 WHERE id = -1; COMMIT",
            "DELETE FROM item WHERE id % 3 = 0; TRUNCATE empty_one, \"s p\".pair; INSERT INTO \"s p\".pair VALUES ('x', 1, 1)",
        ] {
            setup.master.execute(sql).await?;
            run().await.context(sql)?;
        }
        // Killed at any moment, it holds what it held or what came, with its position.
        let mut rng = rng("own target kills");
        for n in 0..8 {
            let sql = format!("UPDATE item SET price = {n}; INSERT INTO empty_one VALUES ({n})");
            setup.master.execute(&sql).await?;
            setup.captured().await?;
            let mut killed = example("own_target", &setup, &path)?.spawn()?;
            tokio::time::sleep(Duration::from_millis(rng.random_range(1..80))).await;
            killed.kill()?;
        }
        run().await
    });
}

#[test]
fn a_program_embeds_a_terminal() {
    test(async {
        let setup = Setup::shared(TABLES).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for sql in ["SELECT 1", "DELETE FROM item WHERE id > 100; UPDATE \"s p\".pair SET n = 5"] {
            setup.master.execute(sql).await?;
            setup.captured().await?;
            for terminal in &terminals {
                ended_well(&example("embed", &setup, &terminal.url())?.run(LIMIT).await?);
                terminal.equals(&setup.master, &Tables::All).await?;
            }
        }
        let lag = setup.relay.lag(SOURCE).await?;
        assert!(lag.terminal("embedded").is_some(), "the relay does not know it");
        Ok(())
    });
}
