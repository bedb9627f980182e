//! What a reload mends, and what it leaves as it is.

use anyhow::{Context, Result};
use harness::{Cluster, Tables, Workload, eventually, rng, seed, test, test_within};
use rand::Rng;

use super::damage;
use crate::setup::{LIMIT, Options, SOURCE, Setup, Terminal};

/// Keys between tables, one of them around in a circle; an identity, generated columns, user types,
/// odd names, partitions, a table without a key.
const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN cents AS int CHECK (VALUE >= 0);
    CREATE SCHEMA \"Sales dept\";
    CREATE TABLE customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, m mood,
        favourite int);
    CREATE TABLE \"Sales dept\".\"Order \"\"x\" (id int PRIMARY KEY, customer bigint NOT NULL REFERENCES customer,
        paid cents, twice int GENERATED ALWAYS AS (id * 2) STORED, price numeric(12,2) UNIQUE, f float4);
    ALTER TABLE customer ADD FOREIGN KEY (favourite) REFERENCES \"Sales dept\".\"Order \"\"x\";
    CREATE TABLE part (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE part_2 PARTITION OF part DEFAULT;
    CREATE TABLE keyless (t text, j json);
    CREATE TABLE empty_one (id int PRIMARY KEY);
    INSERT INTO customer (name, m) SELECT 'c ' || n, 'good' FROM generate_series(1, 2000) n;
    INSERT INTO \"Sales dept\".\"Order \"\"x\" (id, customer, paid, price, f)
        SELECT n, n, n, n + 0.25, 0.1 FROM generate_series(1, 2000) n;
    UPDATE customer SET favourite = id;
    INSERT INTO part SELECT n, date '2026-01-15' + n % 60 FROM generate_series(1, 500) n;
    INSERT INTO keyless SELECT 'k' || n % 3, '{\"a\": 1}' FROM generate_series(1, 30) n";

/// What a target's user made for himself.
const OWN: &str = "
    CREATE VIEW totals AS SELECT count(*) AS n, sum(paid) AS paid FROM \"Sales dept\".\"Order \"\"x\";
    CREATE INDEX own_index ON customer (lower(name)); GRANT SELECT ON customer TO PUBLIC;
    CREATE TABLE note (customer bigint REFERENCES customer ON DELETE CASCADE, t text);
    INSERT INTO note VALUES (7, 'mine')";
const OWN_IS_THERE: &str =
    "SELECT concat_ws(' ', 'customer'::regclass::oid, (SELECT count(*) FROM totals WHERE n >= 0),
    to_regclass('own_index')::oid, has_table_privilege('pg_read_all_stats', 'customer', 'SELECT'),
    (SELECT t FROM note), (SELECT count(*) FROM pg_constraint WHERE contype = 'f'))";

/// What somebody did to the rows, at random places.
fn damage_of(terminal: &Terminal, rng: &mut impl Rng) -> String {
    let (order, identity) = match terminal.is_sqlite() {
        true => ("\"Sales dept.Order \"\"x\"", ""),
        false => ("\"Sales dept\".\"Order \"\"x\"", "OVERRIDING SYSTEM VALUE"),
    };
    let n = rng.random_range(2..9);
    format!(
        "DELETE FROM {order} WHERE id % {n} = 1; UPDATE {order} SET paid = 7 WHERE id % {n} = 0;
         INSERT INTO {order} (id, customer, paid, price) VALUES (3000 + {n}, 1, 1, 3001.25);
         INSERT INTO customer (id, name) {identity} VALUES (5000000 + {n}, 'stranger');
         UPDATE customer SET name = 'mine' WHERE id % {n} = 0; DELETE FROM part_1;
         INSERT INTO part_2 VALUES (900, '2027-01-01'); DELETE FROM keyless WHERE t = 'k1';
         INSERT INTO empty_one VALUES (1)"
    )
}

#[test]
fn damaged_tables_are_as_the_masters_again_while_it_works() {
    test_within(std::time::Duration::from_secs(300), async {
        let mut rng = rng("damage");
        let master = Cluster::shared().await?.database().await?;
        master.execute(TABLES).await?;
        Workload::prepare(master.url()).await?;
        let relay = harness::RelayProcess::builder().start().await?;
        let options = Options { capture: &["--keyless", "full"], config: None };
        let setup = Setup::with(master, relay, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        let mut workload = Workload::start(setup.master.url(), seed(), 3).await?;
        workload.run(200).await?;
        workload.finish().await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        terminals[0].execute(OWN).await?;
        let own = terminals[0].value(OWN_IS_THERE).await?;
        terminals[1].execute("CREATE INDEX own_index ON customer (name)").await?;
        for terminal in &terminals {
            let before = terminal.position().await?;
            damage(terminal, &damage_of(terminal, &mut rng)).await?;
            let mut reload = terminal.reload_command(&setup.relay.url())?.spawn()?;
            while reload.is_running()? {
                workload.run(20).await?;
            }
            let done = reload.wait(LIMIT).await?;
            assert_eq!(done.code, 0, "{}", done.stderr);
            assert!(
                done.stderr.contains("reload of orders from the snapshot at"),
                "{}",
                done.stderr
            );
            assert!(terminal.position().await? < before, "it does not stand at the snapshot");
            workload.finish().await?;
            setup.all_equal(&[terminal]).await?;
            // And once more, from where it is now.
            setup.reload(terminal).await?;
            setup.all_equal(&[terminal]).await?;
            assert_eq!(shadows(terminal).await?.as_deref(), Some("0"), "shadows are left");
        }
        assert_eq!(terminals[0].value(OWN_IS_THERE).await?, own);
        let index = "SELECT count(*) FROM sqlite_schema WHERE name = 'own_index'";
        assert_eq!(terminals[1].value(index).await?.as_deref(), Some("1"));
        Ok(())
    });
}

async fn shadows(terminal: &Terminal) -> Result<Option<String>> {
    let sql = match terminal.is_sqlite() {
        true => "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tailwater_shadow%'",
        false => "SELECT count(*) FROM pg_class WHERE relname LIKE 'shadow%'",
    };
    terminal.value(sql).await
}

/// A table that is gone at the target is made again, with its key. A target without a position is
/// none to reload: it may be the wrong one.
#[test]
fn what_is_missing_is_made() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE a (id int PRIMARY KEY, t text); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
             INSERT INTO a SELECT n, 'x' FROM generate_series(1, 100) n; INSERT INTO b SELECT n, n FROM generate_series(1, 100) n",
        )
        .await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            let done = terminal.reload_command(&setup.relay.url())?.run(LIMIT).await?;
            assert_eq!(done.code, 2, "{}", done.stderr);
            assert!(done.stderr.contains("was never loaded with orders"), "{}", done.stderr);
            let path = terminal.url().replace("sqlite:", "");
            assert!(!std::path::Path::new(&path).exists(), "it made {path}");
            let lag = setup.relay.lag(SOURCE).await?;
            assert!(lag.terminal(&terminal.name).is_none(), "a mistake is no terminal");
            setup.pull(terminal).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
            terminal.execute("DROP TABLE b; DELETE FROM a").await?;
            setup.reload(terminal).await?;
            terminal.equals(&setup.master, &Tables::All).await?;
            let key = match terminal.is_sqlite() {
                true => "SELECT count(*) FROM pragma_table_info('b') WHERE pk = 1",
                false => {
                    "SELECT count(*) FROM pg_constraint WHERE conrelid = 'b'::regclass AND contype = 'p'"
                }
            };
            assert_eq!(terminal.value(key).await?.as_deref(), Some("1"));
        }
        setup.master.execute("UPDATE b SET a = a - 1 WHERE id = 50").await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// Where a partitioned table is published as one, its rows are those of the root.
#[test]
fn a_partitioned_table_that_travels_as_one() {
    test(async {
        let sql = "CREATE TABLE part (id int PRIMARY KEY, t text) PARTITION BY RANGE (id);
            CREATE TABLE low PARTITION OF part FOR VALUES FROM (0) TO (50); CREATE TABLE high PARTITION OF part DEFAULT;
            INSERT INTO part SELECT n, 'x' FROM generate_series(1, 100) n;
            CREATE PUBLICATION mine FOR TABLE part WITH (publish_via_partition_root)";
        let options = Options { capture: &["--publication", "mine"], config: None };
        let setup = Setup::on(Cluster::shared().await?, sql, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        let sum = "SELECT count(*) || ' ' || sum(id) FROM part";
        // Its partitions do not travel; a PostgreSQL terminal may cut it in others.
        let own = "CREATE TABLE part (id int PRIMARY KEY, t text) PARTITION BY HASH (id);
            CREATE TABLE even PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE odd PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1)";
        terminals[0].execute(own).await?;
        for terminal in &terminals {
            setup.pull(terminal).await?;
            let damage = "DELETE FROM part WHERE id % 3 = 0; INSERT INTO part VALUES (777, 'mine')";
            terminal.execute(damage).await?;
            setup.reload(terminal).await?;
            assert_eq!(terminal.value(sum).await?.as_deref(), Some("100 5050"));
        }
        setup.master.execute("UPDATE part SET id = 60 + 100 WHERE id = 3").await?;
        setup.captured().await?;
        for terminal in &terminals {
            setup.pull(terminal).await?;
            assert_eq!(terminal.value(sum).await?.as_deref(), Some("100 5207"));
        }
        Ok(())
    });
}

/// The relay is told that it loads; a pull goes on afterwards as ever.
#[test]
fn the_lag_says_loading_meanwhile() {
    test(async {
        let setup = Setup::shared(crate::first_load::MUCH).await?;
        let terminal = setup.sqlite("till")?;
        setup.pull(&terminal).await?;
        let state = async || {
            let lag = setup.relay.lag(SOURCE).await?;
            anyhow::Ok(lag.terminal("till").context("not seen")?.state.clone())
        };
        assert_ne!(state().await?, "loading");
        let mut reload = terminal.reload_command(&setup.relay.url())?.spawn()?;
        eventually("the lag says loading", LIMIT, async || Ok(state().await? == "loading")).await?;
        assert_eq!(reload.wait(LIMIT).await?.code, 0);
        setup.all_equal(&[&terminal]).await?;
        assert_ne!(state().await?, "loading");
        Ok(())
    });
}
