//! Proxies of the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.

use anyhow::Result;
use harness::{ForwardProxy, ProcessBuilder, RelayProcess, Tables, TlsFront, eventually, test};

use crate::{
    ending::says,
    setup::{LIMIT, SOURCE, Setup, capture_command},
};

const TABLE: &str =
    "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)";

/// With a proxy for everything, loopback among it.
fn by(command: ProcessBuilder, variable: &str, proxy: &ForwardProxy) -> ProcessBuilder {
    let command = command.env("NO_PROXY", "").env("no_proxy", "");
    command.env(variable, proxy.url())
}

#[test]
fn a_terminal_loads_and_follows_through_a_proxy() {
    test(async {
        let setup = Setup::shared(TABLE).await?;
        let url = setup.relay.url();
        let till = setup.sqlite("till")?;
        let proxy = ForwardProxy::start().await?;
        let mut following =
            by(till.command(&url)?.arg("--follow"), "HTTP_PROXY", &proxy).spawn()?;
        eventually("it is loaded", LIMIT, async || {
            let table = "SELECT count(*) FROM sqlite_schema WHERE name = 't'";
            let there = till.value(table).await.is_ok_and(|count| count.as_deref() == Some("1"));
            Ok(there && till.value("SELECT count(*) FROM t").await?.as_deref() == Some("1000"))
        })
        .await?;
        setup.master.execute("INSERT INTO t VALUES (4711)").await?;
        eventually("the change arrives", LIMIT, async || {
            Ok(till.value("SELECT max(id) FROM t").await?.as_deref() == Some("4711"))
        })
        .await?;
        assert_eq!(following.stop().await?.code, 0);
        till.equals(&setup.master, &Tables::All).await?;
        let passed = proxy.requests();
        for path in ["snapshot", "objects/", "log?after="] {
            let request = format!("GET {url}/v1/{SOURCE}/{path}");
            assert!(passed.iter().any(|it| it.starts_with(&request)), "{request}: {passed:?}");
        }

        // ALL_PROXY does for both, and NO_PROXY for exceptions.
        let other = ForwardProxy::start().await?;
        let done = by(till.command(&url)?, "ALL_PROXY", &other).run(LIMIT).await?;
        assert!(done.code == 0 && !other.requests().is_empty(), "{}", done.stderr);
        let count = other.requests().len();
        let done = till.command(&url)?.env("ALL_PROXY", other.url()).run(LIMIT).await?;
        assert_eq!((done.code, other.requests().len()), (0, count), "NO_PROXY: {}", done.stderr);
        Ok(())
    });
}

#[test]
fn https_goes_through_a_tunnel() {
    test(async {
        let setup = Setup::shared(TABLE).await?;
        let front = TlsFront::to_port(setup.relay.port()).await?;
        let till = setup.sqlite("till")?;
        let proxy = ForwardProxy::start().await?;
        let command = || -> Result<ProcessBuilder> {
            let command = till.command(front.url())?.env("SSL_CERT_FILE", front.root());
            Ok(by(command.args(["--timeout", "5s"]), "HTTPS_PROXY", &proxy))
        };
        let done = command()?.run(LIMIT).await?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        till.equals(&setup.master, &Tables::All).await?;
        let tunnel = format!("CONNECT {}", front.url().trim_start_matches("https://"));
        let passed = proxy.requests();
        assert!(!passed.is_empty() && passed.iter().all(|it| *it == tunnel), "{passed:?}");
        // A proxy that gives no tunnel.
        proxy.fail(usize::MAX);
        let done = command()?.run(LIMIT).await?;
        says(&done, 4, &[front.url(), "proxy", "tunnel"]);
        Ok(())
    });
}

#[test]
fn a_proxy_that_answers_itself_is_named_and_asked_again() {
    test(async {
        let setup = Setup::shared(TABLE).await?;
        let till = setup.sqlite("till")?;
        let proxy = ForwardProxy::start().await?;
        let url = setup.relay.url();
        proxy.fail(2);
        let done = by(till.command(&url)?, "HTTP_PROXY", &proxy).run(LIMIT).await?;
        says(&done, 0, &["answered 502, text/html", "Bad Gateway: the upstream", "trying again"]);
        assert_eq!(proxy.still_failing(), 0);
        till.equals(&setup.master, &Tables::All).await?;
        proxy.fail(usize::MAX);
        let command = till.command(&url)?.args(["--timeout", "2s"]);
        let done = by(command, "HTTP_PROXY", &proxy).run(LIMIT).await?;
        says(&done, 4, &[&url, "answered 502, text/html", "what proxy stands before it"]);
        Ok(())
    });
}

#[test]
fn capture_feeds_the_relay_through_a_proxy() {
    test(async {
        let master = harness::Cluster::shared().await?.database().await?;
        master.execute(TABLE).await?;
        let relay = RelayProcess::builder().start().await?;
        let proxy = ForwardProxy::start().await?;
        let command = capture_command(&master, &relay.url())?;
        let capture = by(command, "http_proxy", &proxy).spawn()?;
        let setup = Setup::assembled(master, relay, capture);
        setup.captured().await?;
        setup.all_equal(&[&setup.sqlite("till")?]).await?;
        let passed = proxy.requests();
        for path in ["session", "objects", "snapshot", "log"] {
            let request = format!("POST {}/v1/{SOURCE}/{path}", setup.relay.url());
            assert!(passed.contains(&request), "{request}: {passed:?}");
        }
        Ok(())
    });
}
