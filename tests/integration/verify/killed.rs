//! A comparison that is killed leaves nothing behind.

use std::time::Duration;

use harness::{eventually, rng, test_within};
use rand::Rng;

use super::{found, same, temporary};
use crate::{
    first_load::MUCH,
    setup::{LIMIT, Setup},
};

#[test]
fn at_random_moments_nothing_stays_and_pulls_go_on() {
    test_within(Duration::from_secs(300), async {
        let setup = Setup::shared(MUCH).await?;
        let mut rng = rng("verify");
        println!("seed {}", harness::seed());
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            setup.pull(&terminal).await?;
            terminal.execute("DELETE FROM small WHERE id < 100").await?;
            setup.master.execute("UPDATE line SET note = 'now' WHERE id % 100 = 0").await?;
            setup.captured().await?;
            setup.pull(&terminal).await?;
            found(&setup, &terminal, &[], 1).await?;
            let mut kills = 0;
            while kills < 6 {
                let repair = if kills % 2 == 0 { "--repair" } else { "--json" };
                let mut verify =
                    terminal.verify_command(&setup.relay.url())?.arg(repair).spawn()?;
                tokio::time::sleep(Duration::from_millis(rng.random_range(100..1500))).await;
                if !verify.is_running()? {
                    // It was over: repaired perhaps.
                    terminal.execute("DELETE FROM small WHERE id < 100").await?;
                }
                verify.kill()?;
                kills += 1;
                eventually("nothing is left", LIMIT, async || {
                    Ok(temporary(&terminal).await?.as_deref() == Some("0"))
                })
                .await?;
            }
            setup.master.execute("INSERT INTO big SELECT max(id) + 1, 'later' FROM big").await?;
            setup.captured().await?;
            setup.pull(&terminal).await?;
            found(&setup, &terminal, &["--repair"], 0).await?;
            same(&setup, &terminal).await?;
            setup.all_equal(&[&terminal]).await?;
        }
        Ok(())
    });
}
