use std::path::Path;

use anyhow::{Result, ensure};
use harness::{Scratch, test};
use rusqlite::Connection;
use terminal_client::{
    sqlite::{SqliteFile, SqliteTarget},
    target::Target,
};

use super::{
    stage::{Stage, load},
    statements::{COLUMNS, ITEMS, KEYS_AND_NAMES, PARTITIONS, TYPES, UNHEARD, WHOLE},
};

/// A file's tables with their columns, indexes and rows, whatever their order.
fn contents(file: &Path) -> Result<Vec<String>> {
    let file = Connection::open(file)?;
    let texts = |sql: &str| -> Result<Vec<String>> {
        let mut statement = file.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    };
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'tailwater_%' ORDER BY 1";
    let mut contents = Vec::new();
    for table in texts(tables)? {
        let of = table.replace('\'', "''");
        let columns = format!(
            "SELECT format('%s %s %d', name, type, hidden) FROM pragma_table_xinfo('{of}') ORDER BY 1"
        );
        contents.push(format!("{table}: {}", texts(&columns)?.join(", ")));
        // A key that is the row's own number has no index, and is as good as one.
        let indexes = format!(
            "SELECT i.\"unique\" || (SELECT group_concat(name) FROM pragma_index_info(i.name)) FROM pragma_index_list('{of}') i
             UNION SELECT '1' || name FROM pragma_table_xinfo('{of}') WHERE pk ORDER BY 1"
        );
        contents.push(format!("{table} indexes: {}", texts(&indexes)?.join("; ")));
        let names = texts(&format!(
            "SELECT '\"' || name || '\"' FROM pragma_table_xinfo('{of}') ORDER BY 1"
        ))?;
        let values: Vec<String> = names.iter().map(|name| format!("quote({name})")).collect();
        let rows = format!("SELECT {} FROM \"{table}\" ORDER BY 1", values.join(" || ' ' || "));
        contents.extend(texts(&rows)?);
        let record = format!("SELECT count(*) || '' FROM tailwater_tables WHERE name = '{of}'");
        contents.push(format!("{table} is recorded: {}", texts(&record)?.join("")));
    }
    Ok(contents)
}

/// Runs statements on a master, and compares after each with a file that is loaded anew.
async fn same(setup: &str, statements: &[&str]) -> Result<()> {
    let scratch = Scratch::new("alter")?;
    let open = async |name: &str| -> Result<SqliteTarget> {
        let path = scratch.path().join(name);
        Ok(SqliteTarget::open(&SqliteFile::new(&path.display().to_string())?).await?)
    };
    let mut stage = Stage::new(setup, open("altered.db").await?).await?;
    for (number, sql) in [""].iter().chain(statements).enumerate() {
        stage.run(sql).await?;
        let name = format!("{number}.db");
        let mut anew = open(&name).await?;
        load(&stage.master, &mut anew).await?;
        anew.close().await;
        let want = contents(&scratch.path().join(name))?;
        let found = contents(&scratch.path().join("altered.db"))?;
        ensure!(want == found, "after {sql}\nanew {want:#?}\naltered {found:#?}");
    }
    Ok(())
}

#[test]
fn columns() {
    test(same(ITEMS, COLUMNS));
}

#[test]
fn keys_and_names() {
    test(same(ITEMS, KEYS_AND_NAMES));
}

#[test]
fn types() {
    test(same(ITEMS, TYPES));
}

#[test]
fn partitions() {
    test(same(WHOLE, PARTITIONS));
}

/// The definition that is kept in the file tells what was renamed and dropped meanwhile.
#[test]
fn unheard_of() {
    test(async {
        let scratch = Scratch::new("alter")?;
        let open = async |name: &str| -> Result<SqliteTarget> {
            let path = scratch.path().join(name);
            Ok(SqliteTarget::open(&SqliteFile::new(&path.display().to_string())?).await?)
        };
        let mut stage = Stage::new(ITEMS, open("jumped.db").await?).await?;
        let more = "ALTER TABLE items RENAME COLUMN c TO cc; ALTER TABLE items DROP COLUMN a";
        stage.jump(&format!("{UNHEARD}; {more}")).await?;
        stage.run("ALTER TABLE items RENAME COLUMN cc TO c").await?;
        let mut anew = open("anew.db").await?;
        load(&stage.master, &mut anew).await?;
        anew.close().await;
        let want = contents(&scratch.path().join("anew.db"))?;
        let found = contents(&scratch.path().join("jumped.db"))?;
        ensure!(want == found, "anew {want:#?}\njumped {found:#?}");
        Ok(())
    });
}
