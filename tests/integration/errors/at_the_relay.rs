//! The relay itself, and capture in front of it.

use std::path::Path;

use anyhow::Result;
use harness::{
    Cluster, Finished, Mode, ProcessBuilder, Proxy, RelayProcess, Scratch, binary, free_port, test,
};

use crate::{
    ending::{hides, says},
    setup::{LIMIT, SOURCE, capture_command},
};

fn relay(args: &[&str]) -> Result<ProcessBuilder> {
    Ok(ProcessBuilder::new("relay", binary("tailwater-relay")?).args(args))
}

/// Makes a token, which is all of standard output.
async fn token(data: &Path, name: &str, role: &str) -> Result<String> {
    let data = data.display().to_string();
    let done =
        relay(&["token", "add", name, "--data-dir", &data, "--role", role])?.run(LIMIT).await?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    Ok(done.stdout.trim().to_owned())
}

#[test]
fn capture_without_a_relay() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let done =
            capture_command(&master, &url)?.args(["--start-within", "2s"]).run(LIMIT).await?;
        says(&done, 4, &[&url, "cannot be reached", "check that it runs"]);

        // Something answers, but it is no relay.
        let proxy = Proxy::to_port(port).await?;
        proxy.set(Mode::Html(200));
        let done = capture_command(&master, &proxy.url())?
            .args(["--start-within", "2s"])
            .run(LIMIT)
            .await?;
        says(&done, 4, &[&proxy.url(), "relay", "proxy"]);
        proxy.set(Mode::Html(502));
        let done = capture_command(&master, &proxy.url())?
            .args(["--start-within", "2s"])
            .run(LIMIT)
            .await?;
        says(&done, 4, &[&proxy.url(), "502"]);
        Ok(())
    });
}

#[test]
fn capture_without_the_right_token() {
    test(async {
        let master = Cluster::shared().await?.database().await?;
        let server = RelayProcess::builder().start().await?;
        let right = token(server.data_dir(), "capture", "capture").await?;
        let terminal = token(server.data_dir(), "store", "terminal").await?;
        let command = || capture_command(&master, &server.url());
        let none = command()?.run(LIMIT).await?;
        says(&none, 3, &[&server.url(), "token", "TAILWATER_TOKEN", "--role capture"]);
        let wrong = "tw_this-is-not-the-token-you-look-for";
        let done = command()?.env("TAILWATER_TOKEN", wrong).run(LIMIT).await?;
        says(&done, 3, &[&server.url(), "token", "--role capture"]);
        hides(&done, wrong);
        let done = command()?.env("TAILWATER_TOKEN", &terminal).run(LIMIT).await?;
        says(&done, 3, &[&server.url(), "role", "capture"]);
        hides(&done, &terminal);

        // By a file: missing, empty, right.
        let folder = Scratch::new("token")?;
        let file = folder.path().join("token");
        let name = file.display().to_string();
        let done = command()?.args(["--token-file", &name]).run(LIMIT).await?;
        says(&done, 2, &[&name, "cannot be read"]);
        std::fs::write(&file, "\n")?;
        let done = command()?.args(["--token-file", &name]).run(LIMIT).await?;
        says(&done, 2, &[&name, "empty"]);
        std::fs::write(&file, format!("{right}\n"))?;
        let mut capture = command()?.args(["--token-file", &name]).spawn()?;
        let known = async || -> Result<bool> {
            let answer = harness::http_client()?
                .get(format!("{}/v1/{SOURCE}/requests?wait=0", server.url()))
                .bearer_auth(&right)
                .send()
                .await?;
            Ok(answer.status().is_success() && capture.stderr().contains("following"))
        };
        harness::eventually("capture follows", LIMIT, known).await?;
        // Revoked while it runs.
        let data = server.data_dir().display().to_string();
        let revoked =
            relay(&["token", "revoke", "capture", "--data-dir", &data])?.run(LIMIT).await?;
        assert_eq!(revoked.code, 0, "{}", revoked.stderr);
        master.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let done = capture.wait(LIMIT).await?;
        says(&done, 3, &["token"]);
        for output in [&none, &done] {
            hides(output, &right);
        }
        Ok(())
    });
}

#[test]
fn off_loopback_only_with_tokens() {
    test(async {
        let folder = Scratch::new("relay")?;
        let data = folder.path().join("data");
        let (data_dir, port) = (data.display().to_string(), free_port()?);
        for listen in [format!("0.0.0.0:{port}"), format!("[::]:{port}")] {
            let done =
                relay(&["serve", "--listen", &listen, "--data-dir", &data_dir])?.run(LIMIT).await?;
            says(&done, 2, &["token", "token add", &data_dir]);
        }
        token(&data, "ops", "ops").await?;
        let listen = format!("0.0.0.0:{port}");
        let mut open = relay(&["serve", "--listen", &listen, "--data-dir", &data_dir])?.spawn()?;
        let url = format!("http://127.0.0.1:{port}/v1/sources");
        let refused = async || -> Result<bool> {
            assert!(open.is_running()?, "{}", open.stderr());
            Ok(harness::http_client()?
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 401))
        };
        harness::eventually("it serves, and asks for a token", LIMIT, refused).await
    });
}

#[test]
fn a_second_relay_on_one_folder_or_port() {
    test(async {
        let mut first = RelayProcess::builder().start().await?;
        let data = first.data_dir().display().to_string();
        let listen = format!("127.0.0.1:{}", free_port()?);
        let second =
            relay(&["serve", "--listen", &listen, "--data-dir", &data])?.run(LIMIT).await?;
        assert!([1, 2].contains(&second.code), "{}", second.code);
        says(&second, second.code, &[&data, "another"]);
        let folder = Scratch::new("relay")?;
        let other = folder.path().join("data").display().to_string();
        let listen = format!("127.0.0.1:{}", first.port());
        let third =
            relay(&["serve", "--listen", &listen, "--data-dir", &other])?.run(LIMIT).await?;
        assert!([1, 2].contains(&third.code), "{}", third.code);
        says(&third, third.code, &[&listen, "another"]);
        assert!(first.is_running()?);
        first.wait_ready().await
    });
}

#[test]
fn folders_and_addresses_that_cannot_be() {
    test(async {
        let folder = Scratch::new("relay")?;
        let file = folder.path().join("file");
        std::fs::write(&file, "not a folder")?;
        let path = file.display().to_string();
        let listen = format!("127.0.0.1:{}", free_port()?);
        let ended = async |listen: &str, data: &str| -> Result<Finished> {
            relay(&["serve", "--listen", listen, "--data-dir", data])?.run(LIMIT).await
        };
        let done = ended(&listen, &path).await?;
        assert!([1, 2].contains(&done.code), "{}", done.code);
        says(&done, done.code, &[&path]);
        let data = folder.path().join("data").display().to_string();
        for wrong in ["here", "127.0.0.1", "127.0.0.1:99999", "192.0.2.1:7070"] {
            let done = ended(wrong, &data).await?;
            says(&done, 2, &[wrong]);
        }
        Ok(())
    });
}

/// Questions over HTTP that are wrong: answered as problems, with words for people.
#[test]
fn questions_that_cannot_be_answered() {
    test(async {
        let setup = crate::setup::Setup::shared("CREATE TABLE t (id int PRIMARY KEY)").await?;
        for (path, status, kind, words) in [
            ("/v1/orders/log?after=here", 400, "bad-request", ["here", "position"]),
            ("/v1/orders/log", 400, "bad-request", ["after", "LSN"]),
            ("/v1/nothing/log?after=0/0", 404, "unknown-source", ["nothing", "source"]),
            ("/v1/nothing/lag", 404, "unknown-source", ["nothing", "source"]),
            ("/v1/orders/log?after=0/1", 410, "expired", ["0/1", "snapshot"]),
            ("/v1/orders/log?after=FFFF/0", 409, "behind-you", ["FFFF/0", "head"]),
        ] {
            let answer = setup.relay.get(path)?.send().await?;
            assert_eq!(answer.status().as_u16(), status, "{path}");
            let kind_of = answer.headers().get("content-type").cloned();
            assert_eq!(kind_of.unwrap(), wire::PROBLEM_TYPE, "{path}");
            let text = answer.text().await?;
            assert!(text.contains(&format!("urn:tailwater:problem:{kind}")), "{path}: {text}");
            for word in words {
                assert!(text.contains(word), "{path} does not say '{word}': {text}");
            }
        }
        Ok(())
    });
}
