use anyhow::{Result, ensure};
use harness::{Cluster, Database, test};
use terminal_client::postgres::{PostgresTarget, Server};
use wire::Definitions;

use super::{
    stage::{Stage, all},
    statements::{COLUMNS, ITEMS, KEYS_AND_NAMES, PARTITIONS, TYPES, UNHEARD, WHOLE},
};

/// What a target should have in common with its master: all but numbers and what is only the master's.
fn comparable(mut all: Definitions) -> Definitions {
    for of in &mut all.types {
        of.oid = 0;
    }
    all.types.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    for table in &mut all.tables {
        table.oid = 0;
        table.replica_identity = 'd';
        table.identity_columns.clear();
        table.constraints.sort_by(|a, b| a.name.cmp(&b.name));
        for column in &mut table.columns {
            (column.number, column.missing) = (0, None);
        }
    }
    all.tables.sort_by_key(ToString::to_string);
    for sequence in &mut all.sequences {
        sequence.last = None;
    }
    all.sequences.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    all
}

async fn rows(database: &Database, all: &Definitions) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for table in &all.tables {
        let name = format!("\"{}\".\"{}\"", table.schema, table.name);
        let sql = format!("SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM {name} t");
        rows.push(format!("{name}: {}", database.value(&sql).await?.unwrap_or_default()));
    }
    Ok(rows)
}

/// Runs statements on a master and compares after each.
async fn same(setup: &str, statements: &[&str]) -> Result<Database> {
    let target = Cluster::shared().await?.database().await?;
    target.execute("CREATE PUBLICATION everything FOR ALL TABLES").await?;
    let opened = PostgresTarget::open(&Server::from_url(target.url())?).await?;
    let mut stage = Stage::new(setup, opened).await?;
    for sql in [""].iter().chain(statements) {
        stage.run(sql).await?;
        let (there, here) = (all(&stage.master).await?, all(&target).await?);
        let (want, found) = (rows(&stage.master, &there).await?, rows(&target, &there).await?);
        let (there, here) = (comparable(there), comparable(here));
        for (there, here) in there.tables.iter().zip(&here.tables) {
            ensure!(there == here, "after {sql}\nmaster {there:#?}\ntarget {here:#?}");
        }
        ensure!(there == here, "after {sql}\nmaster {there:#?}\ntarget {here:#?}");
        ensure!(want == found, "after {sql}\nmaster {want:#?}\ntarget {found:#?}");
    }
    Ok(target)
}

#[test]
fn columns() {
    test(async {
        drop(same(ITEMS, COLUMNS).await?);
        Ok(())
    });
}

#[test]
fn keys_and_names() {
    test(async {
        drop(same(ITEMS, KEYS_AND_NAMES).await?);
        Ok(())
    });
}

#[test]
fn types() {
    test(async {
        drop(same(ITEMS, TYPES).await?);
        drop(same(ITEMS, &["ALTER TYPE place DROP ATTRIBUTE street"]).await?);
        Ok(())
    });
}

#[test]
fn partitions() {
    test(async {
        drop(same(WHOLE, PARTITIONS).await?);
        Ok(())
    });
}

#[test]
fn unheard_of() {
    test(async {
        let target = Cluster::shared().await?.database().await?;
        let opened = PostgresTarget::open(&Server::from_url(target.url())?).await?;
        let mut stage = Stage::new(ITEMS, opened).await?;
        // A column that goes or gets another name leaves one without values here.
        target.execute("ALTER TABLE items ADD COLUMN own int NOT NULL DEFAULT 1").await?;
        target.execute("ALTER TABLE items ALTER COLUMN own DROP DEFAULT").await?;
        stage.jump(UNHEARD).await?;
        target.execute("ALTER TABLE items DROP COLUMN own").await?;
        let of = all(&stage.master).await?;
        let (want, found) = (rows(&stage.master, &of).await?, rows(&target, &of).await?);
        ensure!(want == found, "master {want:#?}\ntarget {found:#?}");
        stage.run("ALTER TABLE items RENAME COLUMN b TO bb").await?;
        let of = all(&stage.master).await?;
        let (want, found) = (rows(&stage.master, &of).await?, rows(&target, &of).await?);
        ensure!(want == found, "master {want:#?}\ntarget {found:#?}");
        Ok(())
    });
}

/// What hangs on a table is named, and nothing is done.
#[test]
fn what_hangs_on_it() {
    test(async {
        for (own, sql, words) in [
            (
                "CREATE VIEW v AS SELECT a FROM items",
                "ALTER TABLE items DROP COLUMN a",
                "view public.v",
            ),
            (
                "CREATE VIEW v AS SELECT c FROM items",
                "ALTER TABLE items ALTER c TYPE text",
                "view public.v",
            ),
            (
                "CREATE TABLE mine (line int REFERENCES lines)",
                "DROP TABLE lines",
                "on table public.mine",
            ),
        ] {
            let target = Cluster::shared().await?.database().await?;
            let opened = PostgresTarget::open(&Server::from_url(target.url())?).await?;
            let mut stage = Stage::new(ITEMS, opened).await?;
            target.execute(own).await?;
            let error = format!("{:#}", stage.run(sql).await.unwrap_err());
            ensure!(
                error.contains(words) && error.contains("drop what hangs on it here"),
                "{error}"
            );
        }
        Ok(())
    });
}
