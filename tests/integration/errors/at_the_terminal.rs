//! A terminal, its relay and its target.

use anyhow::Result;
use harness::{
    Cluster, Finished, Mode, ProcessBuilder, Proxy, RelayProcess, Scratch, binary, eventually,
    free_port, test,
};

use crate::{
    ending::{hides, says},
    setup::{LIMIT, SOURCE, Setup},
};

const PASSWORD: &str = "s3cret-0f-the-store";

async fn pull(relay: &str, source: &str, target: &str) -> Result<Finished> {
    let command = harness::terminal(relay, source, target, "store")?;
    command.args(["--timeout", "3s"]).run(LIMIT).await
}

fn terminal(args: &[&str]) -> Result<ProcessBuilder> {
    Ok(ProcessBuilder::new("terminal", binary("tailwater-terminal")?).args(args))
}

#[test]
fn no_relay_or_something_else() {
    test(async {
        let folder = Scratch::new("target")?;
        let target = format!("sqlite:{}", folder.path().join("till.db").display());
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        says(&pull(&url, SOURCE, &target).await?, 4, &[&url]);
        let two = format!("{url},http://127.0.0.1:{}", free_port()?);
        says(&pull(&two, SOURCE, &target).await?, 4, &[&url]);
        let proxy = Proxy::to_port(port).await?;
        proxy.set(Mode::Html(200));
        let done = pull(&proxy.url(), SOURCE, &target).await?;
        assert!([3, 4].contains(&done.code), "{}", done.code);
        says(&done, done.code, &[&proxy.url()]);
        let done =
            terminal(&["tail", "--relay", &url, "--source-name", SOURCE, "--timeout", "2s"])?
                .run(LIMIT)
                .await?;
        says(&done, 4, &[&url, "(tried for 2 s)"]);
        Ok(())
    });
}

/// Who stops a run that was to end by itself must not take it for done.
#[test]
fn a_signal_is_the_ordinary_end_only_where_there_is_no_other() {
    test(async {
        let folder = Scratch::new("target")?;
        let target = format!("sqlite:{}", folder.path().join("till.db").display());
        let url = format!("http://127.0.0.1:{}", free_port()?);
        for (args, code) in
            [(&["--once"][..], 1), (&[], 1), (&["--follow"], 0), (&["--every", "1h"], 0)]
        {
            let command = harness::terminal(&url, SOURCE, &target, "store")?;
            let mut pulling = command.args(["--timeout", "80s"]).args(args).spawn()?;
            eventually("it tries", LIMIT, async || Ok(pulling.stderr().contains("trying again")))
                .await?;
            let done = pulling.stop().await?;
            says(&done, code, if code == 0 { &["stopped"] } else { &["stopped by a signal"] });
        }
        Ok(())
    });
}

#[test]
fn a_position_before_the_log_is_answered_with_one_that_works() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let url = setup.relay.url();
        let tail = ["tail", "--relay", &url, "--source-name", SOURCE, "--after"];
        let done = terminal(&tail)?.arg("0/0").run(LIMIT).await?;
        let horizon = setup.relay.lag(SOURCE).await?.relay.horizon.to_string();
        says(&done, 2, &["0/0", &format!("give --after {horizon},")]);
        setup.master.execute("INSERT INTO t VALUES (4711)").await?;
        setup.captured().await?;
        let mut tail = terminal(&tail)?.arg(&horizon).spawn()?;
        eventually("it prints the row", LIMIT, async || Ok(tail.stdout().contains("4711"))).await?;
        assert_eq!(tail.stop().await?.code, 0);
        Ok(())
    });
}

#[test]
fn sources_that_are_not_there_or_not_ready() {
    test(async {
        let relay = RelayProcess::builder().start().await?;
        let folder = Scratch::new("target")?;
        let target = format!("sqlite:{}", folder.path().join("till.db").display());
        let done = pull(&relay.url(), "nothing", &target).await?;
        // Its capture may have been about to begin it: that was waited for.
        says(&done, 4, &["nothing", &relay.url(), "--source-name"]);
        let done = terminal(&[
            "tail",
            "--relay",
            &relay.url(),
            "--source-name",
            "nothing",
            "--timeout",
            "2s",
        ])?
        .run(LIMIT)
        .await?;
        says(&done, 3, &["nothing"]);
        Ok(())
    });
}

#[test]
fn tokens() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let data = setup.relay.data_dir().display().to_string();
        let token = async |name: &str, role: &str| -> Result<String> {
            let done = ProcessBuilder::new("token", binary("tailwater-relay")?)
                .args(["token", "add", name, "--data-dir", &data, "--role", role])
                .run(LIMIT)
                .await?;
            assert_eq!(done.code, 0, "{}", done.stderr);
            Ok(done.stdout.trim().to_owned())
        };
        let (capture, store) = (token("c", "capture").await?, token("store", "terminal").await?);
        let till = setup.sqlite("till")?;
        let command = || till.command(&setup.relay.url());
        let done = command()?.run(LIMIT).await?;
        says(&done, 3, &[&setup.relay.url(), "token", "TAILWATER_TOKEN", "--role terminal"]);
        for wrong in ["tw_wrong", &capture] {
            let done = command()?.env("TAILWATER_TOKEN", wrong).run(LIMIT).await?;
            says(&done, 3, &[&setup.relay.url(), "token"]);
            hides(&done, wrong);
        }
        let done = command()?.env("TAILWATER_TOKEN", &store).run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        hides(&done, &store);
        let missing = command()?.args(["--token-file", "/nowhere/token"]).run(LIMIT).await?;
        says(&missing, 2, &["/nowhere/token"]);
        Ok(())
    });
}

#[test]
fn targets_that_cannot_be_used() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let relay = setup.relay.url();
        let port = free_port()?;
        let done =
            pull(&relay, SOURCE, &format!("postgres://app:{PASSWORD}@127.0.0.1:{port}/store"))
                .await?;
        says(&done, 4, &[&port.to_string()]);
        hides(&done, PASSWORD);
        let cluster = Cluster::builder()
            .without_fsync()
            .setting("password_encryption", "scram-sha-256")
            .hba("host all locked 127.0.0.1/32 scram-sha-256")
            .start()
            .await?;
        let store = cluster.database().await?;
        store
            .execute("CREATE ROLE locked LOGIN PASSWORD 'right'; CREATE ROLE poor LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            .await?;
        let done = pull(&relay, SOURCE, &cluster.url_as("locked", PASSWORD, store.name())).await?;
        says(&done, 3, &["password", "locked"]);
        hides(&done, PASSWORD);
        let done = pull(&relay, SOURCE, &cluster.url("no_such_database")).await?;
        says(&done, 3, &["no_such_database"]);
        let done = pull(&relay, SOURCE, &cluster.url_as("poor", "", store.name())).await?;
        assert!([1, 3].contains(&done.code), "{}", done.code);
        says(&done, done.code, &["permission denied"]);

        let done = pull(&relay, SOURCE, "sqlite:/no/such/folder/till.db").await?;
        assert_ne!(done.code, 0);
        says(&done, done.code, &["/no/such/folder/till.db"]);
        let folder = Scratch::new("target")?;
        let file = folder.path().join("letter.txt");
        std::fs::write(&file, "Dear reader, this is no database. ".repeat(200))?;
        let done = pull(&relay, SOURCE, &format!("sqlite:{}", file.display())).await?;
        assert_ne!(done.code, 0);
        says(&done, done.code, &[&file.display().to_string(), "not a database"]);
        Ok(())
    });
}

#[test]
fn words_that_cannot_be_understood() {
    test(async {
        let relay = "http://127.0.0.1:7070";
        let tail = ["tail", "--relay", relay, "--source-name", SOURCE, "--after"];
        for wrong in ["here", "0", "0/G", "1/2/3"] {
            let done = terminal(&tail)?.arg(wrong).run(LIMIT).await?;
            says(&done, 2, &[wrong, "--after"]);
        }
        for wrong in ["127.0.0.1:7070", "ftp://127.0.0.1", "http://"] {
            let done = pull(wrong, SOURCE, "sqlite:/tmp/never-made.db").await?;
            says(&done, 2, &["http://"]);
        }
        let secret = format!("http://user:{PASSWORD}@127.0.0.1:7070");
        let done = pull(&secret, SOURCE, "sqlite:/tmp/never-made.db").await?;
        says(&done, 2, &["token"]);
        hides(&done, PASSWORD);
        for (wrong, word) in [
            ("mysql://h/d", "postgres://"),
            ("till.db", "sqlite:FILE"),
            ("postgres:", "postgres://"),
            ("sqlite:", "sqlite:FILE"),
        ] {
            says(&pull(relay, SOURCE, wrong).await?, 2, &["--target", word]);
        }
        let ambiguous = format!("postgres://app:{PASSWORD}@x@127.0.0.1/d");
        let done = pull(relay, SOURCE, &ambiguous).await?;
        assert_ne!(done.code, 0);
        hides(&done, PASSWORD);
        let done = pull(relay, "no such name!", "sqlite:/tmp/never-made.db").await?;
        says(&done, 2, &["no such name!"]);
        let pull = [
            "pull",
            "--relay",
            relay,
            "--source-name",
            SOURCE,
            "--target",
            "sqlite:/tmp/never-made.db",
        ];
        for wrong in [
            ["--every", "soon"],
            ["--cron", "every day"],
            ["--timeout", "-3"],
            ["--channels", "a b"],
        ] {
            let done =
                terminal(&pull)?.arg(format!("{}={}", wrong[0], wrong[1])).run(LIMIT).await?;
            says(&done, 2, &[wrong[0], wrong[1]]);
        }
        assert!(!std::path::Path::new("/tmp/never-made.db").exists());
        Ok(())
    });
}
