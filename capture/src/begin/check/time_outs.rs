//! Time-outs of the server, or of the role, that end capture's sessions or its slot. Those that any
//! session may set for itself on every supported server are pinned (`source/session.rs`) and need no look.

use std::{collections::BTreeMap, time::Duration};

use postgres_protocol::escape::escape_identifier;

use super::super::finding::Finding;
use crate::source::{Source, SqlError, SqlSession, answer};

/// Capture answers once a second; a busy machine may be late.
const LEAST_SENDER: Duration = Duration::from_secs(10);
/// Sessions of capture are idle for a few seconds, and for as long as another capture has the slot.
const LEAST_IDLE: Duration = Duration::from_secs(60);

/// The time-outs that are set, as sessions of the role see them; what the server does not know is missing.
pub(super) async fn time_outs(source: &Source, sql: &SqlSession) -> Result<Vec<Finding>, SqlError> {
    let query = "
        SELECT name, setting::int8 * CASE unit WHEN 'ms' THEN 1 WHEN 's' THEN 1000 WHEN 'min' THEN 60000 WHEN 'h' THEN 3600000
                                               WHEN 'd' THEN 86400000 END
        FROM pg_catalog.pg_settings
        WHERE name IN ('wal_sender_timeout', 'idle_replication_slot_timeout', 'transaction_timeout', 'idle_session_timeout')";
    let rows = answer(sql.query(query, &[])).await?;
    let known = rows.iter().filter_map(|row| {
        let ms: Option<i64> = row.get(1);
        Some((row.get::<_, &str>(0), Duration::from_millis(u64::try_from(ms?).ok()?)))
    });
    Ok(judge(&known.collect(), source.user()))
}

fn judge(time_outs: &BTreeMap<&str, Duration>, user: &str) -> Vec<Finding> {
    let role = escape_identifier(user);
    let mut findings = Vec::new();
    let mut note = |what: String, remedy: String| findings.push(Finding::note(what, [remedy]));
    let set = |name: &str| time_outs.get(name).copied().filter(|time| !time.is_zero());
    match time_outs.get("wal_sender_timeout") {
        Some(time) if time.is_zero() => note(
            "wal_sender_timeout is 0: a capture that lost its machine keeps the slot until somebody ends its connection, and the \
             next one waits"
                .to_owned(),
            format!("ALTER ROLE {role} SET wal_sender_timeout = '60s';"),
        ),
        Some(time) if *time < LEAST_SENDER => note(
            format!("wal_sender_timeout is {time:?}: the server ends the stream whenever capture is that late to answer"),
            format!("ALTER ROLE {role} SET wal_sender_timeout = '60s';"),
        ),
        _ => {}
    }
    if let Some(time) = set("idle_replication_slot_timeout") {
        note(
            format!(
                "idle_replication_slot_timeout is {time:?}: a capture that is stopped for longer loses its slot"
            ),
            "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();"
                .to_owned(),
        );
    }
    if let Some(time) = set("transaction_timeout") {
        note(
            format!(
                "transaction_timeout is {time:?} for the role {user}: a first copy that takes longer is cut"
            ),
            format!("ALTER ROLE {role} SET transaction_timeout = 0;"),
        );
    }
    if let Some(time) = set("idle_session_timeout").filter(|time| *time < LEAST_IDLE) {
        note(
            format!(
                "idle_session_timeout is {time:?} for the role {user}: capture's sessions are cut while they wait"
            ),
            format!("ALTER ROLE {role} SET idle_session_timeout = 0;"),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(time_outs: &[(&'static str, u64)]) -> String {
        let seconds =
            |(name, seconds): &(&'static str, u64)| (*name, Duration::from_secs(*seconds));
        let findings = judge(&time_outs.iter().map(seconds).collect(), "tail \"w\"");
        assert!(findings.iter().all(|finding| !finding.blocks && finding.remedy.len() == 1));
        findings.iter().map(|finding| format!("{finding}\n")).collect()
    }

    #[test]
    fn as_they_come_they_do_no_harm() {
        let usual = [
            ("wal_sender_timeout", 60),
            ("idle_replication_slot_timeout", 0),
            ("transaction_timeout", 0),
            ("idle_session_timeout", 0),
        ];
        assert_eq!(found(&usual), "");
        assert_eq!(found(&[]), "");
        assert_eq!(found(&[("idle_session_timeout", 60)]), "");
    }

    #[test]
    fn each_that_harms_is_named_with_its_sql() {
        for (name, seconds, what, sql) in [
            (
                "wal_sender_timeout",
                0,
                "keeps the slot",
                "ALTER ROLE \"tail \"\"w\"\"\" SET wal_sender_timeout = '60s';",
            ),
            ("wal_sender_timeout", 9, "is 9s", "SET wal_sender_timeout = '60s';"),
            (
                "idle_replication_slot_timeout",
                86_400,
                "loses its slot",
                "SET idle_replication_slot_timeout = 0;",
            ),
            (
                "transaction_timeout",
                1,
                "first copy",
                "ALTER ROLE \"tail \"\"w\"\"\" SET transaction_timeout = 0;",
            ),
            ("idle_session_timeout", 59, "is 59s", "SET idle_session_timeout = 0;"),
        ] {
            let said = found(&[(name, seconds)]);
            assert!(said.contains(what) && said.contains(sql), "{said}");
        }
    }
}
