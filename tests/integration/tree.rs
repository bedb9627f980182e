//! A database that is a terminal of one master and the master of other terminals.

use harness::{Cluster, RelayProcess, Tables, test};

use crate::setup::{LIMIT, Options, SOURCE, Setup};

/// What a terminal keeps of itself beside the rows is not captured: the next terminal has its own.
#[test]
fn a_terminals_own_schema_does_not_travel_on() {
    test(async {
        let first = Setup::shared("CREATE TABLE t (id int PRIMARY KEY, n int)").await?;
        first.master.execute("INSERT INTO t VALUES (1, 1), (2, 2)").await?;
        first.captured().await?;
        let middle = Cluster::shared().await?.database().await?;
        let pull = harness::terminal(&first.relay.url(), SOURCE, middle.url(), "middle")?;
        let done = pull.clone().run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);

        let relay = RelayProcess::builder().start().await?;
        let second = Setup::with(middle, relay, Options::default()).await?;
        let published =
            "SELECT string_agg(schemaname || '.' || tablename, ', ') FROM pg_publication_tables";
        assert_eq!(second.master.value(published).await?.as_deref(), Some("public.t"));
        let (store, till) = (second.postgres("store").await?, second.sqlite("till")?);
        second.all_equal(&[&store, &till]).await?;

        first.master.execute("UPDATE t SET n = n + 1; INSERT INTO t VALUES (3, 3)").await?;
        first.captured().await?;
        let done = pull.run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        second.all_equal(&[&store, &till]).await?;
        store.equals(&first.master, &Tables::All).await
    });
}
