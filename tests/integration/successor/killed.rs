//! `kill -9` of the relay, of capture and of `adopt` while one history takes another's place: the relay has the
//! old one or the new one, and in the end all are equal.

use std::time::Duration;

use harness::{Tables, eventually, rng, test_within};
use rand::Rng;

use super::{CHANGES, RESNAPSHOT, TABLES, adopt, begun_anew, capture_again, lineage, lose_slot};
use crate::setup::{LIMIT, SOURCE, Setup};

const ROUNDS: u32 = 6;

#[test]
fn a_relay_killed_meanwhile_has_the_one_or_the_other() {
    test_within(LIMIT * 4, async {
        let mut rng = rng("relay killed while it begins anew");
        let mut setup = Setup::shared(TABLES).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        let mut kills = 0;
        for round in 0..ROUNDS {
            let before = lineage(&setup).await?;
            lose_slot(&mut setup).await?;
            capture_again(&mut setup, &RESNAPSHOT)?;
            let mut anew = None;
            while anew.is_none() {
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..400))).await;
                setup.relay.kill_and_restart().await?;
                kills += 1;
                // The old one whole, with its snapshot to start from, or the new one.
                let lag = setup.relay.get(&format!("/v1/{SOURCE}/lag"))?.send().await?;
                let lag: serde_json::Value = serde_json::from_str(&lag.text().await?)?;
                let now = lag["lineage"].as_str().unwrap_or_default().to_owned();
                assert!(!now.is_empty(), "neither the one nor the other: {lag}");
                if now == before {
                    assert!(lag["relay"]["head"].is_string(), "half of the old one: {lag}");
                } else {
                    anew = Some(now);
                }
            }
            begun_anew(&setup, &before).await?;
            setup.master.execute(CHANGES).await?;
            setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
            eprintln!("round {round}: {kills} kills so far");
        }
        Ok(())
    });
}

#[test]
fn adopt_killed_on_its_way_is_finished_by_the_next() {
    test_within(LIMIT * 4, async {
        let mut rng = rng("adopt killed");
        let mut setup = Setup::shared(TABLES).await?;
        let terminals = [setup.postgres("store").await?, setup.sqlite("till")?];
        setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        for _ in 0..ROUNDS {
            let before = lineage(&setup).await?;
            lose_slot(&mut setup).await?;
            // Another slot of that name: there is one to drop.
            let slot = crate::setup::slot_of(&setup.master);
            let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
            setup.master.value(&make).await?;
            super::stops(&setup).await?;
            let mut killed = adopt(&setup)?.arg("--yes").spawn()?;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..200))).await;
            killed.kill()?;
            let done = adopt(&setup)?.arg("--yes").run(LIMIT).await?;
            assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
            capture_again(&mut setup, &[])?;
            begun_anew(&setup, &before).await?;
            setup.all_equal(&[&terminals[0], &terminals[1]]).await?;
        }
        Ok(())
    });
}

/// Behind the relay's word and before the slot's drop, with a slot that was invalidated: `run` drops it.
#[test]
fn a_lost_slot_that_is_left_over_is_dropped_by_the_next_start() {
    test_within(LIMIT * 4, async {
        let cluster = super::lost::cluster().await?;
        let mut setup = Setup::on(&cluster, TABLES, crate::setup::Options::default()).await?;
        let terminal = setup.sqlite("till")?;
        setup.all_equal(&[&terminal]).await?;
        let before = lineage(&setup).await?;
        setup.capture.kill()?;
        super::lost::invalidate(&setup).await?;
        super::stops(&setup).await?;
        let done = adopt(&setup)?.arg("--yes").run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        let slot = crate::setup::slot_of(&setup.master);
        let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        setup.master.value(&make).await?;
        super::lost::invalidate(&setup).await?;
        capture_again(&mut setup, &[])?;
        begun_anew(&setup, &before).await?;
        setup.master.execute(CHANGES).await?;
        setup.captured().await?;
        setup.pull(&terminal).await?;
        terminal.equals(&setup.master, &Tables::All).await?;
        eventually("the stream goes on", LIMIT, async || {
            Ok(setup.relay.lag(SOURCE).await?.capture.state == "streaming")
        })
        .await
    });
}
