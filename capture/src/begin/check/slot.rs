//! The replication slot, where there is one already; and what a standby would have of it.

use postgres_protocol::escape::escape_literal;

use super::super::{
    finding::Finding,
    rules::{Violation, check_slot},
    scope::CheckScope,
    slot::SlotFacts,
};
use crate::source::{Source, SqlError, SqlSession, answer};

/// Standbys get slots from here on (PostgreSQL manual, 47.2.3 "Replication Slot Synchronization").
const FAILOVER_MAJOR: i32 = 17;

/// Whether the slot is there and of use.
pub(super) async fn slot(
    source: &Source,
    sql: &SqlSession,
    scope: &CheckScope<'_>,
    published: bool,
) -> Result<Vec<Finding>, SqlError> {
    let name = scope.slot;
    let slot = SlotFacts::read(sql, name).await?;
    let mut findings = standbys(sql, scope, slot.as_ref()).await?;
    let Some(slot) = slot else { return Ok(findings) };
    match check_slot(&slot, name, source.database()) {
        Ok(()) if !published => {
            let what = format!(
                "the replication slot '{name}' is there, its publication '{}' is not: the server sends nothing, and what was \
                 committed meanwhile cannot be had",
                scope.publication
            );
            findings.push(Finding::missing(what, begin_anew(name)));
        }
        Ok(()) => {}
        Err(Violation::SlotLost { .. }) if scope.lost_slot_goes => {}
        Err(violation @ Violation::SlotLost { .. }) => {
            findings.push(Finding::missing(violation.to_string(), begin_anew(name)));
        }
        Err(violation) => findings.push(Finding::missing(violation.to_string(), [])),
    }
    if let Some(pid) = slot.active_pid {
        let what = format!("the replication slot '{name}' is in use by PID {pid}: a capture runs");
        let query = "SELECT client_addr, application_name, backend_start FROM pg_stat_activity";
        let whose = format!("{query} WHERE pid = {pid}; -- whose it is");
        findings.push(Finding::note(what, [whose]));
    }
    Ok(findings)
}

fn begin_anew(name: &str) -> [String; 2] {
    let name = escape_literal(name);
    [
        format!("SELECT pg_drop_replication_slot({});", name.trim()),
        "-- or `tailwater-capture adopt`, which lets the terminals load what comes next by themselves"
            .to_owned(),
    ]
}

async fn standbys(
    sql: &SqlSession,
    scope: &CheckScope<'_>,
    slot: Option<&SlotFacts>,
) -> Result<Vec<Finding>, SqlError> {
    let query = "
        SELECT pg_catalog.current_setting('server_version_num')::int / 10000,
               coalesce(pg_catalog.current_setting('synchronized_standby_slots', true), ''),
               (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE slot_type = 'physical')";
    let row = answer(sql.query_one(query, &[])).await?;
    let (major, waits_for, physical): (i32, &str, i64) = (row.get(0), row.get(1), row.get(2));
    let mut findings = Vec::new();
    if major < FAILOVER_MAJOR {
        if scope.failover {
            let what = format!(
                "the server is PostgreSQL {major}: standbys get slots from {FAILOVER_MAJOR} on"
            );
            findings.push(Finding::missing(what, ["leave --failover out".to_owned()]));
        }
        return Ok(findings);
    }
    let has = slot.and_then(|slot| slot.failover);
    if (scope.failover || has == Some(true)) && !waits_for.is_empty() {
        let what = format!(
            "synchronized_standby_slots is '{waits_for}': while one of these does not follow, nothing is captured and the master \
             keeps WAL"
        );
        let look = "SELECT slot_name, active, restart_lsn FROM pg_replication_slots WHERE slot_type = 'physical'; -- who follows";
        findings.push(Finding::note(what, [look.to_owned()]));
    }
    if !scope.failover && has != Some(true) && physical > 0 {
        let what = "a standby that is promoted will not have the slot: capture can only begin anew from it";
        let how = "-- run with --failover; on the standby: ALTER SYSTEM SET sync_replication_slots = on; SELECT pg_reload_conf();";
        findings.push(Finding::note(what, [how.to_owned()]));
    }
    Ok(findings)
}
