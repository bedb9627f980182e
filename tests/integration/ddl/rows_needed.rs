//! Changes that leave rows out of the stream: a snapshot has them.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Lsn, test};
use serde_json::Value;

use super::{followed::same, recorded};
use crate::setup::{LIMIT, SOURCE, Setup};

/// Waits until the relay has a snapshot beyond `lsn`, which capture takes by itself.
async fn snapshot_beyond(setup: &Setup, lsn: Lsn) -> Result<()> {
    tokio::time::timeout(LIMIT, async {
        loop {
            let answer = setup.relay.get(&format!("/v1/{SOURCE}/snapshot"))?.send().await?;
            let list: Value = serde_json::from_str(&answer.text().await?)?;
            let newest: Lsn =
                list["snapshots"][0]["lsn"].as_str().context("no snapshot")?.parse()?;
            if newest >= lsn {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await?
}

#[test]
fn a_rewritten_table_is_loaded_anew() {
    test(async {
        let before = "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT i, i FROM generate_series(1, 9) i;
            CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)";
        let setup = recorded(before, &[]).await?;
        let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
        let terminals = [&postgres, &sqlite];
        same(&setup, &terminals, "the first load").await?;
        for sql in [
            "BEGIN; INSERT INTO u VALUES (2); ALTER TABLE t ADD k uuid DEFAULT gen_random_uuid(); INSERT INTO u VALUES (3); COMMIT",
            "ALTER TABLE t ALTER a TYPE text USING 'a' || a",
        ] {
            setup.master.execute("INSERT INTO u SELECT max(id) + 100 FROM u").await?;
            let held = "SELECT count(*) FROM u";
            let here = setup.master.value(held).await?;
            setup.master.execute(sql).await?;
            let position = setup.captured().await?;
            setup.master.execute("UPDATE t SET a = a WHERE id = 1; DELETE FROM t WHERE id = (SELECT max(id) FROM t)").await?;
            for terminal in terminals {
                let refused = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
                assert_ne!(refused.code, 0, "{}", refused.stderr);
                assert!(
                    refused.stderr.contains("public.t") && refused.stderr.contains("reload"),
                    "{}",
                    refused.stderr
                );
                // All before is there, nothing of the transaction itself.
                assert_eq!(terminal.value(held).await?, here);
            }
            snapshot_beyond(&setup, position).await?;
            for terminal in terminals {
                setup.reload(terminal).await?;
            }
            same(&setup, &terminals, sql).await?;
        }
        Ok(())
    });
}
