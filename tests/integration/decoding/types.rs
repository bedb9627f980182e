//! Types and values that are seldom seen together.

use harness::{Cluster, test};

use super::{follows, follows_in};

#[test]
fn types_beyond_the_common_ones() {
    test(async {
        let before = "
            CREATE TYPE color AS ENUM ('red', 'green'); CREATE DOMAIN share AS numeric(5,4) CHECK (VALUE BETWEEN 0 AND 1);
            CREATE DOMAIN shares AS share[]; CREATE TYPE inner_pair AS (c color, s share); CREATE TYPE outer_pair AS (p inner_pair, l inner_pair[], t text);
            CREATE TYPE span AS RANGE (subtype = float8);
            CREATE TABLE v (
                id int PRIMARY KEY, nm name, ch \"char\", o oid, rc regclass, rt regtype, x8 xid8, tq tsquery, jp jsonpath,
                ci circle, ls lseg, pa path, bx box, ln line, m8 macaddr8, txs txid_snapshot, dr daterange, nr numrange, tr tstzrange, i8r int8range,
                dm datemultirange, sp span, sh share, shs shares, ip inner_pair, op outer_pair, ops outer_pair[], iva interval[], moa money[], jba jsonb[],
                bya bytea[], ta text[], ua uuid[], ba bool[], ra int4range[], n0 numeric(30,0), nn numeric(8,-2), vb varbit(70), tz3 timestamptz(3), ti0 time(0), bc char)";
        let insert = |id: u32| {
            format!(
                "INSERT INTO v VALUES ({id}, 'pg_class', '\\001', 4294967295, 'pg_class', 'int4[]', '18446744073709551615', 'fat & (rat | !cat)', '$.a[*] ? (@.x > 1)',
                 '<(1,2),3.5>', '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '(1,1),(0,0)', '{{1,-1,0}}', '08:00:2b:01:02:03:04:05', '10:20:10,14,15',
                 '[2024-01-01,infinity)', '(,5.5]', '[\"2024-01-01 00:00:00+02\",)', '[1,9223372036854775807)', '{{[2024-01-01,2024-02-01),[2025-01-01,)}}', '[1.5,1e300]',
                 0.1234, '{{0.1,NULL,1}}', '(red,0.5)', '(\"(green,1)\",\"{{\"\"(red,)\"\",NULL}}\",\"a \"\"b\"\" \\\\\\\\ c\")',
                 ARRAY[ROW(ROW('red', 0)::inner_pair, NULL, '')::outer_pair, NULL], '{{1 day,-00:00:01}}', '{{1.5,-2}}', ARRAY['{{\"a\": 1}}'::jsonb, 'null', NULL],
                 ARRAY[''::bytea, '\\x00ff', NULL], '[0:1][-1:0]={{{{a,b}},{{c,NULL}}}}', '{{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}}', '{{t,f,NULL}}', '{{\"[1,5)\",empty}}',
                 123456789012345678901234567890, 98765, B'1', '2024-01-01 00:00:00.9996+00', '23:59:59.7', ' '),
                 ({}, '', '', 0, NULL, NULL, '0', '', '$', NULL, NULL, '[(0,0)]', NULL, NULL, NULL, NULL, 'empty', 'empty', '(,)', NULL, '{{}}', NULL, NULL, '{{}}', '(,)', '(,,)',
                 '{{}}', '{{}}', NULL, '{{}}', '{{}}', '{{\"\",\"NULL\",\"\\\\\\\"\"}}', NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL)",
                id + 1
            )
        };
        let (copied, streamed) = (format!("{before}; {}", insert(1)), insert(3));
        let major =
            Cluster::shared().await?.database().await?.value("SHOW server_version_num").await?;
        // A negative scale came with 15.
        let fits = |sql: String| match major.as_deref() {
            Some(version) if *version < *"150000" => sql.replace("numeric(8,-2)", "numeric(8,0)"),
            _ => sql,
        };
        let (copied, streamed) = (fits(copied), fits(streamed));
        let after = [
            streamed.as_str(),
            "UPDATE v SET id = id + 10",
            "UPDATE v SET ch = 'x', ta = ta || '{y}' WHERE id = 12",
            "DELETE FROM v WHERE id IN (11, 14)",
        ];
        follows(&copied, &[], &after).await.map(drop)
    });
}

/// The longest numbers, every byte, and texts that look like something else.
#[test]
fn values_at_the_limits_of_what_can_be_written() {
    test(async {
        let before = "
            CREATE TABLE v (id int PRIMARY KEY, n numeric, b bytea, t text, c char(3));
            INSERT INTO v VALUES (1, repeat('9', 131072)::numeric, NULL, E'\\\\N', 'a'), (2, ('0.' || repeat('7', 16383))::numeric, '', '\\.', '')";
        let bytes = "INSERT INTO v SELECT 100 + i, NULL, decode(lpad(to_hex(i), 2, '0'), 'hex') || decode('5c5c785c303030', 'hex'), CASE WHEN i > 0 THEN chr(i) END, 'x' FROM generate_series(0, 255) i";
        let after = [
            bytes,
            "INSERT INTO v VALUES (3, '-0', NULL, 'NULL', NULL), (4, 1e-200, NULL, E'\\t\\n\\r\\b\\f\\v', NULL), (5, NULL, NULL, '{\"a\": \"\\u0041\"}', NULL), (6, NULL, NULL, U&'\\+01F600 \\FFFD', NULL)",
            "UPDATE v SET n = -n WHERE id = 1",
            "UPDATE v SET t = t || t, b = b || b",
        ];
        follows(before, &[], &after).await.map(drop)
    });
}

/// Values of types that have no `=`, among them rows that differ in nothing else.
#[test]
fn keyless_rows_of_types_without_equality() {
    test(async {
        let before = "
            CREATE TABLE odd (j json, x xml, p point, pl polygon, n numeric, f float8, c char(4));
            INSERT INTO odd VALUES ('{\"a\":1}', '<a/>', '(1,2)', '((0,0),(1,1),(1,0))', 1.0, 'NaN', 'a'),
                ('{\"a\": 1}', '<a />', '(1,2)', '((0,0),(1,1),(1,0))', 1.00, '-0', 'a '), (NULL, NULL, NULL, NULL, NULL, NULL, NULL)";
        let after = [
            "UPDATE odd SET n = n + 1 WHERE j::text = '{\"a\": 1}'",
            "DELETE FROM odd WHERE x::text = '<a/>'",
            "INSERT INTO odd SELECT * FROM odd; UPDATE odd SET c = 'z' WHERE ctid = (SELECT max(ctid) FROM odd)",
            "DELETE FROM odd WHERE ctid = (SELECT min(ctid) FROM odd WHERE j IS NULL)",
        ];
        follows(before, &["--keyless", "full"], &after).await.map(drop)
    });
}

/// Types go by name: the terminal's have other OIDs, and so has one that was made again.
#[test]
fn a_type_that_is_dropped_and_made_again() {
    test(async {
        let before = "
            CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (id int PRIMARY KEY, m mood, ms mood[]);
            INSERT INTO t VALUES (1, 'sad', '{ok,sad}')";
        let again = "
            BEGIN; ALTER TABLE t ALTER m TYPE text, ALTER ms TYPE text[]; DROP TYPE mood; CREATE TYPE mood AS ENUM ('ok', 'sad');
            ALTER TABLE t ALTER m TYPE mood USING m::mood, ALTER ms TYPE mood[] USING ms::mood[]; COMMIT";
        let after = [
            "UPDATE t SET m = 'ok'",
            again,
            "INSERT INTO t VALUES (2, 'ok', '{sad,NULL}'); UPDATE t SET m = 'sad', id = id + 10",
        ];
        follows(before, &[], &after).await.map(drop)
    });
}

/// Where they can be installed.
#[test]
fn types_of_extensions() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        let there = "SELECT count(*) FROM pg_available_extensions WHERE name IN ('hstore', 'citext', 'ltree')";
        if master.value(there).await?.as_deref() != Some("3") {
            return Ok(());
        }
        let before = "
            CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION ltree SCHEMA ext;
            CREATE TABLE e (id ext.citext PRIMARY KEY, h ext.hstore, l ext.ltree, hs ext.hstore[], cs ext.citext[]);
            INSERT INTO e VALUES ('Key', 'a=>1, \"b c\"=>NULL', 'Top.Child', ARRAY['x=>y'::ext.hstore], '{A,b}')";
        let after = [
            "INSERT INTO e VALUES ('other', '', '', '{}', NULL)",
            "UPDATE e SET id = 'KEY', h = h OPERATOR(ext.||) 'q=>\"\\\"\"' WHERE id OPERATOR(ext.=) 'key'",
            "DELETE FROM e WHERE id OPERATOR(ext.=) 'OTHER'",
        ];
        follows_in(master, before, &[], &after).await.map(drop)
    });
}
