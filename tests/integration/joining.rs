//! Tables that were made after capture's first start: in whole, or not at all (decision 0022).

use harness::{eventually, test};

use crate::{
    history,
    setup::{LIMIT, Setup},
};

const PUBLISHED: &str =
    "SELECT string_agg(tablename, ', ' ORDER BY tablename) FROM pg_publication_tables";

/// What is there before a table joins never reaches a terminal, so a table with rows does not join.
#[test]
fn a_table_with_rows_stays_out_and_is_named() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let later = "CREATE TABLE filled (id int PRIMARY KEY); INSERT INTO filled VALUES (1);
            CREATE TABLE hollow (id int PRIMARY KEY)";
        setup.master.execute(later).await?;
        setup.kill_capture()?;
        eventually("it says what it leaves out", LIMIT, async || {
            Ok(setup.capture.stderr().contains("not captured: public.filled"))
        })
        .await?;
        setup.captured().await?;
        assert_eq!(setup.master.value(PUBLISHED).await?.as_deref(), Some("hollow, t"));
        setup.master.execute("INSERT INTO hollow VALUES (7)").await?;
        setup.captured().await?;
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "hollow");
        assert_eq!(ids, ["7"]);
        Ok(())
    });
}

/// A row that is on its way while the table is looked at counts as one that is there.
#[test]
fn a_table_that_is_being_filled_stays_out() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        setup.master.execute("CREATE TABLE filling (id int PRIMARY KEY)").await?;
        let writer = setup.master.connect().await?;
        writer.batch_execute("BEGIN; INSERT INTO filling VALUES (1)").await?;
        setup.kill_capture()?;
        let waits = "SELECT 1 FROM pg_locks WHERE relation = 'filling'::regclass AND NOT granted";
        eventually("it waits for the writer, or does not", LIMIT, async || {
            let published = setup.master.value(PUBLISHED).await?;
            Ok(setup.master.value(waits).await?.is_some() || published.as_deref() != Some("t"))
        })
        .await?;
        writer.batch_execute("COMMIT").await?;
        eventually("it says what it leaves out", LIMIT, async || {
            let published = setup.master.value(PUBLISHED).await?;
            assert_eq!(published.as_deref(), Some("t"), "a row is missing at the terminals");
            Ok(setup.capture.stderr().contains("not captured: public.filling"))
        })
        .await
    });
}
