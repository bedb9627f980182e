//! What `tailwater-terminal status` tells: where it is, how far behind, what comes next.

use anyhow::Result;
use harness::{Cluster, Finished, ProcessBuilder, RelayProcess, Scratch, binary, test};
use serde_json::{Value, json};

use crate::{
    first_load::{MUCH, interrupted},
    setup::{LIMIT, SOURCE, Setup, Terminal, capture_command},
};

fn status(terminal: &Terminal, relay: &str, more: &[&str]) -> Result<ProcessBuilder> {
    Ok(ProcessBuilder::new("status", binary("tailwater-terminal")?)
        .args(["status", "--target", &terminal.url(), "--relay", relay, "--name", &terminal.name])
        .args(["--source-name", SOURCE, "--timeout", "3s"])
        .args(more))
}

fn ended(done: &Finished, code: i32) -> &str {
    assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
    &done.stdout
}

/// What it says of the one source, as JSON and as text.
async fn told(terminal: &Terminal, relay: &str) -> Result<(Value, String)> {
    let json = status(terminal, relay, &["--json"])?.run(LIMIT).await?;
    let text = status(terminal, relay, &[])?.run(LIMIT).await?;
    let all: Value = serde_json::from_str(ended(&json, 0))?;
    Ok((all["sources"][0].clone(), ended(&text, 0).to_owned()))
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn where_it_is_how_far_behind_and_what_comes_next() {
    test(async {
        let mut setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        setup.master.execute("INSERT INTO t VALUES (0)").await?;
        setup.captured().await?;
        let url = setup.relay.url();
        let (store, till) = (setup.postgres("store").await?, setup.sqlite("till")?);
        let (new, text) = told(&store, &url).await?;
        assert_eq!((&new["state"], &new["next_run"]["does"]), (&json!("new"), &json!("load")));
        says(&text, &["state    new", "position none", "the next pull loads the snapshot at"]);
        for terminal in [&store, &till] {
            setup.pull(terminal).await?;
        }
        for id in 1..4 {
            setup.master.execute(&format!("INSERT INTO t VALUES ({id})")).await?;
        }
        setup.captured().await?;
        setup.capture.kill()?;
        for terminal in [&store, &till] {
            let (behind, text) = told(terminal, &url).await?;
            let relay = &behind["relay"];
            assert_eq!(relay["behind_transactions"], json!([3, 3]), "{relay}");
            assert!(relay["behind_bytes"].as_u64() > Some(0), "{relay}");
            assert!(relay["behind_seconds"].as_f64() > Some(0.0), "{relay}");
            let heard = &relay["heard"];
            assert_eq!((&heard["name"], &heard["error"]), (&json!(terminal.name), &Value::Null));
            let times = (&heard["last_contact"], &behind["last_commit"]);
            assert!(times.0.is_string() && times.1.is_string(), "{times:?}");
            let next = &behind["next_run"];
            assert_eq!((&behind["state"], &next["does"]), (&json!("ready"), &json!("pull")));
            assert!(next["fetch_bytes"].as_u64() > Some(0), "{next}");
            says(
                &text,
                &["3 transactions, ", " are missing here, ", " s ago: the position moved last"],
            );
            says(&text, &[&format!("heard of {} last", terminal.name), "the next pull pulls what"]);

            setup.pull(terminal).await?;
            let (done, text) = told(terminal, &url).await?;
            assert_eq!(done["next_run"]["does"], json!("nothing"));
            assert_eq!(done["relay"]["behind_transactions"], json!([0, 0]));
            says(&text, &["nothing is missing here", "the next pull finds nothing to do"]);
        }
        // A status is no report: the relay does not hear of the terminal by it.
        let heard =
            async || Ok::<_, anyhow::Error>(told(&till, &url).await?.0["relay"]["heard"].clone());
        assert_eq!(heard().await?, heard().await?);

        setup.relay.kill()?;
        let done = status(&till, &url, &["--json"])?.run(LIMIT).await?;
        let all: Value = serde_json::from_str(ended(&done, 4))?;
        let source = &all["sources"][0];
        assert_eq!((&source["state"], &source["next_run"]), (&json!("ready"), &Value::Null));
        assert!(source["lsn"].is_string() && source["last_commit"].is_string(), "{source}");
        assert!(source["relay"]["error"].as_str().is_some_and(|error| error.contains(&url)));
        Ok(())
    });
}

#[test]
fn a_load_goes_on_and_another_history_stops_it() {
    test(async {
        let setup = Setup::shared(MUCH).await?;
        let till = setup.sqlite("till")?;
        interrupted(&setup, &till).await?;
        let url = setup.relay.url();
        let (load, text) = told(&till, &url).await?;
        let next = &load["next_run"];
        assert_eq!(
            (&load["state"], &next["does"]),
            (&json!("loading"), &json!("resume")),
            "{text}"
        );
        says(&text, &["the next pull goes on with the load of the snapshot at"]);
        setup.pull(&till).await?;

        let other = Cluster::shared().await?.database().await?;
        other.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let relay = RelayProcess::builder().start().await?;
        let capture = capture_command(&other, &relay.url())?.spawn()?;
        let setup = Setup::assembled(other, relay, capture);
        setup.captured().await?;
        let (stop, text) = told(&till, &setup.relay.url()).await?;
        assert_eq!(stop["next_run"]["does"], json!("stop"), "{text}");
        assert_eq!(stop["relay"]["behind_bytes"], Value::Null, "of another history");
        says(&text, &["the next pull stops: ", "lineage"]);
        let pulled = till.command(&setup.relay.url())?.run(LIMIT).await?;
        assert_eq!(pulled.code, 3, "it does what status said: {}", pulled.stderr);
        Ok(())
    });
}

#[test]
fn when_the_next_run_is_as_the_file_has_it() {
    test(async {
        let setup = Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let till = setup.sqlite("till")?;
        setup.pull(&till).await?;
        let folder = Scratch::new("status-config")?;
        let file = folder.path().join("terminal.toml");
        let file_name = file.display().to_string();
        for (keys, words) in [
            ("cron = \"*/5 * * * *\"", &["schedule cron */5 * * * *; the next run is at "][..]),
            ("every = \"30s\"\nwindow = \"22:00-06:00\"", &["schedule every 30 s, in the hours"]),
            ("follow = true", &["schedule follow; the next run is at "]),
        ] {
            std::fs::write(&file, keys)?;
            let done = status(&till, &setup.relay.url(), &["--config", &file_name])?;
            says(ended(&done.run(LIMIT).await?, 0), words);
        }
        let done = status(&till, &setup.relay.url(), &[])?.run(LIMIT).await?;
        assert!(!ended(&done, 0).contains("schedule"), "{}", done.stdout);
        Ok(())
    });
}
