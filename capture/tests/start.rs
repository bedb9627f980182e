use std::time::Duration;

use anyhow::bail;
use capture::{
    pgoutput::{Message, Value},
    walsender::StreamSettings,
};
use harness::{Cluster, test};

use crate::stream::{connect, open, reopen, transaction};

/// PITFALLS 2: the stream begins where the slot stands, not where the server is by now. From the
/// position that IDENTIFY_SYSTEM gives, what was committed before it would be passed over in silence.
#[test]
fn the_stream_begins_at_the_slot_and_not_at_the_servers_position() {
    test(async {
        let database = Cluster::shared().await?.database().await?;
        database.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let (mut reader, feedback) = open(&database, "begins", StreamSettings::default()).await?;
        // On disk when it returns, so that the server's position is behind it.
        let insert = |id| {
            format!("BEGIN; SET LOCAL synchronous_commit = on; INSERT INTO t VALUES ({id}); COMMIT")
        };
        database.execute(&insert(1)).await?;
        transaction(&mut reader).await?;
        feedback.close().await?;
        database.execute(&insert(2)).await?;
        let mut walsender = connect(database.url()).await?;
        let now = walsender.identify_system().await?.position;
        harness::eventually("the slot is free", Duration::from_secs(20), async || {
            let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'begins'";
            Ok(database.value(active).await?.as_deref() == Some("f"))
        })
        .await?;
        database.execute(&insert(3)).await?;
        let (mut reader, feedback) = reopen(walsender, "begins", StreamSettings::default()).await?;
        for id in ["1", "2", "3"] {
            let (changes, end) = transaction(&mut reader).await?;
            assert_eq!(end <= now, id != "3", "the test proves nothing: {id}: {end}, {now}");
            let Some(Message::Insert(insert)) = changes.last() else { bail!("{changes:?}") };
            assert_eq!(insert.new.values().next(), Some(Value::Text(id.as_bytes())));
        }
        feedback.close().await?;
        Ok(())
    });
}
