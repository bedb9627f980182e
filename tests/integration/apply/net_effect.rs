//! Many changes by their net effect: the same rows as one by one, whatever the history.

use anyhow::Result;
use harness::{Cluster, Tables, rng, test};
use rand::{Rng, rngs::StdRng};

use crate::setup::{LIMIT, Options, SOURCE, Setup, Target, Terminal};

/// Keys of several kinds, unique values beside the key, rows without a key that are alike, values that are kept
/// out of line, types whose arrays come apart differently, columns that an update may not set.
const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('fine', 'so \"so\"', 'NULL');
    CREATE TYPE place AS (x int, label text);
    CREATE DOMAIN short AS varchar(8) CHECK (VALUE <> 'never');
    CREATE DOMAIN numbers AS int[];
    CREATE TABLE item (id int PRIMARY KEY, code text UNIQUE, big text, price numeric(12, 2), at timestamptz);
    ALTER TABLE item ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE pair (a text, b numeric, n bigint, PRIMARY KEY (a, b));
    CREATE TABLE loose (a text, doc json, n int, f float8, c char(4));
    CREATE TABLE odd (id uuid PRIMARY KEY, mood mood, place place, short short, numbers numbers, grid int[], boxes box,
        bits bit(3), more varbit(5), one \"char\", raw bytea, moods mood[], places place[], ranges int4multirange, fixed char(5), flag bool,
        doc jsonb, span interval, addr inet, base int, twice int GENERATED ALWAYS AS (base * 2) STORED);
    CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seq int GENERATED ALWAYS AS IDENTITY, v int);
    CREATE TABLE moved (id int PRIMARY KEY, seq int GENERATED ALWAYS AS IDENTITY, v int);
    CREATE TABLE kept (id int PRIMARY KEY, v int);
    ALTER TABLE kept REPLICA IDENTITY FULL;
    CREATE TABLE child (id int PRIMARY KEY, item int REFERENCES item ON DELETE CASCADE, v int)";

/// A statement of an application; all keys are from few, so that rows come and go again and again.
fn statement(rng: &mut StdRng) -> String {
    let (id, to, v) = (rng.random_range(0..40), rng.random_range(0..40), rng.random_range(0..5));
    let many = rng.random_range(1..60);
    match rng.random_range(0..24) {
        0 | 1 => format!(
            "INSERT INTO item SELECT i, 'c' || i, repeat('{v}', 3000), i / 7.0, 'epoch'::timestamptz + i * interval '1 day' \
             FROM generate_series({id}, {id} + {many}) i ON CONFLICT DO NOTHING"
        ),
        2 => format!("UPDATE item SET price = price + 0.01 WHERE id % 3 = {v} % 3"),
        3 => {
            format!("UPDATE item SET big = repeat('{v}{id}', 1500) WHERE id BETWEEN {id} AND {to}")
        }
        4 => format!("DELETE FROM item WHERE id BETWEEN {id} AND {id} + {v}"),
        5 => format!(
            "UPDATE item SET id = {to} WHERE id = {id} AND NOT EXISTS (SELECT FROM item WHERE id = {to}) \
             AND NOT EXISTS (SELECT FROM child WHERE item = {id})"
        ),
        // Two rows change their unique values with each other.
        6 => format!(
            "UPDATE item SET code = 'swap' || id WHERE id IN ({id}, {to}); \
             UPDATE item SET code = 'c' || CASE id WHEN {id} THEN {to} ELSE {id} END WHERE code LIKE 'swap%' \
             AND NOT EXISTS (SELECT FROM item o WHERE o.code = 'c' || CASE item.id WHEN {id} THEN {to} ELSE {id} END)"
        ),
        7 => format!(
            "INSERT INTO pair SELECT 'k' || i % 5, i / 10.0, {v} FROM generate_series({id}, {id} + {many}) i ON CONFLICT DO NOTHING"
        ),
        8 => format!(
            "INSERT INTO pair VALUES ('k', {v}.50, {id}), ('K', {v}.5, {to}) ON CONFLICT (a, b) DO UPDATE SET n = excluded.n"
        ),
        9 => format!("UPDATE pair SET b = b + 100 WHERE n = {v}"),
        10 => format!("DELETE FROM pair WHERE n = {v} OR b > 300"),
        11 | 12 => format!(
            "INSERT INTO loose SELECT CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'x\\\"{{,' END, '{{\"a\": {v}}}'::json, nullif(i % 3, 0), \
             CASE i % 5 WHEN 0 THEN '-0' WHEN 1 THEN 'NaN' ELSE '0.1' END::float8, 'ab' FROM generate_series(1, {many}) i"
        ),
        13 => format!(
            "UPDATE loose SET n = {v} WHERE ctid IN (SELECT ctid FROM loose WHERE n IS NOT DISTINCT FROM nullif({v}, 0) LIMIT {many})"
        ),
        14 => format!(
            "DELETE FROM loose WHERE ctid IN (SELECT ctid FROM loose OFFSET {id} LIMIT {many})"
        ),
        15 | 16 => format!(
            "INSERT INTO odd SELECT md5(i::text)::uuid, (enum_range(NULL::mood))[1 + i % 3], ROW(i, CASE i % 3 WHEN 0 THEN 'a \"b\" \\ c' END)::place, \
             'v{v}'::short, ARRAY[i, NULL, {v}], ARRAY[[i, {v}], [NULL, 1]], box(point(i, {v}), point(1, 2)), (i % 8)::bit(3), '101'::varbit, \
             (CASE i % 3 WHEN 0 THEN '' ELSE 'z' END)::\"char\", decode(lpad(to_hex(i * 37), 6, '0'), 'hex'), ARRAY['NULL', 'fine', NULL]::mood[], \
             ARRAY[ROW(1, 'x,y'), NULL]::place[], '{{[1,3),[7,9)}}'::int4multirange, 'ab', i % 2 = 0, jsonb_build_object('k', ARRAY[1, i]), interval '1 mon -3 days', '10.0.0.0/8'::inet, i \
             FROM generate_series({id}, {id} + {many}) i ON CONFLICT DO NOTHING"
        ),
        17 => format!(
            "UPDATE odd SET numbers = numbers || {v}, mood = NULL, place = ROW(NULL, NULL), one = NULL WHERE (place).x % 5 = {v}"
        ),
        18 => format!("DELETE FROM odd WHERE (place).x % 7 = {v}"),
        19 => format!(
            "INSERT INTO counted (v) SELECT {v} FROM generate_series(1, {many} % 10); INSERT INTO moved (id, v) VALUES ({id}, {v}) ON CONFLICT DO NOTHING"
        ),
        20 if v == 0 => format!(
            "UPDATE moved SET id = {to}, seq = DEFAULT WHERE id = {id} AND NOT EXISTS (SELECT FROM moved WHERE id = {to}); UPDATE moved SET v = v + 1"
        ),
        20 => format!("UPDATE counted SET v = {v}, seq = DEFAULT WHERE id % 10 = {v}"),
        21 => format!(
            "INSERT INTO kept SELECT i, {v} FROM generate_series({id}, {id} + {many}) i ON CONFLICT (id) DO UPDATE SET v = excluded.v"
        ),
        22 => format!(
            "UPDATE kept SET id = id + 1000 WHERE id < 1000 AND v = {v}; DELETE FROM kept WHERE id >= 1000 AND v <> {v}"
        ),
        _ => match rng.random_range(0..8) {
            0 => "TRUNCATE loose".to_owned(),
            1 => "TRUNCATE item CASCADE".to_owned(),
            _ => format!(
                "INSERT INTO child SELECT i.id, i.id, {v} FROM item i ON CONFLICT (id) DO UPDATE SET v = {v}"
            ),
        },
    }
}

/// So many transactions; some are rolled back, in whole or in part.
async fn work(setup: &Setup, rng: &mut StdRng, transactions: u32) -> Result<()> {
    let client = setup.master.connect().await?;
    for _ in 0..transactions {
        let mut sql = "BEGIN;".to_owned();
        for _ in 0..rng.random_range(1..6) {
            sql += &format!("{};", statement(rng));
        }
        sql += if rng.random_bool(0.1) { "ROLLBACK" } else { "COMMIT" };
        if let Err(error) = client.batch_execute(&sql).await {
            // A constraint of the master's.
            anyhow::ensure!(
                error.code().is_some_and(|code| code.code().starts_with("23")),
                "{sql}: {error:?}"
            );
            client.batch_execute("ROLLBACK").await?;
        }
    }
    Ok(())
}

/// Pulls, and gives what was said of how changes were applied.
async fn pull(setup: &Setup, terminal: &Terminal) -> Result<String> {
    let command = terminal.command(&setup.relay.url())?.env("RUST_LOG", "terminal_client=debug");
    let done = command.run(LIMIT).await?;
    assert_eq!(done.code, 0, "{}: {}", terminal.name, done.stderr);
    Ok(done.stderr)
}

#[test]
fn random_histories_leave_the_same_rows() {
    test(async {
        let mut rng = rng("net effect");
        let options = Options { capture: &["--keyless", "full"], config: None };
        let setup = Setup::on(Cluster::shared().await?, TABLES, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        let mut said = String::new();
        for terminal in &terminals {
            pull(&setup, terminal).await?;
        }
        for _ in 0..8 {
            work(&setup, &mut rng, 60).await?;
            setup.captured().await?;
            for terminal in &terminals {
                said += &pull(&setup, terminal).await?;
            }
            setup.all_equal(&terminals.each_ref()).await?;
        }
        assert!(said.contains("by their net effect"), "{said}");
        Ok(())
    });
}

/// A trigger sees each change; foreign keys of a role that may not switch them off hold in the order of the source.
#[test]
fn where_something_acts_on_each_row_changes_come_one_by_one() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
             INSERT INTO a VALUES (0, 0)",
        )
        .await?;
        let (watched, plain) = (setup.postgres("watched").await?, setup.postgres("plain").await?);
        let Target::Postgres(target) = &plain.target else { unreachable!() };
        let url = target.plain_url().await?;
        let pull_plain = async || {
            let command = harness::terminal(&setup.relay.url(), SOURCE, &url, "plain")?;
            let done = command.env("RUST_LOG", "terminal_client=debug").run(LIMIT).await?;
            assert_eq!(done.code, 0, "{}", done.stderr);
            anyhow::Ok(done.stderr)
        };
        setup.pull(&watched).await?;
        pull_plain().await?;
        watched
            .execute(
                "CREATE TABLE seen (n int);
                 CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.seen VALUES (NEW.n); RETURN NEW; END';
                 CREATE TRIGGER see AFTER UPDATE ON a FOR EACH ROW EXECUTE FUNCTION see(); ALTER TABLE a ENABLE ALWAYS TRIGGER see",
            )
            .await?;
        target.execute("ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES a").await?;
        for n in 1..=100 {
            let sql = format!(
                "UPDATE a SET n = {n} WHERE id = 0; INSERT INTO a VALUES ({n}, 0); INSERT INTO b VALUES ({n}, {n}); DELETE FROM b WHERE id < {n}; DELETE FROM a WHERE id > 0 AND id < {n}"
            );
            setup.master.execute(&sql).await?;
        }
        setup.captured().await?;
        for said in [pull(&setup, &watched).await?, pull_plain().await?] {
            assert!(!said.contains("by their net effect"), "{said}");
        }
        let seen = watched.value("SELECT count(*) FROM seen").await?;
        assert_eq!(seen.as_deref(), Some("100"), "the trigger missed some");
        for terminal in [&watched, &plain] {
            terminal.equals(&setup.master, &Tables::only(&["public.a", "public.b"])).await?;
        }
        Ok(())
    });
}

/// What does not fit is told of as one change, also where it came among many; nothing of them is kept.
#[test]
fn among_many_changes_the_one_that_does_not_fit_is_named() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, 0 FROM generate_series(1, 200) n").await?;
        let cases = [
            (
                "INSERT INTO t SELECT n, 0 FROM generate_series(201, 400) n",
                "INSERT INTO t VALUES (333, 9)",
                "DELETE FROM t WHERE id = 333",
                "insert",
            ),
            (
                "UPDATE t SET n = 1",
                "DELETE FROM t WHERE id = 111",
                "INSERT INTO t VALUES (111, 0)",
                "update",
            ),
            (
                "DELETE FROM t WHERE id <= 150",
                "DELETE FROM t WHERE id = 77",
                "INSERT INTO t VALUES (77, 1)",
                "delete",
            ),
        ];
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        for (change, damage, mend, kind) in cases {
            for terminal in &terminals {
                terminal.execute(damage).await?;
            }
            setup.master.execute(change).await?;
            setup.captured().await?;
            for terminal in &terminals {
                let before = terminal.value("SELECT count(*) || ' ' || sum(n) FROM t").await?;
                let command = terminal.command(&setup.relay.url())?;
                let done = command.args(["--on-conflict", "stop"]).run(LIMIT).await?;
                assert_eq!(done.code, 1, "{}", done.stderr);
                let key = damage.split(['(', '=']).nth(1).unwrap_or_default();
                let key = key.split(',').next().unwrap_or_default().trim();
                let named = format!("key (id={key})");
                assert!(
                    done.stderr.contains(&format!("the {kind} at")) && done.stderr.contains(&named),
                    "{}",
                    done.stderr
                );
                assert_eq!(
                    terminal.value("SELECT count(*) || ' ' || sum(n) FROM t").await?,
                    before
                );
                terminal.execute(mend).await?;
            }
            setup.all_equal(&terminals.each_ref()).await?;
        }
        Ok(())
    });
}

/// Rows that are updated to what they are have nothing to set, and yet each must be there.
#[test]
fn many_updates_that_change_nothing_are_followed_by_others() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE link (a int, b int, PRIMARY KEY (a, b)); INSERT INTO link SELECT n, n FROM generate_series(1, 5000) n",
        )
        .await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        let sql = "BEGIN; UPDATE link SET a = a; INSERT INTO link SELECT -n, n FROM generate_series(1, 100) n; COMMIT";
        setup.master.execute(sql).await?;
        setup.all_equal(&terminals.each_ref()).await
    });
}

/// What is undone for one table leaves another one that the same changes made.
#[test]
fn a_new_table_is_there_where_its_changes_come_one_by_one() {
    test(async {
        let mut setup =
            Setup::shared("CREATE TABLE t (id int PRIMARY KEY, code text UNIQUE); INSERT INTO t SELECT n, 'c' || n FROM generate_series(1, 9) n").await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        for terminal in &terminals {
            setup.pull(terminal).await?;
        }
        setup.master.execute("CREATE TABLE u (id int PRIMARY KEY)").await?;
        setup.kill_capture()?;
        setup.captured().await?;
        // The table that is known comes first: what is told of together is applied together.
        let sql = "BEGIN; UPDATE t SET code = 'c' WHERE id = 9; INSERT INTO u SELECT generate_series(1, 100);
             UPDATE t SET code = 'x' WHERE id = 1; UPDATE t SET code = 'c1' WHERE id = 2; UPDATE t SET code = 'c2' WHERE id = 1; COMMIT";
        setup.master.execute(sql).await?;
        setup.all_equal(&terminals.each_ref()).await
    });
}

/// Where the terminal has no unique index on the key, two rows met for one do not hide that another is missing.
#[test]
fn without_an_index_a_row_that_is_there_twice_is_told_of() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, 0 FROM generate_series(1, 200) n",
        )
        .await?;
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        terminal
            .execute("ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (5, 0); DELETE FROM t WHERE id = 6")
            .await?;
        setup.master.execute("UPDATE t SET n = 1").await?;
        setup.captured().await?;
        let done = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains("it meets 2 rows instead of one"), "{}", done.stderr);
        terminal
            .execute("DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t WHERE id = 5); INSERT INTO t VALUES (6, 0)")
            .await?;
        setup.all_equal(&[&terminal]).await
    });
}
