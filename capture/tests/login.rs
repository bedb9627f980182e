use anyhow::{Result, bail};
use capture::{
    source::{PINNED_SETTINGS, Refusal, Source},
    walsender::{Walsender, WalsenderError},
};
use harness::{Cluster, Mode, Proxy, test};

async fn cluster() -> Result<Cluster> {
    let cluster = Cluster::builder()
        .without_fsync()
        .hba("host all scram 127.0.0.1/32 scram-sha-256")
        .hba("host all md5 127.0.0.1/32 md5")
        .hba("host all clear 127.0.0.1/32 password")
        .hba("host all outcast 127.0.0.1/32 reject")
        .start()
        .await?;
    let roles = "CREATE ROLE scram LOGIN REPLICATION PASSWORD 'sécret /@:?%';
         SET password_encryption = md5;
         CREATE ROLE md5 LOGIN REPLICATION PASSWORD 'secret';
         CREATE ROLE clear LOGIN REPLICATION PASSWORD 'secret';
         CREATE ROLE outcast LOGIN REPLICATION;
         CREATE ROLE reader LOGIN;
         ALTER ROLE md5 SET \"DateStyle\" = 'SQL, DMY';
         ALTER ROLE md5 SET \"TimeZone\" = 'Asia/Tokyo';
         ALTER ROLE md5 SET bytea_output = escape;
         ALTER ROLE md5 SET search_path = public;
         ALTER ROLE md5 SET client_encoding = latin1;
         ALTER ROLE md5 SET statement_timeout = 1000";
    harness::connect(&cluster.url("postgres")).await?.batch_execute(roles).await?;
    Ok(cluster)
}

fn source(cluster: &Cluster, user: &str, password: &str, database: &str) -> Result<Source> {
    let url = cluster.url_as(user, "", database);
    let password = Some(password).filter(|password| !password.is_empty());
    Ok(Source::from_url_and(&url, None, password)?)
}

async fn failure(source: &Source) -> Result<WalsenderError> {
    match Walsender::connect(source).await {
        Ok(_) => bail!("let in: {source}"),
        Err(error) => Ok(error),
    }
}

#[test]
fn every_kind_of_password_works_and_every_refusal_has_its_name() {
    test(async {
        let cluster = cluster().await?;
        for (user, password) in
            [("scram", "sécret /@:?%"), ("md5", "secret"), ("clear", "secret"), ("postgres", "")]
        {
            let source = source(&cluster, user, password, "postgres")?;
            let mut walsender = Walsender::connect(&source).await?;
            assert_eq!(walsender.identify_system().await?.database, "postgres");
            source.connect_sql().await?;
        }
        for (user, database, refusal) in [
            ("scram", "postgres", Refusal::WrongPassword),
            ("md5", "postgres", Refusal::WrongPassword),
            ("clear", "postgres", Refusal::WrongPassword),
            ("outcast", "postgres", Refusal::NotLetIn),
            ("reader", "postgres", Refusal::NoRights),
            ("postgres", "nowhere", Refusal::NoDatabase),
            ("nobody", "postgres", Refusal::NotLetIn),
        ] {
            let error = failure(&source(&cluster, user, "TOPSECRET", database)?).await?;
            assert_eq!(error.refusal(), Some(&refusal), "{user}: {error}");
            assert!(!error.to_string().contains("TOPSECRET"), "{error}");
        }
        let error = failure(&source(&cluster, "scram", "", "postgres")?).await?;
        assert!(matches!(error, WalsenderError::NoPassword { .. }), "{error}");
        Ok(())
    });
}

#[test]
fn settings_are_pinned_whatever_the_role_has() {
    test(async {
        let cluster = cluster().await?;
        let source = source(&cluster, "md5", "secret", "postgres")?;
        let mut walsender = Walsender::connect(&source).await?;
        let sql = source.connect_sql().await?;
        for (name, value) in PINNED_SETTINGS.iter().chain(&[("client_encoding", "UTF8")]) {
            let by_sql: String = sql.query_one(&format!("SHOW {name}"), &[]).await?.get(0);
            for shown in [walsender.show(&name.to_lowercase()).await?, by_sql] {
                let shown = shown.replace(", ", ",");
                assert_eq!(shown.trim_matches('"'), *value, "{name}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_server_that_is_not_there_is_named() {
    test(async {
        let source = Source::from_url_and("postgres://u@127.0.0.1:1/d", None, None)?;
        let error = failure(&source).await?;
        assert!(
            matches!(&error, WalsenderError::Connect { place, .. } if place == "127.0.0.1:1"),
            "{error}"
        );
        let source = Source::from_url_and("postgres://u@no-such-host.invalid/d", None, None)?;
        assert!(matches!(failure(&source).await?, WalsenderError::Connect { .. }));

        let cluster = Cluster::shared().await?;
        let proxy = Proxy::to_port(cluster.port()).await?;
        proxy.set(Mode::Blackhole);
        let url =
            format!("postgres://postgres@127.0.0.1:{}/postgres?connect_timeout=1", proxy.port());
        let error = failure(&Source::from_url_and(&url, None, None)?).await?;
        assert!(matches!(error, WalsenderError::Timeout { .. }), "{error}");

        // The next host takes over.
        let url = format!("postgres://postgres@127.0.0.1:1,127.0.0.1:{}/postgres", cluster.port());
        let walsender = Walsender::connect(&Source::from_url_and(&url, None, None)?).await?;
        assert_eq!(walsender.place(), format!("127.0.0.1:{}", cluster.port()));
        Ok(())
    });
}

#[test]
fn a_unix_socket_works() {
    test(async {
        let cluster = Cluster::shared().await?;
        let folder = cluster.data_dir();
        let folder = folder.parent().unwrap_or(&folder).display().to_string();
        let url = format!(
            "postgres://postgres@/postgres?host={folder}&port={}&sslmode=require",
            cluster.port()
        );
        let source = Source::from_url_and(&url, None, None)?;
        Walsender::connect(&source).await?.identify_system().await?;
        source.connect_sql().await?;
        Ok(())
    });
}

/// Before anybody has proved who they are, a length that lies is refused at once.
#[test]
fn a_stranger_that_announces_a_gibibyte_is_refused() {
    test(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("postgres://u@{}/d?sslmode=disable", listener.local_addr()?);
        let stranger = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await?;
            let frame = [b"R".as_slice(), &((1_u32 << 30) - 1).to_be_bytes(), &[0; 100]].concat();
            tokio::io::AsyncWriteExt::write_all(&mut socket, &frame).await?;
            anyhow::Ok(())
        });
        let connected = Walsender::connect(&Source::from_url_and(&url, None, None)?).await;
        let error = connected.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("claims a length of 1073741823 bytes"), "{error}");
        stranger.await?
    });
}
