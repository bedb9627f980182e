//! What the guard costs a pull: `TAILWATER_BIN_DIR=target/release cargo test -p tailwater-tests --test integration guard::speed -- --ignored --nocapture`

use std::time::Instant;

use harness::test_within;

use super::Guarded;
use crate::setup::Setup;

const ROUNDS: usize = 6;
const WORK: &str = "
    INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i;
    UPDATE t SET v = repeat('y', 100) WHERE id % 3 = 0; DELETE FROM t WHERE id % 3 = 1; TRUNCATE t";

#[test]
#[ignore = "measures, and judges nothing"]
fn what_it_costs() {
    test_within(std::time::Duration::from_secs(900), async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
        let (with, without) = (Guarded::three(&setup).await?, Guarded::three(&setup).await?);
        for (with, without) in with.iter().zip(&without) {
            with.pull(&setup, &["--guard"]).await?;
            without.pull(&setup, &[]).await?;
        }
        let mut ratios: [Vec<String>; 3] = Default::default();
        for round in 0..ROUNDS {
            for sql in WORK.split(';') {
                setup.master.execute(sql).await?;
            }
            setup.captured().await?;
            for ((with, without), ratios) in with.iter().zip(&without).zip(&mut ratios) {
                let time = async |of: &Guarded| {
                    let begun = Instant::now();
                    of.pull(&setup, &["--quiet"]).await?;
                    anyhow::Ok(begun.elapsed().as_secs_f64())
                };
                // By turns, so that neither always comes first.
                let (with, without) = match round % 2 {
                    0 => (time(with).await?, time(without).await?),
                    _ => {
                        let without = time(without).await?;
                        (time(with).await?, without)
                    }
                };
                ratios.push(format!("{:.2} ({without:.2} s)", with / without));
            }
        }
        for (of, ratios) in with.iter().zip(&ratios) {
            println!("{}: with the guard, times without: {}", of.terminal.name, ratios.join(", "));
        }
        for of in with.into_iter().chain(without) {
            of.end().await?;
        }
        Ok(())
    });
}
