//! Tables that lose their key while they are published.

use harness::{Cluster, eventually, test};

use crate::{
    exclude::can_be_left_out,
    setup::{LIMIT, Options, SOURCE, Setup},
};

const BEFORE: &str =
    "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE u (id int PRIMARY KEY, n int);
    INSERT INTO t VALUES (1, 1), (2, 2); INSERT INTO u VALUES (1, 1)";
const IDENTITY: &str = "SELECT relreplident FROM pg_class WHERE relname = ";

#[test]
fn a_table_that_loses_its_key_can_be_changed_again_and_follows() {
    test(async {
        let mut setup = Setup::on(Cluster::shared().await?, BEFORE, Options::default()).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        setup.master.execute("ALTER TABLE t DROP CONSTRAINT t_pkey").await?;
        eventually("the application can change it again", LIMIT, async || {
            Ok(setup.master.execute("UPDATE t SET n = n + 1 WHERE id = 1").await.is_ok())
        })
        .await?;
        assert_eq!(setup.master.value(&format!("{IDENTITY}'t'")).await?.as_deref(), Some("f"));
        assert!(setup.capture.stderr().contains("public.t has lost its key"));
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;

        // While capture is away it is found at its next start.
        setup.capture.kill()?;
        setup.master.execute("ALTER TABLE u DROP CONSTRAINT u_pkey").await?;
        setup.capture.start()?;
        eventually("this one too", LIMIT, async || {
            Ok(setup.master.execute("DELETE FROM u WHERE id = 1").await.is_ok())
        })
        .await?;
        setup.all_equal(&[&terminals[0], &terminals[1]]).await
    });
}

/// All columns are gone, and what the publication lists of it is null.
#[test]
fn a_table_that_loses_all_columns_can_be_changed_again() {
    test(async {
        let setup = Setup::on(Cluster::shared().await?, BEFORE, Options::default()).await?;
        setup.master.execute("ALTER TABLE t DROP id, DROP n").await?;
        eventually("the application can change it again", LIMIT, async || {
            Ok(setup.master.execute("DELETE FROM t").await.is_ok())
        })
        .await?;
        setup.captured().await.map(drop)
    });
}

#[test]
fn where_it_cannot_be_mended_the_state_says_what_to_do() {
    test(async {
        if !can_be_left_out().await? {
            return Ok(());
        }
        let options = Options { capture: &["--exclude", "public.t.n"], config: None };
        let setup = Setup::on(Cluster::shared().await?, BEFORE, options).await?;
        setup.master.execute("ALTER TABLE t DROP CONSTRAINT t_pkey").await?;
        eventually("the lag tells it", LIMIT, async || {
            let error = setup.relay.lag(SOURCE).await?.capture.error.unwrap_or_default();
            Ok(error.contains("public.t has lost its key") && error.contains("ADD PRIMARY KEY"))
        })
        .await?;
        setup.master.execute("ALTER TABLE t ADD PRIMARY KEY (id)").await?;
        eventually("it is over", LIMIT, async || {
            Ok(setup.relay.lag(SOURCE).await?.capture.error.is_none())
        })
        .await?;
        let sqlite = setup.sqlite("till")?;
        setup.master.execute("UPDATE t SET id = 7 WHERE id = 1").await?;
        setup.captured().await?;
        setup.pull(&sqlite).await?;
        let ids = "SELECT group_concat(id, ' ') FROM (SELECT id FROM t ORDER BY id)";
        assert_eq!(sqlite.value(ids).await?.as_deref(), Some("2 7"));
        Ok(())
    });
}
