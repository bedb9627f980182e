//! `tailwater-terminal tail`: which changes it prints.

use anyhow::Result;
use harness::{Cluster, Process, ProcessBuilder, binary, eventually, test};
use serde_json::{Value, json};

use crate::{
    ending::says,
    setup::{LIMIT, Options, SOURCE, Setup},
};

/// From a position on.
fn tail(setup: &Setup, after: &str, more: &[&str]) -> Result<ProcessBuilder> {
    Ok(ProcessBuilder::new("tail", binary("tailwater-terminal")?)
        .args(["tail", "--relay", &setup.relay.url(), "--source-name", SOURCE, "--after", after])
        .args(more))
}

/// What it prints up to the last insert, which every choice has.
async fn printed(tail: &mut Process) -> Result<Vec<String>> {
    eventually("it prints the last one", LIMIT, async || Ok(tail.stdout().contains("last one")))
        .await?;
    let done = tail.stop().await?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    Ok(done.stdout.lines().map(str::to_owned).collect())
}

#[test]
fn only_the_tables_asked_for() {
    test(async {
        let sql = "CREATE SCHEMA shop; CREATE TABLE t (id int PRIMARY KEY, v text);
            CREATE TABLE shop.order_head (id int PRIMARY KEY); CREATE TABLE shop.order_line (id int PRIMARY KEY);
            CREATE TABLE shop.price (id int PRIMARY KEY)";
        let options = Options { capture: &["--ddl"], config: None };
        let setup = Setup::on(Cluster::shared().await?, sql, options).await?;
        let begin = setup.relay.head(SOURCE).await?.to_string();
        for sql in [
            "INSERT INTO shop.order_head VALUES (1); INSERT INTO shop.price VALUES (2); INSERT INTO t VALUES (3, 'x')",
            "ALTER TABLE shop.order_head ADD note text; ALTER TABLE shop.price ADD note text",
            "UPDATE t SET v = 'y'; DELETE FROM t; TRUNCATE shop.order_line, shop.price",
            "INSERT INTO shop.order_line VALUES (4)",
            "INSERT INTO t VALUES (5, 'last one')",
        ] {
            setup.master.execute(sql).await?;
        }
        setup.captured().await?;
        let of = async |more: &[&str]| printed(&mut tail(&setup, &begin, more)?.spawn()?).await;
        let all = of(&[]).await?;
        let some = of(&["--tables", "shop.order_*", "--tables", "public.t"]).await?;
        assert!(all.iter().any(|line| line.contains("insert shop.price")), "{all:?}");
        // Messages, such as capture's heartbeat, are of no table.
        let is_left_out = |line: &&String| {
            line.contains(" shop.price") && !line.contains("truncate") || line.contains(" message ")
        };
        let expected: Vec<&String> = all.iter().filter(|line| !is_left_out(line)).collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), expected);
        assert!(
            some.iter().any(|line| line.contains("schema shop.order_head: +note text")),
            "{some:?}"
        );
        assert!(some.iter().any(|line| line.contains("truncate")), "{some:?}");

        let t = of(&["--tables", "shop.nothing,public.t", "--json"]).await?;
        let t: Vec<Value> =
            t.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
        let kinds: Vec<&Value> = t.iter().map(|change| &change["kind"]).collect();
        assert_eq!(kinds, [&json!("insert"), &json!("update"), &json!("delete"), &json!("insert")]);
        assert!(t.iter().all(|change| change["table"] == json!("public.t")), "{t:?}");
        for wrong in ["t", ".t", "public."] {
            let done = tail(&setup, &begin, &["--tables", wrong])?.run(LIMIT).await?;
            says(&done, 2, &["--tables", &format!("'{wrong}' is not a table pattern")]);
        }
        Ok(())
    });
}
