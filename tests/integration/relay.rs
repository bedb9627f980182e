//! The relay under the whole path: closed history, huge transactions, two captures, tokens.

use anyhow::{Context, Result};
use harness::{Cluster, RelayProcess, Tables, test};

use crate::setup::{LIMIT, Options, SOURCE, Setup, capture_command};

/// One more capture of the same source finds the slot taken and waits; with a slot of its own it
/// would take over the session, and the older is told so.
#[test]
fn of_two_captures_one_appends() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        // The log begins a moment before the first takes its slot.
        harness::eventually("the first follows", LIMIT, async || {
            Ok(setup.capture.stderr().contains("following the slot"))
        })
        .await?;
        let mut second = capture_command(&setup.master, &setup.relay.url())?.spawn()?;
        for id in 1..=20 {
            setup.master.execute(&format!("INSERT INTO t VALUES ({id})")).await?;
        }
        setup.captured().await?;
        assert!(setup.capture.is_running()?, "the first gave up: {}", setup.capture.stderr());
        assert!(second.is_running()?, "the second gave up: {}", second.stderr());
        // When the first goes, the second goes on where it was.
        setup.capture.kill()?;
        setup.master.execute("INSERT INTO t VALUES (21)").await?;
        setup.captured().await?;
        assert!(second.stderr().contains("in use"), "it said nothing: {}", second.stderr());
        let terminal = setup.postgres("store").await?;
        setup.all_equal(&[&terminal]).await
    });
}

/// A transaction of some 40 MiB travels as part objects; it is there whole or not at all, and a
/// terminal that comes later gets it too.
#[test]
fn a_huge_transaction_is_seen_whole() {
    test(async {
        let setup = Setup::shared("CREATE TABLE bulk (id int PRIMARY KEY, t text)").await?;
        let (early, late) = (setup.postgres("early").await?, setup.sqlite("late")?);
        setup.pull(&early).await?;
        setup
            .master
            .execute(
                "INSERT INTO bulk VALUES (0, 'before');
                 INSERT INTO bulk SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 40000) i;
                 UPDATE bulk SET t = 'after' WHERE id = 5",
            )
            .await?;
        setup.all_equal(&[&early, &late]).await
    });
}

#[test]
fn terminals_with_tokens_see_their_channels_only() {
    test(async {
        let relay = RelayProcess::builder().start().await?;
        let token = async |name: &str, role: &str, more: &[&str]| -> Result<String> {
            let data = relay.data_dir().display().to_string();
            let done = harness::ProcessBuilder::new("token", harness::binary("tailwater-relay")?)
                .args(["token", "add", name, "--data-dir", &data, "--role", role])
                .args(more)
                .run(LIMIT)
                .await?;
            assert_eq!(done.code, 0, "{}", done.stderr);
            Ok(done.stdout.trim().to_owned())
        };
        let capture = token("capture", "capture", &[]).await?;
        let sales = token("store", "terminal", &["--channels", "sales"]).await?;
        let ops = token("ops", "ops", &[]).await?;
        let cluster = Cluster::shared().await?;
        let master = cluster.database().await?;
        master
            .execute("CREATE TABLE sold (id int PRIMARY KEY); CREATE TABLE secret (id int PRIMARY KEY); INSERT INTO sold VALUES (1)")
            .await?;
        let folder = harness::Scratch::new("config")?;
        let config = folder.path().join("c.toml");
        std::fs::write(&config, "[channels.sales]\ntables = [\"public.sold\"]\n")?;
        let capture = capture_command(&master, &relay.url())?
            .arg("--config")
            .arg(&config)
            .env("TAILWATER_TOKEN", &capture)
            .spawn()?;
        let relay_ops = async || -> Result<bool> {
            let answer = harness::http_client()?
                .get(format!("{}/v1/{SOURCE}/lag", relay.url()))
                .bearer_auth(&ops)
                .send()
                .await?;
            Ok(answer.status().is_success() && answer.text().await?.contains("\"head\":\""))
        };
        harness::eventually("the first copy is there", LIMIT, relay_ops).await?;
        let setup = Setup::assembled(master, relay, capture);
        let terminal = setup.postgres("store").await?;
        let pull = |channels: Option<&str>, token: Option<&str>| -> Result<_> {
            let mut command = terminal.command(&setup.relay.url())?;
            if let Some(channels) = channels {
                command = command.args(["--channels", channels]);
            }
            Ok(match token {
                Some(token) => command.env("TAILWATER_TOKEN", token),
                None => command,
            })
        };
        let nobody = pull(None, None)?.run(LIMIT).await?;
        assert_eq!(nobody.code, 3, "{}", nobody.stderr);
        let stranger = pull(None, Some("tw_0000"))?.run(LIMIT).await?;
        assert_eq!(stranger.code, 3, "{}", stranger.stderr);
        let greedy = pull(Some("default"), Some(&sales))?.run(LIMIT).await?;
        assert_eq!(greedy.code, 3, "{}", greedy.stderr);
        let done = pull(None, Some(&sales))?.run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        terminal.equals(&setup.master, &Tables::only(&["public.sold"])).await?;
        let secret = terminal.value("SELECT to_regclass('public.secret')").await?;
        assert_eq!(secret, None);
        for output in [&nobody, &stranger, &greedy, &done] {
            assert!(!output.stderr.contains(&sales), "the token is printed: {}", output.stderr);
        }
        setup.master.value("SELECT 1").await?.context("the master is there").map(drop)
    });
}

/// What was sealed is the same history: a terminal from before, one in the middle and a new one all
/// end equal, and channels stay apart in it.
#[test]
fn closed_history_serves_old_and_new_terminals() {
    test(async {
        let cluster = Cluster::shared().await?;
        let master = cluster.database().await?;
        master
            .execute("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text)")
            .await?;
        // Tails are closed every 256 KiB here, so that a few thousand rows go through sealing.
        let relay = RelayProcess::builder().args(&["--tail-size", "256KiB"]).start().await?;
        let config = "[channels.ut]\ntables = [\"public.u\"]\n";
        let options = Options { config: Some(config), ..Options::default() };
        let mut setup = Setup::with(master, relay, options).await?;
        let (early, middle) = (setup.postgres("early").await?, setup.sqlite("middle")?);
        let only_u = setup.postgres("only-u").await?.channels("ut");
        for terminal in [&early, &middle, &only_u] {
            setup.pull(terminal).await?;
        }
        for round in 0..30 {
            setup
                .master
                .execute(&format!(
                    "INSERT INTO t SELECT {round} * 1000 + i, md5(random()::text) || md5(random()::text) FROM generate_series(1, 400) i;
                     INSERT INTO u SELECT {round} * 1000 + i, md5(random()::text) FROM generate_series(1, 200) i"
                ))
                .await?;
            if round == 13 {
                setup.captured().await?;
                setup.pull(&middle).await?;
            }
            if round % 10 == 9 {
                setup.captured().await?;
                setup.relay.kill_and_restart().await?;
            }
        }
        let objects = walk(&setup.relay.data_dir().join(SOURCE).join("objects"))?;
        assert!(objects >= 4, "only {objects} objects: nothing was sealed");
        let late = setup.sqlite("late")?;
        setup.all_equal(&[&early, &middle, &late]).await?;
        setup.pull(&only_u).await?;
        only_u.equals(&setup.master, &Tables::only(&["public.u"])).await?;
        assert_eq!(only_u.value("SELECT to_regclass('public.t')").await?, None);
        Ok(())
    });
}

fn walk(folder: &std::path::Path) -> Result<usize> {
    let mut files = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { walk(&entry.path())? } else { 1 };
    }
    Ok(files)
}
