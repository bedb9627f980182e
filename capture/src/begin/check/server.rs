//! The server: its version and the settings that capture depends on.

use super::super::{finding::Finding, scope::CheckScope};
use crate::source::{SqlError, SqlSession, answer};

/// Partitioned tables can be published from here on.
const OLDEST_MAJOR: i32 = 13;
/// A publication can list columns from here on.
const COLUMN_LISTS_MAJOR: i32 = 15;

const KEEP_MORE: &str = "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); -- a limit you can spare";

pub(super) async fn server(
    sql: &SqlSession,
    scope: &CheckScope<'_>,
) -> Result<Vec<Finding>, SqlError> {
    let query = "
        SELECT pg_catalog.current_setting('server_version_num')::int / 10000,
               pg_catalog.current_setting('wal_level'),
               pg_catalog.current_setting('max_replication_slots')::int8,
               (SELECT count(*) FROM pg_catalog.pg_replication_slots),
               EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1),
               pg_catalog.current_setting('max_wal_senders')::int8,
               (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender'),
               pg_catalog.pg_is_in_recovery(),
               (SELECT pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database
                WHERE datname = pg_catalog.current_database()),
               pg_catalog.current_setting('max_slot_wal_keep_size', true),
               pg_catalog.current_setting('max_wal_size'),
               pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_slot_wal_keep_size', true))
                   < pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size'))";
    let row = answer(sql.query_one(query, &[&scope.slot])).await?;
    let mut findings = Vec::new();
    let (major, wal_level): (i32, String) = (row.get(0), row.get(1));
    if major < COLUMN_LISTS_MAJOR && scope.selection.exclude.iter().next().is_some() {
        let what = format!(
            "the server is PostgreSQL {major}: columns can be left out from {COLUMN_LISTS_MAJOR} on"
        );
        findings
            .push(Finding::missing(what, ["upgrade the server, or leave exclude out".to_owned()]));
    }
    if major < OLDEST_MAJOR {
        let what = format!("the server is PostgreSQL {major}, {OLDEST_MAJOR} or later is needed");
        findings.push(Finding::missing(what, ["upgrade the server".to_owned()]));
    }
    if wal_level != "logical" {
        let what = format!("wal_level is '{wal_level}', 'logical' is needed");
        let restart = "-- then restart the server".to_owned();
        findings.push(Finding::missing(
            what,
            ["ALTER SYSTEM SET wal_level = 'logical';".to_owned(), restart],
        ));
    }
    let (slots, used, exists): (i64, i64, bool) = (row.get(2), row.get(3), row.get(4));
    if !exists && used >= slots {
        let what = format!("all {slots} replication slots are taken (max_replication_slots)");
        let raise = format!("ALTER SYSTEM SET max_replication_slots = {};", slots + 5);
        let or = "-- then restart the server; or drop a slot nobody uses: SELECT * FROM pg_replication_slots WHERE NOT active;";
        findings.push(Finding::missing(what, [raise, or.to_owned()]));
    }
    let (senders, busy): (i64, i64) = (row.get(5), row.get(6));
    if busy >= senders {
        let what = format!("all {senders} WAL senders are taken (max_wal_senders)");
        let raise = format!("ALTER SYSTEM SET max_wal_senders = {};", senders + 5);
        findings.push(Finding::missing(what, [raise, "-- then restart the server".to_owned()]));
    }
    if row.get(7) {
        let what = "the server is a standby: capture needs the master".to_owned();
        findings.push(Finding::missing(what, ["point --source to the master".to_owned()]));
    }
    if row.get::<_, &str>(8) == "SQL_ASCII" {
        let what = "the database's encoding is SQL_ASCII: texts that are not UTF-8 cannot be stored by most terminals";
        findings.push(Finding::note(what, []));
    }
    let keep: Option<&str> = row.get(9);
    if let Some(keep) =
        keep.filter(|keep| *keep != "-1" && row.get::<_, Option<bool>>(11) == Some(true))
    {
        let most: &str = row.get(10);
        let what = format!(
            "max_slot_wal_keep_size is {keep}, less than max_wal_size ({most}): once that much is written while no relay takes changes, \
             the slot is lost"
        );
        findings.push(Finding::note(what, [KEEP_MORE.to_owned()]));
    }
    if keep == Some("-1") {
        let what = "max_slot_wal_keep_size is -1: while no relay takes changes, the master keeps WAL until its disk is full";
        findings.push(Finding::note(what, [KEEP_MORE.to_owned()]));
    }
    Ok(findings)
}
