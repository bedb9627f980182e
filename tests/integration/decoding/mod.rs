//! What the stream says of rows arrives as it was said (PITFALLS 21 to 37).

mod encodings;
mod rows;
mod shapes;
mod types;

use anyhow::Result;
use harness::{Cluster, Database, RelayProcess};

use crate::setup::{Options, Setup};

/// Runs `before`, copies; runs `after`, follows; both kinds of terminal must equal the master.
async fn follows(before: &str, capture: &[&str], after: &[&str]) -> Result<Setup> {
    follows_in(Cluster::shared().await?.database().await?, before, capture, after).await
}

/// The same in a database that is there.
async fn follows_in(
    master: Database,
    before: &str,
    capture: &[&str],
    after: &[&str],
) -> Result<Setup> {
    master.execute(before).await?;
    let relay = RelayProcess::builder().start().await?;
    let setup = Setup::with(master, relay, Options { capture, config: None }).await?;
    let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
    setup.all_equal(&[&postgres, &sqlite]).await?;
    for sql in after {
        setup.master.execute(sql).await?;
    }
    setup.all_equal(&[&postgres, &sqlite]).await?;
    for terminal in [&postgres, &sqlite] {
        crate::verify::same(&setup, terminal).await?;
    }
    Ok(setup)
}
