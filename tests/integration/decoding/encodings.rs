//! Masters whose text is not UTF-8.

use harness::{Cluster, RelayProcess, test};

use super::follows_in;
use crate::{
    ending::says,
    setup::{LIMIT, Options, Setup, Target, Terminal},
};

#[test]
fn latin_1_arrives_as_the_same_characters() {
    test(async {
        let master = Cluster::shared().await?.database_encoded("LATIN1").await?;
        let before = "CREATE TABLE \"Straße\" (\"größe\" text PRIMARY KEY, t text); INSERT INTO \"Straße\" VALUES ('ÄÖÜ', 'ñ ÿ')";
        let after = [
            "INSERT INTO \"Straße\" SELECT chr(i), chr(i) || 'x' FROM generate_series(160, 255) i; UPDATE \"Straße\" SET t = 'é' WHERE \"größe\" = 'ÄÖÜ'",
        ];
        follows_in(master, before, &[], &after).await.map(drop)
    });
}

/// Nobody knows what its bytes mean, so they travel as they are; a PostgreSQL terminal in UTF-8 cannot hold
/// what is none, and says so.
#[test]
fn sql_ascii_travels_as_it_is() {
    test(async {
        let cluster = Cluster::shared().await?;
        let master = cluster.database_encoded("SQL_ASCII").await?;
        let before =
            "CREATE TABLE t (id int PRIMARY KEY, t text); INSERT INTO t VALUES (1, 'grün')";
        let after = ["INSERT INTO t VALUES (2, 'plain'); UPDATE t SET t = 'größer' WHERE id = 1"];
        let setup = follows_in(master, before, &[], &after).await?;
        setup.master.execute("INSERT INTO t VALUES (3, E'\\xff\\xfe')").await?;
        setup.captured().await?;
        let till = setup.sqlite("till")?;
        let loose = Terminal {
            name: "loose".into(),
            target: Target::Postgres(cluster.database_encoded("SQL_ASCII").await?),
            channels: None,
        };
        for terminal in [&till, &loose] {
            setup.pull(terminal).await?;
        }
        let hex = "SELECT string_agg(encode(t::bytea, 'hex'), ' ' ORDER BY id) FROM t WHERE id > 2";
        let in_sqlite = "SELECT group_concat(lower(hex(t)), ' ') FROM (SELECT t FROM t WHERE id > 2 ORDER BY id)";
        assert_eq!(loose.value(hex).await?.as_deref(), Some("fffe"));
        assert_eq!(till.value(in_sqlite).await?.as_deref(), Some("fffe"));
        let strict = setup.postgres("strict").await?;
        let done = strict.command(&setup.relay.url())?.run(LIMIT).await?;
        says(&done, 1, &["public.t", "UTF8"]);

        // The first copy carries them too.
        let master = cluster.database_encoded("SQL_ASCII").await?;
        let before =
            "CREATE TABLE t (id int PRIMARY KEY, t text); INSERT INTO t VALUES (3, E'\\xff\\xfe')";
        master.execute(before).await?;
        let relay = RelayProcess::builder().start().await?;
        let setup = Setup::with(master, relay, Options::default()).await?;
        let fresh = setup.sqlite("fresh")?;
        setup.pull(&fresh).await?;
        assert_eq!(fresh.value(in_sqlite).await?.as_deref(), Some("fffe"));
        Ok(())
    });
}
