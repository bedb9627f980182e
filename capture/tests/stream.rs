use std::time::Duration;

use anyhow::{Result, bail};
use capture::{
    pgoutput::{Message, OldTuple, Value, decode},
    source::Source,
    walsender::{
        CopyData, Feedback, SlotSnapshot, StartReplication, StreamReader, StreamSettings, Walsender,
    },
};
use harness::{Cluster, Database, Lsn, Proxy, test};

/// Makes a slot and a publication of everything, and opens the stream.
pub(crate) async fn open(
    database: &Database,
    slot: &str,
    settings: StreamSettings,
) -> Result<(StreamReader, Feedback)> {
    open_at(database, database.url(), slot, settings).await
}

/// The same, the stream coming from `url`.
async fn open_at(
    database: &Database,
    url: &str,
    slot: &str,
    settings: StreamSettings,
) -> Result<(StreamReader, Feedback)> {
    database.execute("CREATE PUBLICATION \"All, 'of' \"\"it\"\"\" FOR ALL TABLES").await?;
    let mut walsender = connect(url).await?;
    walsender.create_slot(slot, SlotSnapshot::Nothing).await?;
    reopen(walsender, slot, settings).await
}

pub(crate) async fn connect(url: &str) -> Result<Walsender> {
    Ok(Walsender::connect(&Source::from_url_and(url, None, None)?).await?)
}

pub(crate) async fn reopen(
    walsender: Walsender,
    slot: &str,
    settings: StreamSettings,
) -> Result<(StreamReader, Feedback)> {
    let start =
        StartReplication { slot: slot.into(), publications: vec!["All, 'of' \"it\"".into()] };
    Ok(walsender.start(&start, settings).await?)
}

/// The next decoded message.
pub(crate) async fn next(reader: &mut StreamReader) -> Result<Message> {
    loop {
        if let CopyData::XLogData(data) = reader.next().await? {
            return Ok(decode(data.payload, data.start)?);
        }
    }
}

/// The messages of the next transaction, without begin and commit; and its end.
pub(crate) async fn transaction(reader: &mut StreamReader) -> Result<(Vec<Message>, Lsn)> {
    let Message::Begin(begin) = next(reader).await? else { bail!("no begin") };
    let mut changes = Vec::new();
    loop {
        match next(reader).await? {
            Message::Commit(commit) => {
                assert_eq!(commit.commit_lsn, begin.final_lsn);
                assert_eq!(commit.commit_time_us, begin.commit_time_us);
                return Ok((changes, commit.end_lsn));
            }
            change => changes.push(change),
        }
    }
}

#[test]
fn every_kind_of_change_is_decoded() {
    test(async {
        // Of its own: whatever others do to shared catalogues makes the server send relations again.
        let cluster = Cluster::builder().without_fsync().start().await?;
        let database = cluster.database().await?;
        database
            .execute(
                "CREATE TYPE mood AS ENUM ('ok');
                 CREATE TABLE t (id int PRIMARY KEY, m mood, big text, n numeric(10,2));
                 ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
                 CREATE TABLE f (a int, b text); ALTER TABLE f REPLICA IDENTITY FULL; CREATE TABLE none ()",
            )
            .await?;
        let (mut reader, feedback) = open(&database, "kinds", StreamSettings::default()).await?;
        database
            .execute("INSERT INTO t VALUES (1, 'ok', repeat('x', 10000), NULL), (2, NULL, '', 1.5)")
            .await?;
        let (changes, _) = transaction(&mut reader).await?;
        let [
            Message::Type(mood),
            Message::Relation(t),
            Message::Insert(first),
            Message::Insert(second),
        ] = &changes[..]
        else {
            bail!("{changes:?}")
        };
        assert_eq!((mood.schema.as_str(), mood.name.as_str()), ("public", "mood"));
        let columns: Vec<_> = t
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.is_key, column.type_modifier))
            .collect();
        assert_eq!(
            columns,
            [
                ("id", true, -1),
                ("m", false, -1),
                ("big", false, -1),
                ("n", false, (10 << 16 | 2) + 4)
            ]
        );
        let big = "x".repeat(10_000);
        assert_eq!(
            first.new.values().collect::<Vec<_>>(),
            [Value::Text(b"1"), Value::Text(b"ok"), Value::Text(big.as_bytes()), Value::Null]
        );
        assert_eq!(second.new.values().nth(2), Some(Value::Text(b"")));

        database.execute("UPDATE t SET n = 2 WHERE id = 1; UPDATE t SET id = 7 WHERE id = 1; DELETE FROM t WHERE id = 2").await?;
        let (changes, _) = transaction(&mut reader).await?;
        let [Message::Update(update), Message::Update(rename), Message::Delete(delete)] =
            &changes[..]
        else {
            bail!("{changes:?}")
        };
        assert_eq!(
            (update.old.as_ref(), update.new.values().nth(2)),
            (None, Some(Value::Unchanged))
        );
        let Some(OldTuple::Key(key)) = &rename.old else { bail!("{rename:?}") };
        assert_eq!(key.values().next(), Some(Value::Text(b"1")));
        assert!(
            matches!(&delete.old, OldTuple::Key(key) if key.values().next() == Some(Value::Text(b"2")))
        );

        database.execute("INSERT INTO f VALUES (1, NULL); UPDATE f SET b = 'y'; DELETE FROM f; INSERT INTO none DEFAULT VALUES").await?;
        let (changes, _) = transaction(&mut reader).await?;
        let [
            Message::Relation(_),
            Message::Insert(_),
            Message::Update(update),
            Message::Delete(_),
            Message::Relation(none),
            Message::Insert(empty),
        ] = &changes[..]
        else {
            bail!("{changes:?}")
        };
        assert!(
            matches!(&update.old, Some(OldTuple::Full(old)) if old.values().nth(1) == Some(Value::Null))
        );
        assert!(none.columns.is_empty() && empty.new.is_empty());

        database.execute("TRUNCATE t, f RESTART IDENTITY CASCADE").await?;
        let (changes, _) = transaction(&mut reader).await?;
        let Some(Message::Truncate(truncate)) = changes.last() else { bail!("{changes:?}") };
        assert!(truncate.cascade && truncate.restart_identity && truncate.relation_oids.len() == 2);

        database.execute("SELECT pg_logical_emit_message(true, 'p', 'in'), pg_logical_emit_message(false, 'q', '\\x00'::bytea)").await?;
        let Message::Logical(outside) = next(&mut reader).await? else { bail!("no message") };
        assert!(!outside.transactional && outside.prefix == "q" && outside.content == b"\0"[..]);
        let (changes, _) = transaction(&mut reader).await?;
        assert!(
            matches!(&changes[..], [Message::Logical(inside)] if inside.transactional && inside.content == "in"),
            "{changes:?}"
        );
        feedback.close().await?;
        Ok(())
    });
}

#[test]
fn what_is_reported_as_durable_is_not_sent_again() {
    test(async {
        let database = Cluster::shared().await?.database().await?;
        database.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let (mut reader, feedback) =
            open(&database, "acknowledged", StreamSettings::default()).await?;
        let mut ends = Vec::new();
        for id in 1..=3 {
            database.execute(&format!("INSERT INTO t VALUES ({id})")).await?;
            ends.push(transaction(&mut reader).await?.1);
        }
        feedback.report(ends[1], ends[1]);
        feedback.close().await?;

        let query =
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'acknowledged'";
        harness::eventually("the slot follows", Duration::from_secs(5), async || {
            Ok(database.value(query).await? == Some(ends[1].to_string()))
        })
        .await?;
        harness::eventually("the slot is free", Duration::from_secs(5), async || {
            let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'acknowledged'";
            Ok(database.value(active).await?.as_deref() == Some("f"))
        })
        .await?;
        let (mut reader, feedback) =
            reopen(connect(database.url()).await?, "acknowledged", StreamSettings::default())
                .await?;
        assert_eq!(transaction(&mut reader).await?.1, ends[2]);
        feedback.close().await?;
        Ok(())
    });
}

#[test]
fn a_value_of_300_megabytes_passes() {
    test(async {
        // Of its own: whatever others do to shared catalogues makes the server send relations again.
        let cluster = Cluster::builder().without_fsync().start().await?;
        let database = cluster.database().await?;
        database.execute("CREATE TABLE t (id int PRIMARY KEY, big text)").await?;
        let (mut reader, feedback) = open(&database, "large", StreamSettings::default()).await?;
        database
            .execute("INSERT INTO t VALUES (1, repeat('0123456789', 30000000)), (2, 'small')")
            .await?;
        let (changes, _) = transaction(&mut reader).await?;
        let [_, Message::Insert(large), Message::Insert(small)] = &changes[..] else {
            bail!("{} changes", changes.len())
        };
        let Some(Value::Text(big)) = large.new.values().nth(1) else { bail!("no text") };
        assert!(big.len() == 300_000_000 && big.chunks(10).all(|chunk| chunk == b"0123456789"));
        assert_eq!(small.new.values().nth(1), Some(Value::Text(b"small")));
        feedback.close().await?;
        Ok(())
    });
}

#[test]
fn reads_given_up_in_select_lose_nothing() {
    test(async {
        let database = Cluster::shared().await?.database().await?;
        database.execute("CREATE TABLE t (id int PRIMARY KEY, filler text)").await?;
        // Slow enough that the reader waits again and again.
        let proxy = Proxy::to_port(Cluster::shared().await?.port()).await?;
        proxy.limit(Some(10_000_000));
        let url = format!("postgres://postgres@127.0.0.1:{}/{}", proxy.port(), database.name());
        let settings = StreamSettings::default();
        let (mut reader, feedback) = open_at(&database, &url, "select", settings).await?;
        let rows = 20_000;
        database
            .execute(&format!(
                "INSERT INTO t SELECT n, repeat('f', n % 3000) FROM generate_series(1, {rows}) n"
            ))
            .await?;
        let mut seen = 0;
        let mut given_up = 0;
        loop {
            let message = tokio::select! {
                biased;
                () = tokio::task::yield_now() => { given_up += 1; None }
                message = next(&mut reader) => Some(message?),
            };
            // Every other attempt gets its chance; the one in between is dropped after one poll.
            let message = match message {
                None => tokio::time::timeout(Duration::from_micros(50), next(&mut reader))
                    .await
                    .ok()
                    .transpose()?,
                message => message,
            };
            match message {
                Some(Message::Insert(insert)) => {
                    seen += 1;
                    let Some(Value::Text(id)) = insert.new.values().next() else { bail!("no id") };
                    assert_eq!(String::from_utf8_lossy(id), seen.to_string());
                }
                Some(Message::Commit(_)) => break,
                _ => {}
            }
        }
        assert_eq!(seen, rows);
        assert!(given_up > 100, "{given_up}");
        feedback.close().await?;
        Ok(())
    });
}
