//! What the event triggers write.

use anyhow::Context;
use harness::{Cluster, RelayProcess, capture, test};
use serde_json::{Value, json};

use super::{definitions, recorded, told};
use crate::{
    ending::says,
    setup::{LIMIT, Options, SOURCE, Setup, capture_command, slot_of},
};

const SHAPES: &str = r#"
CREATE SCHEMA "Odd Schema";
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN positive AS numeric(10,2) DEFAULT 1 NOT NULL CHECK (VALUE > 0);
CREATE DOMAIN more AS positive CHECK (VALUE > 1);
CREATE TYPE "Point 3" AS (x int, y numeric(5,1)[], m mood);
CREATE TYPE span AS RANGE (subtype = int);
CREATE TABLE plain (id int PRIMARY KEY, t text COLLATE "C" NOT NULL DEFAULT 'x', n numeric(12,3), at timestamptz DEFAULT now());
CREATE TABLE "Odd Schema"."Ta ""ble" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Co l" mood DEFAULT 'sad', d more,
    p "Point 3", ps "Point 3"[], s span, twice bigint GENERATED ALWAYS AS (1 * 2) STORED, UNIQUE ("Co l", d));
CREATE TABLE child (id serial PRIMARY KEY, of int REFERENCES plain, CHECK (of > 0), EXCLUDE USING btree (of WITH =));
CREATE INDEX child_of ON child (of DESC) WHERE of > 7;
CREATE UNIQUE INDEX child_lower ON child (abs(of));
CREATE TABLE parts (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE parts_2 PARTITION OF parts DEFAULT PARTITION BY LIST (id);
CREATE TABLE parts_2_a PARTITION OF parts_2 FOR VALUES IN (1, 2);
CREATE TABLE base (id int PRIMARY KEY); CREATE TABLE heir (id int PRIMARY KEY, t text) INHERITS (base);
CREATE TABLE grown (id int PRIMARY KEY); INSERT INTO grown VALUES (1);
ALTER TABLE grown ADD dropped int, ADD n int DEFAULT 7, ADD a int[] DEFAULT '{1,2}', ADD t text DEFAULT 'a"b\c';
ALTER TABLE grown DROP dropped;
CREATE TABLE bare (n int); ALTER TABLE bare REPLICA IDENTITY FULL;
CREATE TABLE by_index (k text NOT NULL, n int); CREATE UNIQUE INDEX by_index_k ON by_index (k);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_k;
"#;

/// The triggers and a copy read tables by the same queries, but put them together each in its own way.
#[test]
fn it_is_what_a_copy_reads() {
    test(async {
        let setup = recorded(SHAPES, &[]).await?;
        let read = definitions(&setup).await?;
        let sql = "SELECT jsonb_object_agg(oid, definition) FROM tailwater.ddl_tables";
        let noted: Value = serde_json::from_str(&setup.master.value(sql).await?.context("none")?)?;
        let tables = read["tables"].as_array().context("tables")?;
        assert_eq!(noted.as_object().map(serde_json::Map::len), Some(tables.len()));
        for table in tables {
            let noted = &noted[table["oid"].to_string()];
            assert_eq!(&noted["tables"][0], table);
            for (list, key) in [("types", "oid"), ("extensions", "name")] {
                for of in noted[list].as_array().context("list")? {
                    let all = read[list].as_array().context("list")?;
                    assert_eq!(all.iter().find(|other| other[key] == of[key]), Some(of));
                }
            }
            for of in noted["sequences"].as_array().context("sequences")? {
                let all = read["sequences"].as_array().context("sequences")?;
                let same = |other: &&Value| {
                    (&other["schema"], &other["name"]) == (&of["schema"], &of["name"])
                };
                let mut other = all.iter().find(same).context("no such sequence")?.clone();
                other["last"] = Value::Null;
                assert_eq!(&other, of);
            }
            for schema in noted["schemas"].as_array().context("schemas")? {
                assert!(read["schemas"].as_array().unwrap().contains(schema));
            }
        }
        let odd = tables.iter().find(|table| table["schema"] == "Odd Schema").context("odd")?;
        let types = &noted[odd["oid"].to_string()]["types"];
        let names: Vec<&str> =
            types.as_array().unwrap().iter().filter_map(|of| of["name"].as_str()).collect();
        let at = |name: &str| names.iter().position(|of| *of == name).unwrap();
        assert!(at("mood") < at("Point 3") && at("positive") < at("more"), "{names:?}");
        Ok(())
    });
}

/// Table, what it was called before and is after, whether rows are needed: of each record.
fn outline(record: &Value) -> Value {
    let name = |state: &Value| {
        let table = &state["tables"][0];
        let columns: Vec<&Value> = table["columns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|column| &column["name"])
            .collect();
        if state.is_null() { Value::Null } else { json!([table["schema"], table["name"], columns]) }
    };
    let flag = |flag: &str| record[flag].as_bool().unwrap_or(false);
    json!([name(&record["before"]), name(&record["after"]), flag("dropped"), flag("rows_needed")])
}

#[test]
fn each_statement_tells_what_it_changed() {
    test(async {
        let before = "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 2);
            CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE m (id int PRIMARY KEY, m mood)";
        let setup = recorded(before, &["--tables", "public.*,new.*"]).await?;
        let t = |columns: &[&str]| json!(["public", "t", columns]);
        let mut seen = 0;
        for (sql, expected) in [
            (
                "ALTER TABLE t ADD b text",
                vec![json!([t(&["id", "a"]), t(&["id", "a", "b"]), false, false])],
            ),
            (
                "COMMENT ON TABLE t IS 'x'; GRANT SELECT ON t TO PUBLIC; ANALYZE t; CREATE TEMP TABLE u (a int); SELECT 1 AS x INTO TEMP v",
                vec![],
            ),
            (
                "ALTER TABLE t RENAME b TO c",
                vec![json!([t(&["id", "a", "b"]), t(&["id", "a", "c"]), false, false])],
            ),
            (
                "ALTER TABLE t ADD d uuid DEFAULT gen_random_uuid()",
                vec![json!([t(&["id", "a", "c"]), t(&["id", "a", "c", "d"]), false, true])],
            ),
            (
                "ALTER TABLE t ALTER a TYPE text USING a || 'x'",
                vec![json!([t(&["id", "a", "c", "d"]), t(&["id", "a", "c", "d"]), false, true])],
            ),
            (
                "ALTER TABLE t ADD g text GENERATED ALWAYS AS (a || 'y') STORED",
                vec![json!([
                    t(&["id", "a", "c", "d"]),
                    t(&["id", "a", "c", "d", "g"]),
                    false,
                    false
                ])],
            ),
            (
                "ALTER TABLE t DROP c, DROP g",
                vec![json!([t(&["id", "a", "c", "d", "g"]), t(&["id", "a", "d"]), false, false])],
            ),
            (
                "CREATE INDEX t_a ON t (a)",
                vec![json!([t(&["id", "a", "d"]), t(&["id", "a", "d"]), false, false])],
            ),
            (
                "DROP INDEX t_a",
                vec![json!([t(&["id", "a", "d"]), t(&["id", "a", "d"]), false, false])],
            ),
            (
                "ALTER TYPE mood ADD VALUE 'happy'",
                vec![json!([
                    ["public", "m", ["id", "m"]],
                    ["public", "m", ["id", "m"]],
                    false,
                    false
                ])],
            ),
            ("BEGIN; ALTER TABLE t ADD z int; ROLLBACK", vec![]),
            (
                "CREATE SCHEMA new; CREATE TABLE new.n (id int PRIMARY KEY)",
                vec![json!([null, ["new", "n", ["id"]], false, false])],
            ),
            (
                "CREATE SCHEMA other; CREATE TABLE other.n (id int PRIMARY KEY); CREATE TABLE keyless (id int)",
                vec![],
            ),
            (
                "ALTER TABLE keyless ADD PRIMARY KEY (id)",
                vec![json!([null, ["public", "keyless", ["id"]], false, false])],
            ),
            (
                "CREATE TABLE filled AS SELECT 1 AS id; ALTER TABLE filled ADD PRIMARY KEY (id)",
                vec![json!([null, ["public", "filled", ["id"]], false, true])],
            ),
            (
                "ALTER SCHEMA new RENAME TO new2",
                vec![json!([["new", "n", ["id"]], ["new2", "n", ["id"]], false, false])],
            ),
            (
                "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
                vec![
                    json!([null, ["public", "p", ["id"]], false, false]),
                    json!([null, ["public", "p1", ["id"]], false, false]),
                ],
            ),
            (
                "ALTER TABLE p ADD x int",
                vec![
                    json!([["public", "p", ["id"]], ["public", "p", ["id", "x"]], false, false]),
                    json!([["public", "p1", ["id"]], ["public", "p1", ["id", "x"]], false, false]),
                ],
            ),
            (
                "ALTER TABLE p DETACH PARTITION p1",
                vec![json!([
                    ["public", "p1", ["id", "x"]],
                    ["public", "p1", ["id", "x"]],
                    false,
                    false
                ])],
            ),
            (
                "CREATE TABLE other.late (id int PRIMARY KEY, x int); INSERT INTO other.late VALUES (9, 9); ALTER TABLE p ATTACH PARTITION other.late FOR VALUES IN (9)",
                vec![json!([null, ["other", "late", ["id", "x"]], false, true])],
            ),
            (
                "ALTER TABLE p DETACH PARTITION other.late",
                vec![
                    json!([
                        ["other", "late", ["id", "x"]],
                        ["other", "late", ["id", "x"]],
                        false,
                        false
                    ]),
                    json!([["other", "late", ["id", "x"]], null, false, false]),
                ],
            ),
            (
                "DROP TABLE p, m CASCADE",
                vec![
                    json!([["public", "m", ["id", "m"]], null, true, false]),
                    json!([["public", "p", ["id", "x"]], null, true, false]),
                ],
            ),
        ] {
            setup.master.execute(sql).await?;
            let told = told(&setup.master).await?;
            let mut new: Vec<Value> = told[seen..].iter().map(outline).collect();
            seen = told.len();
            let mut expected = expected;
            if sql.starts_with("DROP TABLE") {
                new.sort_by_key(Value::to_string);
                expected.sort_by_key(Value::to_string);
            }
            assert_eq!(json!(new), json!(expected), "{sql}");
        }
        Ok(())
    });
}

/// Only a superuser's triggers write there; who owns a table of that name elsewhere could have anything run at
/// the terminals.
#[test]
fn a_table_that_only_looks_like_ours_stops_capture() {
    test(async {
        let before = "CREATE TABLE mine (id int PRIMARY KEY, change jsonb); CREATE TABLE t (id int PRIMARY KEY)";
        let mut setup = Setup::shared(before).await?;
        let sql = "CREATE SCHEMA tailwater; ALTER TABLE mine SET SCHEMA tailwater; ALTER TABLE tailwater.mine RENAME TO schema_changes;
            INSERT INTO tailwater.schema_changes VALUES (1, '{}')";
        setup.master.execute(sql).await?;
        let ended = setup.capture.wait(LIMIT).await?;
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        assert!(ended.stderr.contains("tailwater.schema_changes (OID"), "{}", ended.stderr);
        Ok(())
    });
}

#[test]
fn what_somebody_else_owns_is_refused() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        let role = format!("owner_{}", master.name());
        let sql = format!(
            "CREATE ROLE {role}; CREATE SCHEMA tailwater AUTHORIZATION {role}; CREATE TABLE t (id int PRIMARY KEY)"
        );
        master.execute(&sql).await?;
        let relay = RelayProcess::builder().start().await?;
        let ended = capture_command(&master, &relay.url())?.arg("--ddl").run(LIMIT).await?;
        master.execute(&format!("DROP SCHEMA tailwater; DROP ROLE {role}")).await?;
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("the schema tailwater belongs to the role"),
            "{}",
            ended.stderr
        );
        Ok(())
    });
}

/// Terminals do what the records say: nobody else may write them. One capture of a database records, and the
/// publication has to carry it.
#[test]
fn what_others_could_write_or_record_already_is_refused() {
    test(async {
        let (master, relay) =
            (Cluster::shared().await?.database().await?, RelayProcess::builder().start().await?);
        let role = format!("writer_{}", master.name());
        master
            .execute(&format!(
                "CREATE ROLE {role}; CREATE TABLE t (id int PRIMARY KEY);
                 ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO {role}"
            ))
            .await?;
        let refused = async |args: &[&str], words: &[&str]| {
            let command = capture_command(&master, &relay.url())?.arg("--ddl").args(args);
            says(&command.run(LIMIT).await?, 2, words);
            let installed = "SELECT to_regclass('tailwater.schema_changes') IS NOT NULL";
            anyhow::Ok(master.value(installed).await?)
        };
        let what = "tailwater.schema_changes";
        let left = refused(&[], &[&role, "may write to", what, "REVOKE ALL"]).await?;
        assert_eq!(left.as_deref(), Some("f"));
        master
            .execute(&format!(
                "ALTER DEFAULT PRIVILEGES REVOKE INSERT ON TABLES FROM {role}; DROP ROLE {role};
                 CREATE PUBLICATION theirs FOR TABLE t"
            ))
            .await?;

        let theirs = ["--publication", "theirs"];
        let add = "ALTER PUBLICATION \"theirs\" ADD TABLE tailwater.schema_changes";
        let left = refused(&theirs, &["is not capture's own", add]).await?;
        assert_eq!(left.as_deref(), Some("f"));

        let options = Options { capture: &["--ddl"], config: None };
        let mut setup = Setup::with(master, relay, options).await?;
        let (slot, relay) = (slot_of(&setup.master), setup.relay.url());
        let own = setup.master.value("SELECT publication FROM tailwater.ddl_settings").await?;
        let own = own.unwrap_or_default();
        let other = capture(setup.master.url(), "other", &relay)?.args([
            "--ddl",
            "--publication",
            "theirs",
            "--slot",
            &format!("{slot}_other"),
        ]);
        let other = other.run(LIMIT).await?;
        says(&other, 2, &["recorded for the publication", &own, "tailwater-capture remove"]);
        setup.capture.stop().await?;
        Ok(())
    });
}

/// A database can be a terminal too: then a schema of that name is there, and a capture's role need not see into it.
#[test]
fn a_schema_that_the_role_may_not_see_into_is_no_hindrance() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        let role = format!("plain_{}", master.name());
        let sql = format!(
            "CREATE ROLE {role} LOGIN REPLICATION; CREATE SCHEMA tailwater; CREATE TABLE tailwater.ddl_settings (publication text);
             CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO {role}; GRANT CREATE ON DATABASE {} TO {role}; INSERT INTO t VALUES (1)",
            master.name()
        );
        master.execute(&sql).await?;
        let relay = RelayProcess::builder().start().await?;
        let url = master.url().replacen("postgres@", &format!("{role}@"), 1);
        let capture =
            capture(&url, SOURCE, &relay.url())?.args(["--slot", &slot_of(&master)]).spawn()?;
        let mut setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        setup.master.execute("INSERT INTO t VALUES (2)").await?;
        let store = setup.postgres("store").await?;
        setup.all_equal(&[&store]).await?;
        setup.capture.stop().await?;
        setup.master.drop_slot(&slot_of(&setup.master)).await?;
        let drop = format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}");
        setup.master.execute(&drop).await
    });
}
