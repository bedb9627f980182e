//! The replication slot, where there is one already.

use postgres_protocol::escape::escape_literal;

use super::super::{
    finding::Finding,
    rules::{Violation, check_slot},
    scope::CheckScope,
    slot::SlotFacts,
};
use crate::source::{Source, SqlError, SqlSession};

/// Whether the slot is there and of use.
pub(super) async fn slot(
    source: &Source,
    sql: &SqlSession,
    scope: &CheckScope<'_>,
    published: bool,
) -> Result<Vec<Finding>, SqlError> {
    let name = scope.slot;
    let slot = SlotFacts::read(sql, name).await?;
    let mut findings = Vec::new();
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
        "-- or `tailwater-capture remove`; then capture under a new source name".to_owned(),
    ]
}
