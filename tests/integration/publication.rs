//! The publication: the user's own, and what becomes of it meanwhile (invariant 10).

use harness::{Cluster, RelayProcess, Tables, eventually, test};

use crate::{
    ending::says,
    safety::application_works,
    setup::{LIMIT, Options, SOURCE, Setup, capture_command, slot_of},
};

/// The user's own publication is used as it is, or refused; never changed, never removed.
#[test]
fn a_publication_of_the_users_stays_theirs() {
    test(async {
        let cluster = Cluster::shared().await?;
        let (master, harmed) = (cluster.database().await?, cluster.database().await?);
        let options = ["--publication", "mine"];
        harmed
            .execute("CREATE TABLE bare (id int, n int); CREATE PUBLICATION mine FOR ALL TABLES")
            .await?;
        let relay = RelayProcess::builder().start().await?;
        let done = capture_command(&harmed, &relay.url())?.args(options).run(LIMIT).await?;
        says(&done, 2, &["public.bare", "REPLICA IDENTITY FULL"]);

        master
            .execute(
                "CREATE TABLE keyed (id int PRIMARY KEY, n int); INSERT INTO keyed VALUES (1, 1);
                 CREATE TABLE left_out (id int PRIMARY KEY); CREATE PUBLICATION mine FOR TABLE keyed",
            )
            .await?;
        let relay = RelayProcess::builder().start().await?;
        let mut setup =
            Setup::with(master, relay, Options { capture: &options, config: None }).await?;
        application_works(&setup.master, &["keyed"]).await?;
        let terminal = setup.postgres("store").await?;
        setup.captured().await?;
        setup.pull(&terminal).await?;
        terminal.equals(&setup.master, &Tables::only(&["keyed"])).await?;
        setup.kill_capture()?;
        application_works(&setup.master, &["keyed"]).await?;
        setup.captured().await?;
        setup.capture.stop().await?;
        let slot = slot_of(&setup.master);
        let remove = harness::ProcessBuilder::new("remove", harness::binary("tailwater-capture")?)
            .args(["remove", "--source", setup.master.url(), "--slot", &slot])
            .args(options);
        let done = remove.run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(
            done.stdout.contains(&slot) && done.stdout.contains("left the publication 'mine'"),
            "{}",
            done.stdout
        );
        let left =
            "SELECT string_agg(pubname || ' ' || tablename, ', ') FROM pg_publication_tables";
        assert_eq!(setup.master.value(left).await?.as_deref(), Some("mine keyed"));
        Ok(())
    });
}

/// Somebody takes a table out of the publication while capture runs: the state says so.
#[test]
fn a_publication_that_loses_a_table_is_noticed() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE kept (id int PRIMARY KEY); CREATE TABLE dropped (id int PRIMARY KEY)",
        )
        .await?;
        setup.master.execute("INSERT INTO kept VALUES (1); INSERT INTO dropped VALUES (1)").await?;
        setup.captured().await?;
        setup.master.execute("ALTER PUBLICATION tailwater_orders DROP TABLE dropped").await?;
        eventually("the state is publication-changed", LIMIT, async || {
            let capture = setup.relay.lag(SOURCE).await?.capture;
            let named = capture.error.is_some_and(|error| error.contains("public.dropped"));
            Ok(capture.state == "publication-changed" && named)
        })
        .await
    });
}

/// Without it the server would send nothing, and say nothing either.
#[test]
fn a_publication_that_is_gone_stops_the_start() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        setup.captured().await?;
        setup.capture.stop().await?;
        setup.master.execute("DROP PUBLICATION tailwater_orders").await?;
        let done = capture_command(&setup.master, &setup.relay.url())?.run(LIMIT).await?;
        says(&done, 3, &["tailwater_orders", "not there any more", "tailwater-capture adopt"]);
        assert_eq!(setup.relay.lag(SOURCE).await?.capture.state, "publication-changed");
        Ok(())
    });
}
