use anyhow::{Result, bail};
use capture::{
    source::Source,
    walsender::{Walsender, WalsenderError},
};
use harness::{Cluster, test};

use crate::certificates;

async fn cluster() -> Result<Cluster> {
    let cluster = Cluster::builder()
        .without_fsync()
        .hba("hostssl all scram 127.0.0.1/32 scram-sha-256")
        .hba("hostnossl all scram 127.0.0.1/32 reject")
        .hba("host all plain 127.0.0.1/32 scram-sha-256")
        .start()
        .await?;
    let client = harness::connect(&cluster.url("postgres")).await?;
    client
        .batch_execute("CREATE ROLE scram LOGIN REPLICATION PASSWORD 'pencil'; CREATE ROLE plain LOGIN REPLICATION PASSWORD 'pencil'")
        .await?;
    Ok(cluster)
}

/// Both clients, at the same URL; whether each connection has TLS.
async fn try_both(url: &str) -> Result<bool> {
    let source = Source::from_url_and(url, None, None)?;
    let mut walsender = Walsender::connect(&source).await?;
    let sql = source.connect_sql().await?;
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let by_sql: bool = sql.query_one(query, &[]).await?.get(0);
    let rows = walsender.query("to tell", query).await?;
    let by_walsender = rows.first().and_then(|row| row.first()?.as_deref()) == Some(b"t");
    anyhow::ensure!(by_sql == by_walsender, "{url}: {by_sql} and {by_walsender}");
    walsender.close().await;
    Ok(by_sql)
}

async fn failure(url: &str) -> Result<WalsenderError> {
    let source = Source::from_url_and(url, None, None)?;
    anyhow::ensure!(source.connect_sql().await.is_err(), "SQL let in: {url}");
    match Walsender::connect(&source).await {
        Ok(_) => bail!("let in: {url}"),
        Err(error) => Ok(error),
    }
}

#[test]
fn every_sslmode_means_what_libpq_means() {
    test(async {
        let mut cluster = cluster().await?;
        let port = cluster.port();
        let url = |user: &str, host: &str, options: &str| {
            format!("postgres://{user}:pencil@{host}:{port}/postgres?{options}")
        };
        // Without TLS at the server.
        assert!(!try_both(&url("plain", "127.0.0.1", "sslmode=prefer")).await?);
        let error = failure(&url("plain", "127.0.0.1", "sslmode=require")).await?;
        assert!(matches!(error, WalsenderError::NoTls { .. }), "{error}");
        let error = failure(&url("plain", "127.0.0.1", "channel_binding=require")).await?;
        assert!(matches!(error, WalsenderError::NoChannelBinding { .. }), "{error}");

        let files = certificates::make(&cluster)?;
        let own = files.self_signed.display();
        let root = files.root.display();
        certificates::serve(&mut cluster, "self").await?;
        assert!(!try_both(&url("plain", "127.0.0.1", "sslmode=disable")).await?);
        for (host, options) in [
            ("127.0.0.1", "sslmode=prefer".to_owned()),
            ("127.0.0.1", "sslmode=require&channel_binding=require".to_owned()),
            ("127.0.0.1", "sslmode=require&channel_binding=disable".to_owned()),
            ("127.0.0.1", format!("sslmode=require&sslrootcert={own}")),
            ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={own}")),
            ("localhost", format!("sslmode=verify-full&sslrootcert={own}&channel_binding=require")),
        ] {
            assert!(try_both(&url("scram", host, &options)).await?, "{options}");
        }
        for (host, options) in [
            ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={own}")),
            ("localhost", format!("sslmode=verify-full&sslrootcert={root}")),
            ("localhost", format!("sslmode=verify-ca&sslrootcert={root}")),
            ("localhost", format!("sslmode=require&sslrootcert={root}")),
            ("localhost", "sslmode=verify-full".to_owned()),
        ] {
            let error = failure(&url("scram", host, &options)).await?;
            assert!(matches!(error, WalsenderError::Handshake { .. }), "{options}: {error}");
        }
        let error =
            failure(&url("scram", "localhost", "sslmode=verify-full&sslrootcert=/nowhere")).await?;
        assert!(error.to_string().contains("sslrootcert from /nowhere"), "{error}");
        let error = failure(&url("scram", "localhost", "sslmode=disable")).await?;
        assert_eq!(error.refusal(), Some(&capture::source::Refusal::NotLetIn), "{error}");

        certificates::serve(&mut cluster, "signed").await?;
        for (host, options) in [
            (
                "127.0.0.1",
                format!("sslmode=verify-full&sslrootcert={root}&channel_binding=require"),
            ),
            ("localhost", format!("sslmode=verify-full&sslrootcert={root}")),
        ] {
            assert!(try_both(&url("scram", host, &options)).await?, "{options}");
        }
        let error =
            failure(&url("scram", "localhost", &format!("sslmode=verify-ca&sslrootcert={own}")))
                .await?;
        assert!(matches!(error, WalsenderError::Handshake { .. }), "{error}");
        Ok(())
    });
}
