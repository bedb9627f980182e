use anyhow::Result;

use super::{Comparison, Tables, compare_postgres, compare_sqlite};
use crate::{postgres::Cluster, scratch::Scratch, test::test};

const SCHEMA: &str = r#"
    CREATE SCHEMA shop;
    CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric(12,2), at timestamptz, tags text[], raw bytea);
    CREATE TABLE shop."Order Lines" ("Item" integer, flag boolean, weight float8);
    INSERT INTO items VALUES
        (1, 'tab	and "quote"', 1.50, '2024-01-01 10:00:00.5+02', '{a,NULL,"b c"}', '\x00ff'),
        (2, NULL, NULL, NULL, '{}', '');
    INSERT INTO shop."Order Lines" VALUES (1, true, 0.1), (1, true, 0.1), (2, false, 'Infinity');
"#;

fn differing(comparison: &Comparison) -> Vec<&str> {
    let differing = comparison.tables.iter().filter(|table| table.difference.is_some());
    differing.map(|table| table.table.as_str()).collect()
}

#[test]
fn postgres_finds_planted_differences() {
    test(async {
        let cluster = Cluster::shared().await?;
        let (source, terminal) = (cluster.database().await?, cluster.database().await?);
        source.execute(SCHEMA).await?;
        terminal.execute(SCHEMA).await?;
        let compare = async || compare_postgres(source.url(), terminal.url(), &Tables::All).await;

        let equal = compare().await?;
        assert_eq!((equal.rows(), equal.tables.len()), (5, 2));
        equal.into_result()?;

        // A duplicate too many, at equal sums of distinct rows.
        terminal
            .execute(r#"UPDATE shop."Order Lines" SET "Item" = 1, flag = true, weight = 0.1"#)
            .await?;
        assert_eq!(differing(&compare().await?), ["shop.Order Lines"]);
        // Empty is not NULL, and both differing rows are shown.
        terminal.execute("UPDATE items SET name = '' WHERE id = 2").await?;
        let report = compare().await?.into_result().unwrap_err().to_string();
        assert!(report.contains("only at the source:   2\t\\N"), "{report}");
        assert!(report.contains("only at the terminal: 2\t\t"), "{report}");
        terminal.execute("DROP TABLE items").await?;
        assert!(compare().await?.to_string().contains("no such table"));
        Ok(())
    });
}

#[test]
fn sqlite_finds_planted_differences() {
    test(async {
        let source = Cluster::shared().await?.database().await?;
        source.execute(SCHEMA).await?;
        let folder = Scratch::new("sqlite")?;
        let file = folder.path().join("terminal.db");
        let terminal = rusqlite::Connection::open(&file)?;
        terminal.execute_batch(
            r#"CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price TEXT, at TEXT, tags TEXT, raw BLOB);
               CREATE TABLE "shop.Order Lines" ("Item" INTEGER, flag INTEGER, weight REAL);
               INSERT INTO items VALUES
                   (1, 'tab	and "quote"', '1.50', '2024-01-01T08:00:00.5Z', '["a",null,"b c"]', x'00ff'),
                   (2, NULL, NULL, NULL, '[]', x'');
               INSERT INTO "shop.Order Lines" VALUES (1, 1, 0.1), (1, 1, 0.1), (2, 0, 9e999);"#,
        )?;
        let compare = async || compare_sqlite(source.url(), &file, &Tables::All).await;
        compare().await?.into_result()?;

        terminal.execute_batch("UPDATE items SET price = '1.5' WHERE id = 1")?;
        assert_eq!(differing(&compare().await?), ["public.items"]);
        terminal.execute_batch(r#"DELETE FROM "shop.Order Lines" WHERE "Item" = 2"#)?;
        assert_eq!(differing(&compare().await?).len(), 2);
        Ok(())
    });
}

#[test]
fn nothing_compared_is_no_proof() {
    test(async {
        let cluster = Cluster::shared().await?;
        let (source, terminal) = (cluster.database().await?, cluster.database().await?);
        let nothing: Result<()> =
            compare_postgres(source.url(), terminal.url(), &Tables::All).await?.into_result();
        assert!(nothing.is_err());
        let unknown = Tables::only(&["public.nothing"]);
        assert!(compare_postgres(source.url(), terminal.url(), &unknown).await.is_err());
        Ok(())
    });
}
