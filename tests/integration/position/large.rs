//! A large transaction on its way.

use anyhow::Result;
use harness::{Direction, eventually, test};

use super::own_cluster::{follows, quick, walsender, with_proxy};
use crate::{
    history,
    setup::{LIMIT, SOURCE, Setup},
};

const ROWS: &str = "SELECT n, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 20 + n % 2)) FROM";

/// PITFALLS 7 and 8: while its parts travel, neither progress nor anything else moves the head past it;
/// killed in the middle it comes again whole.
#[test]
fn it_is_passed_by_nothing_and_survives_kills_in_the_middle() {
    test(async {
        let cluster = quick().start().await?;
        let sql = "CREATE TABLE bulk (id int PRIMARY KEY, t text); CREATE TABLE other (n int)";
        let (mut setup, proxy) = with_proxy(&cluster, sql, &["--tables", "public.bulk"]).await?;
        let insert = format!("INSERT INTO bulk {ROWS} generate_series(1, 30000) n");
        proxy.limit(Some(4 << 20));
        setup.master.execute(&insert).await?;
        let end = setup.position().await?;
        for _ in 0..3 {
            let passed = proxy.bytes(Direction::ToTarget);
            eventually("two megabytes of it have passed", LIMIT, async || {
                setup.master.execute("INSERT INTO other SELECT generate_series(1, 500)").await?;
                not_passed(&setup, end).await?;
                Ok(proxy.bytes(Direction::ToTarget) > passed + (2 << 20))
            })
            .await?;
            setup.kill_capture()?;
        }
        proxy.limit(None);
        let runs = {
            setup.captured().await?;
            history::read(&setup.relay, None).await?
        };
        let of_bulk = runs.iter().filter(|run| run.channel == "default").count();
        assert_eq!(of_bulk, 1, "one transaction wrote to a published table");
        let terminal = setup.postgres("store").await?;
        setup.pull(&terminal).await?;
        terminal.equals(&setup.master, &harness::Tables::only(&["public.bulk"])).await
    });
}

/// The head is before the transaction's end, or the transaction is there.
async fn not_passed(setup: &Setup, end: harness::Lsn) -> Result<()> {
    let head = setup.relay.head(SOURCE).await?;
    if head >= end {
        let runs = history::read(&setup.relay, None).await?;
        assert!(runs.iter().any(|run| run.channel == "default"), "{head} is past {end}");
    }
    Ok(())
}

/// PITFALLS 14: a large transaction of tables that are not captured. Feedback goes on, and the slot
/// comes past it.
#[test]
fn one_that_is_left_out_whole_starves_nobody() {
    test(async {
        let cluster = quick().setting("wal_sender_timeout", "1s").start().await?;
        let sql = "CREATE TABLE seen (id int PRIMARY KEY); CREATE TABLE other (n int, t text)";
        let args = ["--tables", "public.seen", "--heartbeat-every", "1s"];
        let (setup, _proxy) = with_proxy(&cluster, sql, &args).await?;
        eventually("capture follows", LIMIT, async || {
            Ok(walsender(&setup.master).await?.is_some())
        })
        .await?;
        let feeder = walsender(&setup.master).await?;
        setup
            .master
            .execute("INSERT INTO other SELECT n, 'filler' FROM generate_series(1, 600000) n")
            .await?;
        let end = setup.position().await?;
        follows(&setup, end).await?;
        assert_eq!(walsender(&setup.master).await?, feeder, "it starved");
        setup.master.execute("INSERT INTO seen VALUES (1)").await?;
        setup.captured().await?;
        let ids = history::inserted(&history::read(&setup.relay, None).await?, "seen");
        assert_eq!(ids, ["1"]);
        Ok(())
    });
}
