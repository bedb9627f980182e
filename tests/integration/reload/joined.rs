//! Tables that joined after the snapshot that is loaded anew.

use harness::{Cluster, eventually, test};

use crate::setup::{LIMIT, Options, Setup};

/// A table that joined after the snapshot has its rows in the log only: they must not come twice, not
/// even where no key would tell.
#[test]
fn tables_that_joined_later_are_replayed_from_their_beginning() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        master.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)").await?;
        let relay = harness::RelayProcess::builder().start().await?;
        let options = Options { capture: &["--keyless", "full"], config: None };
        let mut setup = Setup::with(master, relay, options).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        let later =
            "CREATE TABLE later (id int PRIMARY KEY, t text); CREATE TABLE keyless (t text)";
        setup.master.execute(later).await?;
        setup.kill_capture()?;
        let published =
            "SELECT count(*) FROM pg_publication_tables WHERE tablename IN ('later', 'keyless')";
        eventually("the tables are published", LIMIT, async || {
            Ok(setup.master.value(published).await?.as_deref() == Some("2"))
        })
        .await?;
        let rows = "INSERT INTO later SELECT n, 'x' FROM generate_series(1, 20) n; DELETE FROM later WHERE id = 3;
            INSERT INTO keyless VALUES ('same'), ('same'), ('other'); INSERT INTO a VALUES (2)";
        setup.master.execute(rows).await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        for terminal in &terminals {
            let done = setup.reload(terminal).await?;
            assert!(done.stderr.contains("later joined after the snapshot"), "{}", done.stderr);
            assert_eq!(terminal.value("SELECT count(*) FROM keyless").await?.as_deref(), Some("0"));
        }
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// So too where the snapshot has no table at all.
#[test]
fn a_snapshot_without_tables_takes_all_rows_away() {
    test(async {
        let mut setup = Setup::shared("SELECT 1").await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.master.execute("CREATE TABLE later (id int PRIMARY KEY)").await?;
        setup.kill_capture()?;
        let published = "SELECT count(*) FROM pg_publication_tables WHERE tablename = 'later'";
        eventually("the table is published", LIMIT, async || {
            Ok(setup.master.value(published).await?.as_deref() == Some("1"))
        })
        .await?;
        setup.master.execute("INSERT INTO later VALUES (1), (2)").await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        for terminal in &terminals {
            setup.reload(terminal).await?;
            assert_eq!(terminal.value("SELECT count(*) FROM later").await?.as_deref(), Some("0"));
        }
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}
