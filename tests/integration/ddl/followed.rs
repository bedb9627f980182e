//! Schema changes at the terminals, in order with the data.

use anyhow::{Context, Result};
use harness::{Database, eventually, test};

use super::recorded;
use crate::setup::{LIMIT, Setup, Target, Terminal};

/// Columns, constraints and indexes of all tables of users, as text.
const SHAPE: &str = "
SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
    SELECT format('%I.%I.%I %s %s %s %s %s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                  a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)) AS line
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tailwater')
  UNION ALL
    SELECT format('%s %s %s', o.conrelid::regclass, o.conname, pg_get_constraintdef(o.oid))
    FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'tailwater') AND o.contype <> 'n'
  UNION ALL
    SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'tailwater', 'pg_toast')
  UNION ALL
    SELECT format('type %I %s', t.typname, e.enumlabel) FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
) lines";

pub(super) async fn shape(database: &Database) -> Result<String> {
    Ok(database.value(SHAPE).await?.unwrap_or_default())
}

/// Both terminals have the master's rows, and the PostgreSQL one its tables.
pub(super) async fn same(setup: &Setup, terminals: &[&Terminal], after: &str) -> Result<()> {
    setup.all_equal(terminals).await.with_context(|| format!("after {after}"))?;
    for terminal in terminals {
        if let Target::Postgres(database) = &terminal.target {
            assert_eq!(shape(database).await?, shape(&setup.master).await?, "after {after}");
        }
    }
    Ok(())
}

/// Runs the statements one by one; after each the terminals must be as the master.
async fn follow(before: &str, capture: &[&str], after: &[&str]) -> Result<()> {
    let setup = recorded(before, capture).await?;
    let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
    let terminals = [&postgres, &sqlite];
    same(&setup, &terminals, "the first load").await?;
    // One terminal comes after each statement, the other sees them all at once.
    let (late, file) = (setup.postgres("late").await?, setup.sqlite("file")?);
    setup.pull(&late).await?;
    setup.pull(&file).await?;
    for sql in after {
        setup.master.execute(sql).await.with_context(|| (*sql).to_owned())?;
        same(&setup, &terminals, sql).await?;
    }
    same(&setup, &[&late, &file], "all of it at once").await
}

const T: &str = "
CREATE TABLE t (id int PRIMARY KEY, a int, b text);
INSERT INTO t SELECT i, i, 'b' || i FROM generate_series(1, 20) i";
/// Touches each column there is, in any shape of the table.
const WORK: &str = "UPDATE t SET id = id + 100 WHERE id % 7 = 0; DELETE FROM t WHERE id = (SELECT max(id) FROM t); INSERT INTO t (id) SELECT max(id) + 1 FROM t";

#[test]
fn columns_come_go_and_change() {
    test(async {
        follow(T, &[], &[
            "ALTER TABLE t ADD c text",
            WORK,
            "UPDATE t SET c = 'c' || id",
            "ALTER TABLE t ADD d int NOT NULL DEFAULT 7",
            WORK,
            "ALTER TABLE t ALTER d SET DEFAULT 8, ALTER d DROP NOT NULL; INSERT INTO t (id) VALUES (500); UPDATE t SET d = NULL WHERE id < 5",
            "ALTER TABLE t ADD at timestamptz DEFAULT now(), ADD list int[] DEFAULT '{1,2}', ADD q text DEFAULT 'it''s \\ \"q\"'",
            WORK,
            "ALTER TABLE t DROP c",
            WORK,
            "ALTER TABLE t RENAME a TO x",
            "ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b; UPDATE t SET a = a || '!' WHERE id < 9",
            "BEGIN; UPDATE t SET b = b + 1; ALTER TABLE t ADD e int; UPDATE t SET e = b; ALTER TABLE t DROP b; UPDATE t SET e = e * 2; ALTER TABLE t RENAME e TO b; UPDATE t SET b = b + 1 WHERE id % 2 = 0; COMMIT",
            WORK,
                "ALTER TABLE t ADD v varchar(9) DEFAULT 'v'; ALTER TABLE t ALTER v TYPE varchar(20); UPDATE t SET v = 'longer than 9' WHERE id = 1",
            "ALTER TABLE t ALTER v TYPE text, ALTER q SET NOT NULL, ALTER q DROP DEFAULT; UPDATE t SET q = 'w' WHERE id = 2",
            "ALTER TABLE t ADD twice int GENERATED ALWAYS AS (b * 2) STORED; UPDATE t SET b = 3 WHERE id = 3",
            "ALTER TABLE t ALTER twice DROP EXPRESSION; UPDATE t SET twice = 9 WHERE id = 4",
            "BEGIN; ALTER TABLE t ADD never int; UPDATE t SET never = 1; ROLLBACK; UPDATE t SET b = 4 WHERE id = 5",
        ])
        .await
    });
}

#[test]
fn tables_come_and_go() {
    test(async {
        follow(T, &[], &[
            "CREATE TABLE n (id int PRIMARY KEY, t text DEFAULT 'x' NOT NULL, UNIQUE (t, id)); INSERT INTO n VALUES (1, 'a')",
            "BEGIN; CREATE TABLE m (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int REFERENCES n CHECK (n > 0)); INSERT INTO m (n) VALUES (1); COMMIT",
            "ALTER TABLE n RENAME TO \"N n\"; INSERT INTO \"N n\" VALUES (2, 'b'); UPDATE m SET n = 2",
            "CREATE SCHEMA s; ALTER TABLE \"N n\" SET SCHEMA s; INSERT INTO s.\"N n\" VALUES (3, 'c')",
            "ALTER SCHEMA s RENAME TO s2; INSERT INTO s2.\"N n\" VALUES (4, 'd'); UPDATE m SET n = 4",
            "DROP TABLE m, s2.\"N n\"; CREATE TABLE m (x text PRIMARY KEY); INSERT INTO m VALUES ('y')",
            "BEGIN; CREATE TABLE gone (id int PRIMARY KEY); INSERT INTO gone VALUES (1); DROP TABLE gone; COMMIT",
            "CREATE TABLE keyless (n int); ALTER TABLE keyless ADD PRIMARY KEY (n); INSERT INTO keyless VALUES (1), (2); DELETE FROM keyless WHERE n = 1",
        ])
        .await
    });
}

#[test]
fn keys_and_indexes_change() {
    test(async {
        follow(T, &[], &[
            "CREATE INDEX t_a ON t (a); CREATE UNIQUE INDEX t_b ON t (b) WHERE a > 3; CREATE INDEX t_lower ON t (lower(b))",
            "ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0), ADD CONSTRAINT one UNIQUE (a, b)",
            "ALTER INDEX t_a RENAME TO t_a2; ALTER TABLE t RENAME CONSTRAINT one TO two; ALTER TABLE t DROP CONSTRAINT positive",
            "DROP INDEX t_lower; ALTER TABLE t DROP CONSTRAINT two",
            "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (a); UPDATE t SET a = a + 100 WHERE a % 3 = 0; DELETE FROM t WHERE a = 1",
            "ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET b = 'x' || id WHERE id < 4; DELETE FROM t WHERE id = 5",
        ])
        .await
    });
}

#[test]
fn types_change() {
    test(async {
        let before = "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN price AS numeric(8,2) CHECK (VALUE > 0);
            CREATE TYPE pair AS (x int, y text);
            CREATE TABLE t (id int PRIMARY KEY, m mood, p price, q pair); INSERT INTO t VALUES (1, 'sad', 1.5, '(1,a)')";
        follow(before, &[], &[
            "ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy'",
            "INSERT INTO t VALUES (2, 'ok', 2, '(2,b)')",
            "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'; UPDATE t SET p = 3 WHERE id = 1",
            "ALTER TYPE mood RENAME TO feeling; INSERT INTO t VALUES (3, 'blue', 3, NULL)",
            "ALTER DOMAIN price DROP CONSTRAINT price_check; INSERT INTO t VALUES (4, NULL, -1, NULL)",
            "CREATE TYPE color AS ENUM ('red'); ALTER TABLE t ADD c color DEFAULT 'red'; UPDATE t SET m = 'ok'",
        ])
        .await
    });
}

#[test]
fn partitions_come_and_go() {
    test(async {
        let before = "CREATE TABLE p (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); INSERT INTO p VALUES (1, '2026-05-05')";
        follow(before, &[], &[
            "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2027-01-01') TO ('2028-01-01'); INSERT INTO p VALUES (2, '2027-05-05')",
            "ALTER TABLE p ADD n int DEFAULT 3; INSERT INTO p VALUES (3, '2027-06-05', 4); UPDATE p SET at = '2026-06-06' WHERE id = 2",
            "ALTER TABLE p RENAME n TO m; UPDATE p SET m = 5 WHERE id = 1; CREATE INDEX p_m ON p (m)",
            "CREATE TABLE apart (id int, at date, m int DEFAULT 3, PRIMARY KEY (id, at)); INSERT INTO apart VALUES (7, '2028-02-02', 1)",
            "ALTER TABLE p ATTACH PARTITION apart FOR VALUES FROM ('2028-01-01') TO ('2029-01-01'); INSERT INTO p VALUES (8, '2028-03-03', 1)",
            "ALTER TABLE p DETACH PARTITION p1; UPDATE p1 SET m = 6; UPDATE p SET m = 7",
            "CREATE TABLE left_over (id int PRIMARY KEY); DROP TABLE p2; DROP TABLE p; DROP TABLE p1",
        ])
        .await
    });
}

#[test]
fn tables_without_a_key_are_followed_where_that_is_wanted() {
    test(async {
        follow(T, &["--keyless", "full"], &[
            "CREATE TABLE k (n int); INSERT INTO k VALUES (1), (1), (2)",
            "DELETE FROM k WHERE ctid = (SELECT min(ctid) FROM k); UPDATE k SET n = 3 WHERE n = 2",
        ])
        .await
    });
}

/// It carries what capture notes for itself, too.
#[test]
fn a_publication_for_all_tables_is_followed() {
    test(async {
        let before = format!("{T}; CREATE PUBLICATION mine FOR ALL TABLES");
        follow(&before, &["--publication", "mine"], &[
            "ALTER TABLE t ADD c int; UPDATE t SET c = id",
            "CREATE TABLE n (id int PRIMARY KEY); INSERT INTO n VALUES (1); UPDATE n SET id = 2",
            "CREATE TABLE f AS SELECT 1 AS id; ALTER TABLE f ADD PRIMARY KEY (id); INSERT INTO f VALUES (2)",
            "DROP TABLE n",
        ])
        .await
    });
}

#[test]
fn sequences_of_new_tables_follow() {
    test(async {
        let setup = recorded(T, &[]).await?;
        let store = setup.postgres("store").await?;
        setup.pull(&store).await?;
        let made = "CREATE TABLE n (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY); INSERT INTO n DEFAULT VALUES; INSERT INTO n DEFAULT VALUES";
        setup.master.execute(made).await?;
        eventually("the terminal's sequence is where the master's is", LIMIT, async || {
            setup.captured().await?;
            setup.pull(&store).await?;
            Ok(store.value("SELECT last_value FROM n_id_seq").await?.as_deref() == Some("2"))
        })
        .await
    });
}
