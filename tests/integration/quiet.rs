//! `--quiet`: a job of cron's that is fine prints nothing, or cron would send a mail.

use anyhow::Result;
use harness::{Scratch, free_port, test};

use crate::setup::{LIMIT, Setup};

#[test]
fn nothing_is_said_when_all_is_well() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
        let setup = setup.await?;
        // A relay that does not answer, before one that does: it passes by itself.
        let relays = format!("http://127.0.0.1:{},{}", free_port()?, setup.relay.url());
        let folder = Scratch::new("quiet-config")?;
        let file = folder.path().join("terminal.toml");
        std::fs::write(&file, "quiet = true")?;
        let file = file.display().to_string();
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            for quiet in [&["--quiet"][..], &["--config", &file]] {
                setup.master.execute("UPDATE t SET id = id + 1").await?;
                setup.captured().await?;
                let done = terminal.command(&relays)?.args(quiet).run(LIMIT).await?;
                assert_eq!((done.code, done.stderr.as_str(), done.stdout.as_str()), (0, "", ""));
            }
            let done = terminal.reload_command(&relays)?.arg("--quiet").run(LIMIT).await?;
            assert_eq!((done.code, done.stderr.as_str(), done.stdout.as_str()), (0, "", ""));
            let done = terminal.command(&relays)?.run(LIMIT).await?;
            assert!(done.stderr.contains("trying the next"), "{}", done.stderr);
        }
        Ok(())
    });
}

#[test]
fn what_needs_a_person_is_said_all_the_same() {
    test(async {
        let sql = "CREATE TABLE t (id int PRIMARY KEY, h text GENERATED ALWAYS AS (md5(id::text)) STORED);
            INSERT INTO t VALUES (1)";
        let setup = Setup::shared(sql).await?;
        let till = setup.sqlite("till")?;
        let quiet = async |relay: &str| -> Result<_> {
            till.command(relay)?.args(["--quiet", "--timeout", "1s"]).run(LIMIT).await
        };
        let done = quiet(&setup.relay.url()).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains("made without this column"), "{}", done.stderr);
        assert_eq!(quiet(&setup.relay.url()).await?.stderr, "", "it was said");
        let nobody = format!("http://127.0.0.1:{}", free_port()?);
        let done = quiet(&nobody).await?;
        assert_eq!(done.code, 4, "{}", done.stderr);
        assert!(
            done.stderr.starts_with("error: ") && done.stderr.contains(&nobody),
            "{}",
            done.stderr
        );
        Ok(())
    });
}
