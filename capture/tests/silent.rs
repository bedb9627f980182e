//! A network that takes all that is sent and gives nothing back: each wait for an answer ends.

use std::time::Duration;

use anyhow::Result;
use capture::{
    source::{Source, SqlError, answer_within},
    walsender::{StartReplication, StreamSettings, Walsender, WalsenderError},
};
use harness::{Cluster, Database, Mode, Proxy, test};

const LIMIT: Duration = Duration::from_secs(1);

async fn behind_a_proxy() -> Result<(Proxy, Source, Database)> {
    let cluster = Cluster::shared().await?;
    let database = cluster.database().await?;
    let proxy = Proxy::to_port(cluster.port()).await?;
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/{}?connect_timeout=1",
        proxy.port(),
        database.name()
    );
    Ok((proxy, Source::from_url_and(&url, None, None)?, database))
}

#[test]
fn connecting_ends() {
    test(async {
        let (proxy, source, _database) = behind_a_proxy().await?;
        proxy.set(Mode::Blackhole);
        let error = source.connect_sql().await.err();
        assert!(matches!(error, Some(SqlError::Silent { .. })), "{error:?}");
        let error = Walsender::connect(&source).await.err();
        assert!(matches!(error, Some(WalsenderError::Timeout { .. })), "{error:?}");
        Ok(())
    });
}

#[test]
fn a_statement_ends() {
    test(async {
        let (proxy, source, _database) = behind_a_proxy().await?;
        let sql = source.connect_sql().await?;
        answer_within(LIMIT, sql.simple_query("SELECT 1")).await?;
        proxy.set(Mode::Blackhole);
        let error = answer_within(LIMIT, sql.simple_query("SELECT 1")).await.err();
        assert!(matches!(error, Some(SqlError::Silent { .. })), "{error:?}");
        Ok(())
    });
}

#[test]
fn a_replication_command_ends() {
    test(async {
        let (proxy, source, _database) = behind_a_proxy().await?;
        let mut asked = Walsender::connect(&source).await?;
        let mut starting = Walsender::connect(&source).await?;
        asked.answer_within(LIMIT);
        starting.answer_within(LIMIT);
        asked.identify_system().await?;
        proxy.set(Mode::Blackhole);
        let unanswered =
            |error: &WalsenderError| matches!(error, WalsenderError::Unanswered { .. });
        let error = asked.identify_system().await.unwrap_err();
        assert!(unanswered(&error), "{error}");
        let start = StartReplication { slot: "s".into(), publications: vec!["p".into()] };
        let error = starting.start(&start, StreamSettings::default()).await.err();
        assert!(error.as_ref().is_some_and(unanswered), "{error:?}");
        Ok(())
    });
}
