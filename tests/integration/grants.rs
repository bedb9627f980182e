//! Tokens that allow other channels than the one a terminal was loaded with: nothing may be passed
//! over in silence.

use anyhow::Result;
use harness::{
    Cluster, Finished, ProcessBuilder, RelayProcess, Scratch, Tables, binary, free_port, test,
};

use crate::{
    channels::{CONFIG, TABLES},
    setup::{LIMIT, Setup, Terminal, capture_command},
};

/// A path with tokens: of a terminal that may read all, of ones limited to `sales` and to `sales,stock`.
struct Granted {
    setup: Setup,
    all: String,
    sales: String,
    two: String,
    _folder: Scratch,
}

impl Granted {
    async fn new() -> Result<Self> {
        Self::with(&[]).await
    }

    /// With more arguments for capture.
    async fn with(more: &[&str]) -> Result<Self> {
        let folder = Scratch::new("grants")?;
        let data = folder.path().join("data");
        let token = async |name: &str, role: &str, more: &[&str]| -> Result<String> {
            let done = ProcessBuilder::new("token", binary("tailwater-relay")?)
                .args(["token", "add", name, "--role", role, "--data-dir"])
                .arg(&data)
                .args(more)
                .run(LIMIT)
                .await?;
            assert_eq!(done.code, 0, "{}", done.stderr);
            Ok(done.stdout.trim().to_owned())
        };
        let capture = token("capture", "capture", &[]).await?;
        let ops = token("ops", "ops", &[]).await?;
        let all = token("all", "terminal", &[]).await?;
        let sales = token("narrow", "terminal", &["--channels", "sales"]).await?;
        let two = token("two", "terminal", &["--channels", "stock,sales"]).await?;
        let relay = RelayProcess::builder().data_dir(&data).token(&ops).start().await?;
        let master = Cluster::shared().await?.database().await?;
        master.execute(TABLES).await?;
        let config = folder.path().join("capture.toml");
        std::fs::write(&config, CONFIG)?;
        let capture = capture_command(&master, &relay.url())?
            .arg("--config")
            .arg(&config)
            .args(more)
            .env("TAILWATER_TOKEN", &capture)
            .spawn()?;
        let setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        Ok(Self { setup, all, sales, two, _folder: folder })
    }

    fn pull(&self, terminal: &Terminal, token: &str) -> Result<ProcessBuilder> {
        let command = terminal.command(&self.setup.relay.url())?;
        Ok(command.env("TAILWATER_TOKEN", token))
    }

    fn reload(&self, terminal: &Terminal, token: &str) -> Result<ProcessBuilder> {
        let command = terminal.reload_command(&self.setup.relay.url())?;
        Ok(command.env("TAILWATER_TOKEN", token))
    }

    /// Changes both channels' tables; the relay has it when this returns.
    async fn change(&self) -> Result<()> {
        let sql = "UPDATE order_lines SET n = n + 1; UPDATE warehouse.shelf SET n = n + 1";
        self.setup.master.execute(sql).await?;
        self.setup.captured().await.map(drop)
    }

    async fn channels(&self, terminal: &Terminal) -> Result<String> {
        let status = ProcessBuilder::new("status", binary("tailwater-terminal")?);
        let done = status.args(["status", "--target", &terminal.url()]).run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        let line = done.stdout.lines().find_map(|line| line.strip_prefix("channels "));
        Ok(line.unwrap_or_default().to_owned())
    }
}

async fn says(command: ProcessBuilder, code: i32, words: &[&str]) -> Result<Finished> {
    let done = command.run(LIMIT).await?;
    assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
    for word in words {
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
    }
    Ok(done)
}

#[test]
fn a_token_with_fewer_channels_skips_nothing() {
    test(async {
        let path = Granted::new().await?;
        for terminal in [path.setup.postgres("store").await?, path.setup.sqlite("till")?] {
            says(path.pull(&terminal, &path.all)?, 0, &[]).await?;
            assert_eq!(path.channels(&terminal).await?, "all");
            for round in 0..2 {
                // With the first, the terminal has a hash of each channel to show; without, none.
                if round == 1 {
                    path.change().await?;
                    says(path.pull(&terminal, &path.all)?, 0, &[]).await?;
                }
                path.change().await?;
                let before = terminal.position().await?;
                says(path.pull(&terminal, &path.sales)?, 3, &["sales", "loaded with", "token"])
                    .await?;
                let words = ["'sales'", "loaded with all channels", "token"];
                says(path.reload(&terminal, &path.sales)?, 3, &words).await?;
                let after = terminal.position().await?;
                assert_eq!(before, after, "{}", terminal.name);
                // One that lists all that there are today hides those to come.
                says(path.pull(&terminal, &path.two)?, 3, &["loaded with all channels"]).await?;
                says(path.pull(&terminal, &path.all)?, 0, &[]).await?;
                terminal.equals(&path.setup.master, &Tables::All).await?;
            }
        }
        Ok(())
    });
}

#[test]
fn what_the_token_gave_at_the_load_is_what_the_terminal_has() {
    test(async {
        let path = Granted::new().await?;
        let orders = Tables::only(&["public.order_lines"]);
        for terminal in [path.setup.postgres("store").await?, path.setup.sqlite("till")?] {
            says(path.pull(&terminal, &path.sales)?, 0, &[]).await?;
            assert_eq!(path.channels(&terminal).await?, "sales");
            path.change().await?;
            says(path.pull(&terminal, &path.sales)?, 0, &[]).await?;
            says(path.reload(&terminal, &path.sales)?, 0, &[]).await?;
            says(path.pull(&terminal, &path.sales)?, 0, &[]).await?;
            terminal.equals(&path.setup.master, &orders).await?;
            // More would not come by itself: its rows are not here.
            for token in [&path.all, &path.two] {
                let words = ["loaded with the channel 'sales'", "--channels sales"];
                says(path.pull(&terminal, token)?, 2, &words).await?;
                says(path.reload(&terminal, token)?, 2, &words).await?;
            }
            path.change().await?;
            let terminal = terminal.channels("sales");
            says(path.pull(&terminal, &path.all)?, 0, &[]).await?;
            says(path.pull(&terminal, &path.two)?, 0, &[]).await?;
            terminal.equals(&path.setup.master, &orders).await?;
        }
        Ok(())
    });
}

#[test]
fn status_says_by_its_exit_code_that_the_relay_told_nothing() {
    test(async {
        let path = Granted::new().await?;
        let terminal = path.setup.sqlite("till")?;
        says(path.pull(&terminal, &path.all)?, 0, &[]).await?;
        let (url, nobody) = (path.setup.relay.url(), format!("http://127.0.0.1:{}", free_port()?));
        for (relay, token, code) in
            [(&url, path.all.as_str(), 0), (&url, "tw_0", 3), (&nobody, path.all.as_str(), 4)]
        {
            let status = ProcessBuilder::new("status", binary("tailwater-terminal")?)
                .args(["status", "--relay", relay, "--timeout", "2s", "--target", &terminal.url()])
                .env("TAILWATER_TOKEN", token);
            let done = says(status, code, &[]).await?;
            assert!(done.stdout.contains("state    ready"), "{}", done.stdout);
            assert_eq!(done.stderr.contains("see above"), code != 0, "{}", done.stderr);
        }
        Ok(())
    });
}

/// Schema changes go to everyone: a table of a channel that the token hides is nothing to the terminal, named or
/// not.
#[test]
fn a_table_of_a_hidden_channel_that_needs_rows_stops_nobody() {
    test(async {
        let path = Granted::with(&["--ddl"]).await?;
        let setup = &path.setup;
        let (store, till) = (setup.postgres("store").await?, setup.sqlite("till")?);
        for terminal in [&store, &till] {
            says(path.pull(terminal, &path.sales)?, 0, &[]).await?;
        }
        setup
            .master
            .execute(
                "CREATE TABLE warehouse.filled AS SELECT 1 AS id; ALTER TABLE warehouse.filled ADD PRIMARY KEY (id);
                 ALTER TABLE warehouse.shelf ADD k uuid DEFAULT gen_random_uuid()",
            )
            .await?;
        path.change().await?;
        let orders = Tables::only(&["public.order_lines"]);
        for terminal in [&store, &till] {
            says(path.pull(terminal, &path.sales)?, 0, &[]).await?;
            terminal.equals(&setup.master, &orders).await?;
        }
        let found =
            "SELECT count(*) FROM pg_class WHERE relname IN ('shelf', 'filled') AND relkind = 'r'";
        assert_eq!(store.value(found).await?.as_deref(), Some("0"));
        Ok(())
    });
}
