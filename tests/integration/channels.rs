//! Terminals with different channels, and transactions that span them.

use std::time::Duration;

use anyhow::Result;
use harness::{Cluster, Tables, test};

use crate::setup::{Options, Setup, Terminal};

pub(crate) const CONFIG: &str = r#"
[channels.sales]
tables = ["public.order_*"]

[channels.stock]
tables = ["warehouse.*"]
"#;

pub(crate) const TABLES: &str = "
    CREATE SCHEMA warehouse;
    CREATE TABLE order_lines (id int PRIMARY KEY, n int NOT NULL);
    CREATE TABLE warehouse.shelf (id int PRIMARY KEY, n int NOT NULL);
    CREATE TABLE elsewhere (id int PRIMARY KEY, n int NOT NULL);
    INSERT INTO order_lines SELECT i, 0 FROM generate_series(1, 20) i;
    INSERT INTO warehouse.shelf SELECT i, 0 FROM generate_series(1, 20) i;
    INSERT INTO elsewhere VALUES (1, 1)";

async fn setup() -> Result<Setup> {
    let options = Options { config: Some(CONFIG), ..Options::default() };
    Setup::on(Cluster::shared().await?, TABLES, options).await
}

#[test]
fn each_terminal_gets_its_channels_and_no_other() {
    test(async {
        let setup = setup().await?;
        let sales = setup.postgres("sales").await?.channels("sales");
        let stock = setup.sqlite("stock")?.channels("stock");
        let both = setup.postgres("both").await?.channels("sales,stock");
        for terminal in [&sales, &stock, &both] {
            setup.pull(terminal).await?;
        }
        setup
            .master
            .execute(
                "BEGIN; UPDATE order_lines SET n = 1; UPDATE warehouse.shelf SET n = 1;
                 UPDATE elsewhere SET n = 2; COMMIT; TRUNCATE order_lines, warehouse.shelf;
                 BEGIN; INSERT INTO warehouse.shelf VALUES (5, 5); INSERT INTO order_lines VALUES (5, 5); COMMIT",
            )
            .await?;
        setup.captured().await?;
        let orders = Tables::only(&["public.order_lines"]);
        let shelf = Tables::only(&["warehouse.shelf"]);
        for (terminal, tables) in
            [(&sales, &orders), (&stock, &shelf), (&both, &orders), (&both, &shelf)]
        {
            setup.pull(terminal).await?;
            terminal.equals(&setup.master, tables).await?;
        }
        let found = "SELECT count(*) FROM pg_class WHERE relname IN ('shelf', 'elsewhere') AND relkind = 'r'";
        assert_eq!(sales.value(found).await?.as_deref(), Some("0"));
        let found = "SELECT count(*) FROM sqlite_schema WHERE name IN ('order_lines', 'elsewhere')";
        assert_eq!(stock.value(found).await?.as_deref(), Some("0"));
        Ok(())
    });
}

/// Each transaction adds 1 to every row of both tables, so any reader that sees two values at
/// once sees a part of one.
#[test]
fn a_transaction_that_spans_channels_is_never_seen_in_part() {
    test(async {
        let setup = setup().await?;
        let both = setup.postgres("both").await?.channels("stock,sales");
        let file = setup.sqlite("file")?.channels("sales,stock");
        for terminal in [&both, &file] {
            setup.pull(terminal).await?;
        }
        let mut followers = Vec::new();
        for terminal in [&both, &file] {
            followers.push(terminal.command(&setup.relay.url())?.arg("--follow").spawn()?);
        }
        for round in 1..=60 {
            setup
                .master
                .execute(
                    "BEGIN; UPDATE order_lines SET n = n + 1; UPDATE warehouse.shelf SET n = n + 1; COMMIT",
                )
                .await?;
            look(&both, "warehouse.shelf").await?;
            look(&file, "\"warehouse.shelf\"").await?;
            if round % 20 == 0 {
                // A terminal killed in the middle shows no part either.
                for follower in &mut followers {
                    follower.kill()?;
                }
                look(&both, "warehouse.shelf").await?;
                look(&file, "\"warehouse.shelf\"").await?;
                for follower in &mut followers {
                    follower.start()?;
                }
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        drop(followers);
        setup.captured().await?;
        for terminal in [&both, &file] {
            setup.pull(terminal).await?;
            for table in ["public.order_lines", "warehouse.shelf"] {
                terminal.equals(&setup.master, &Tables::only(&[table])).await?;
            }
        }
        Ok(())
    });
}

async fn look(terminal: &Terminal, shelf: &str) -> Result<()> {
    let sql = format!(
        "SELECT count(DISTINCT n) FROM (SELECT n FROM order_lines UNION ALL SELECT n FROM {shelf}) t"
    );
    let values = terminal.value(&sql).await?;
    assert_eq!(values.as_deref(), Some("1"), "{} shows part of a transaction", terminal.name);
    Ok(())
}
