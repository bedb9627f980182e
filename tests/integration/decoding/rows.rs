//! Keys, large values, nulls, truncates, odd names, what was rolled back.

use harness::{Cluster, Tables, test};

use super::follows;
use crate::setup::{Options, Setup};

#[test]
fn unchanged_large_values_stay_also_when_the_key_changes() {
    test(async {
        let before = "
            CREATE TABLE doc (id int PRIMARY KEY, n int, body text, extra text);
            ALTER TABLE doc ALTER body SET STORAGE EXTERNAL, ALTER extra SET STORAGE EXTERNAL;
            INSERT INTO doc SELECT i, 0, repeat('b' || i, 5000), repeat('e' || i, 5000) FROM generate_series(1, 10) i;
            CREATE TABLE full_doc (id int, n int, body text);
            ALTER TABLE full_doc ALTER body SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
            INSERT INTO full_doc SELECT i, 0, repeat('f' || i, 5000) FROM generate_series(1, 10) i";
        let after = [
            "UPDATE doc SET n = 1",
            "UPDATE doc SET id = id + 100 WHERE id < 5",
            "UPDATE doc SET id = id + 1000, extra = 'short' WHERE id = 7",
            "BEGIN; UPDATE doc SET n = 2 WHERE id = 8; UPDATE doc SET body = 'new' WHERE id = 8; UPDATE doc SET n = 3 WHERE id = 8; COMMIT",
            "UPDATE full_doc SET n = 1 WHERE id < 5",
            "UPDATE full_doc SET id = id + 100 WHERE id = 6",
            "DELETE FROM full_doc WHERE id = 9",
        ];
        follows(before, &["--keyless", "full"], &after).await.map(drop)
    });
}

#[test]
fn keyless_rows_null_and_twice_are_touched_once() {
    test(async {
        let before = "
            CREATE TABLE bag (a int, b text, j json, p point);
            ALTER TABLE bag REPLICA IDENTITY FULL;
            INSERT INTO bag VALUES (1, NULL, '{\"a\": 1}', '(1,2)'), (1, NULL, '{\"a\": 1}', '(1,2)'), (NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL)";
        let after = [
            "DELETE FROM bag WHERE ctid = (SELECT min(ctid) FROM bag WHERE a = 1)",
            "DELETE FROM bag WHERE ctid = (SELECT min(ctid) FROM bag WHERE a IS NULL)",
            "UPDATE bag SET b = 'now' WHERE a IS NULL",
            "UPDATE bag SET a = a",
            "INSERT INTO bag SELECT 5, 'x', '[1, 2]', '(0,0)' FROM generate_series(1, 3)",
            "UPDATE bag SET b = 'y' WHERE ctid = (SELECT min(ctid) FROM bag WHERE a = 5)",
        ];
        follows(before, &[], &after).await.map(drop)
    });
}

#[test]
fn a_changed_key_leaves_no_orphan() {
    test(async {
        let before = "
            CREATE TABLE pair (a int, b text, n int, PRIMARY KEY (a, b));
            CREATE TABLE by_index (id int NOT NULL, other int, n int);
            CREATE UNIQUE INDEX by_index_id ON by_index (id);
            ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id;
            INSERT INTO pair SELECT i, 'x', i FROM generate_series(1, 9) i;
            INSERT INTO by_index SELECT i, i, i FROM generate_series(1, 9) i";
        let after = [
            "UPDATE pair SET a = a + 100 WHERE a < 4",
            "UPDATE pair SET b = 'y', n = n + 1",
            "BEGIN; UPDATE pair SET a = -1 WHERE a = 5; UPDATE pair SET a = 5 WHERE a = 6; UPDATE pair SET a = 6 WHERE a = -1; COMMIT",
            "UPDATE by_index SET id = id + 50 WHERE id % 2 = 0",
            "DELETE FROM by_index WHERE id = 1; DELETE FROM pair WHERE a = 7",
        ];
        follows(before, &[], &after).await.map(drop)
    });
}

#[test]
fn tables_are_truncated_together() {
    test(async {
        let before = "
            CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
            CREATE TABLE c (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text);
            INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1, 1), (2, 2); INSERT INTO c (t) VALUES ('x'), ('y')";
        let after = [
            "TRUNCATE a CASCADE",
            "INSERT INTO a VALUES (7); INSERT INTO b VALUES (7, 7)",
            "BEGIN; INSERT INTO c (t) VALUES ('gone'); TRUNCATE c RESTART IDENTITY; INSERT INTO c (t) VALUES ('first'); COMMIT",
            "TRUNCATE a, b, c",
            "INSERT INTO c (t) VALUES ('last')",
        ];
        follows(before, &[], &after).await.map(drop)
    });
}

#[test]
fn odd_names_and_equal_names() {
    test(async {
        let long = "x".repeat(63);
        let before = format!(
            "CREATE SCHEMA \"Ödd schema\"; CREATE SCHEMA two;
             CREATE TABLE \"Ödd schema\".\"Ta\"\"ble 'q'\" (\"Id\" int PRIMARY KEY, \"select\" text, \"ünï cödé\" text, \"{long}\" int);
             CREATE TABLE same (id int PRIMARY KEY, t text); CREATE TABLE two.same (id int PRIMARY KEY, t text);
             INSERT INTO \"Ödd schema\".\"Ta\"\"ble 'q'\" VALUES (1, 'a', 'b', 2);
             INSERT INTO same VALUES (1, 'public'); INSERT INTO two.same VALUES (1, 'two')"
        );
        let update =
            format!("UPDATE \"Ödd schema\".\"Ta\"\"ble 'q'\" SET \"select\" = 'ß', \"{long}\" = 3");
        let after = [
            update.as_str(),
            "INSERT INTO \"Ödd schema\".\"Ta\"\"ble 'q'\" VALUES (2, E'\\\\ \\n \\t', '', NULL)",
            "UPDATE same SET t = 'one'; UPDATE two.same SET t = 'zwei'",
        ];
        follows(&before, &[], &after).await.map(drop)
    });
}

#[test]
fn values_at_the_edge_of_their_types() {
    test(async {
        let before = "
            CREATE TYPE mood AS ENUM ('sad', 'ok', 'hap''py');
            CREATE DOMAIN posint AS int CHECK (VALUE > 0);
            CREATE TYPE pair AS (a int, b text);
            CREATE TABLE v (
                id int PRIMARY KEY, i2 int2, i8 int8, n numeric, n2 numeric(12,2), n0 numeric(10,0), f4 float4, f8 float8, b bool,
                t text, vc varchar(20), c char(5), by bytea, d date, tm time, ttz timetz, ts timestamp, tstz timestamptz, iv interval,
                u uuid, j json, jb jsonb, x xml, ai int[], at text[], am mood[], m mood, p posint, pr pair, ir int4range, mr int4multirange,
                bi bit(4), vb varbit, ip inet, ci cidr, mac macaddr, mo money, ts_v tsvector, pt point, pl polygon, lsn pg_lsn)";
        let insert = |id: u32| {
            format!(
                "INSERT INTO v (id, i2, i8, n, n2, n0, f4, f8, b, t, vc, c, by, d, tm, ttz, ts, tstz, iv, u, j, jb, x, ai, at, am, m, p, pr, ir, mr, bi, vb, ip, ci, mac, mo, ts_v, pt, pl, lsn) VALUES
                 ({id}, -32768, -9223372036854775808, 'NaN', -0.01, 1234567890, '-Infinity', 'NaN', true, '', 'vär', 'c', decode('000102ff5c27', 'hex'),
                  '0044-03-15 BC', '24:00:00', '12:00:00.000001+05:30', 'infinity', '-infinity', '-1 year 2 mons -3 days 04:05:06.000007',
                  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{{\"a\" :  1}}', '{{\"b\": [1, null]}}', '<a>x</a>', '{{1,NULL,3}}', '{{\"a,b\",NULL,\"NULL\",\"\"}}', '{{sad,\"hap''py\"}}',
                  'hap''py', 1, '(1,\"x,y\")', '[1,5)', '{{[1,3),[5,7)}}', B'1010', B'101', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '-12.34', 'a:1 b:2', '(1.5,-2)', '((0,0),(1,1),(1,0))', '16/B374D848'),
                 ({}, 1, 9223372036854775807, repeat('9', 1000)::numeric, NULL, NULL, '1e-40', -0.0, false, E'a\\tb\\nc\\\\d', '', '', '', 'infinity', '00:00', NULL, '2024-02-29 23:59:59.999999', '0001-01-01 00:00:00+00 BC', '0',
                  NULL, 'null', '\"x\"', NULL, '{{}}', '{{{{a,b}},{{c,d}}}}', '{{}}', NULL, NULL, NULL, 'empty', '{{}}', NULL, B'', '::1', NULL, NULL, NULL, '', NULL, NULL, '0/0')",
                id + 1
            )
        };
        let (copied, streamed) = (format!("{before}; {}", insert(1)), insert(3));
        let after = [
            streamed.as_str(),
            "UPDATE v SET id = id + 10",
            "UPDATE v SET t = t || 'x' WHERE id = 11",
        ];
        follows(&copied, &[], &after).await.map(drop)
    });
}

#[test]
fn generated_identity_and_partitioned_tables() {
    test(async {
        let before = "
            CREATE TABLE g (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
            CREATE TABLE parts (id int, region text, n int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
            CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu'); CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
            CREATE TABLE parent (id int PRIMARY KEY, t text); CREATE TABLE child (PRIMARY KEY (id), extra int) INHERITS (parent);
            INSERT INTO g (a) VALUES (1), (2); INSERT INTO parts VALUES (1, 'eu', 1), (2, 'us', 2);
            INSERT INTO parent VALUES (1, 'p'); INSERT INTO child VALUES (2, 'c', 3)";
        let after = [
            "INSERT INTO g (a) VALUES (3); UPDATE g SET a = 10 WHERE id = 1",
            "UPDATE parts SET region = 'us' WHERE id = 1; INSERT INTO parts VALUES (3, 'eu', 3); UPDATE parts SET n = n + 1",
            "UPDATE parent SET t = t || '!'",
        ];
        follows(before, &[], &after).await.map(drop)
    });
}

#[test]
fn what_was_rolled_back_or_not_logged_does_not_arrive() {
    test(async {
        let before = "
            CREATE TABLE t (id int PRIMARY KEY, n int); CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY);
            INSERT INTO t VALUES (1, 1)";
        let after = [
            "BEGIN; INSERT INTO t VALUES (2, 2); SAVEPOINT s; INSERT INTO t VALUES (3, 3); UPDATE t SET n = 9; ROLLBACK TO s; INSERT INTO t VALUES (4, 4); COMMIT",
            "BEGIN; INSERT INTO t VALUES (5, 5); ROLLBACK",
            "BEGIN; INSERT INTO t VALUES (6, 6); PREPARE TRANSACTION 'later'",
            "BEGIN; INSERT INTO t VALUES (7, 7); PREPARE TRANSACTION 'never'",
            "INSERT INTO scratch VALUES (1); CREATE TEMP TABLE tmp (id int PRIMARY KEY); INSERT INTO tmp VALUES (1)",
        ];
        let options = Options::default();
        // A prepared transaction would hold up the slots of other tests.
        let cluster = Cluster::builder().without_fsync().start().await?;
        let setup = Setup::on(&cluster, before, options).await?;
        let terminal = setup.postgres("store").await?;
        for sql in after {
            setup.master.execute(sql).await?;
        }
        let logged = Tables::only(&["public.t"]);
        setup.captured().await?;
        setup.pull(&terminal).await?;
        terminal.equals(&setup.master, &logged).await?;
        let count = "SELECT string_agg(id::text, ',' ORDER BY id) FROM t";
        assert_eq!(terminal.value(count).await?.as_deref(), Some("1,2,4"));
        setup.master.execute("ROLLBACK PREPARED 'never'").await?;
        setup.master.execute("COMMIT PREPARED 'later'").await?;
        setup.captured().await?;
        setup.pull(&terminal).await?;
        terminal.equals(&setup.master, &logged).await?;
        assert_eq!(terminal.value(count).await?.as_deref(), Some("1,2,4,6"));
        Ok(())
    });
}

/// A hundred thousand subtransactions in one transaction, some of them rolled back; and very many
/// transactions that change nothing here.
#[test]
fn very_many_parts_and_very_many_empty_transactions() {
    test(async {
        let before = "
            CREATE TABLE t (id int PRIMARY KEY, n int); CREATE UNLOGGED TABLE elsewhere (n int);
            INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i";
        let parts = "
            DO $$ BEGIN FOR i IN 1..100000 LOOP
                BEGIN
                    INSERT INTO elsewhere VALUES (i);
                    UPDATE t SET n = n + 1 WHERE i % 5 = 0 AND id = i % 100 + 1;
                    IF i % 10 = 0 THEN RAISE EXCEPTION 'back'; END IF;
                EXCEPTION WHEN raise_exception THEN NULL;
                END;
            END LOOP; END $$";
        let empty = "
            DO $$ BEGIN FOR i IN 1..20000 LOOP INSERT INTO elsewhere VALUES (i); COMMIT; END LOOP; END $$";
        let setup =
            follows(before, &[], &[parts, empty, "UPDATE t SET n = -n WHERE id < 5"]).await?;
        let sum = setup.master.value("SELECT sum(abs(n)) FROM t").await?;
        assert_eq!(sum.as_deref(), Some("10000"));
        Ok(())
    });
}
