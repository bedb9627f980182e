use wire::{CaptureState, Facts, Lsn, SessionAnswer};

use super::slot::SlotFacts;
use crate::walsender::TimelineHistory;

/// Why capture does not start, or does not go on: going on would lose changes, repeat them, or mix
/// two histories.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", self.what(), self.way_on())]
pub enum Violation {
    /// The slot is gone, the relay has a log.
    SlotMissing { slot: String, head: Lsn },
    /// The slot was invalidated.
    SlotLost { slot: String, reason: String },
    /// The slot is gone or was invalidated, and the relay's log came by another one.
    SlotOther { slot: String, of: String },
    /// The slot is not one of ours.
    SlotForeign { slot: String, what: String },
    /// The relay has nothing, but the slot is in use.
    RelayEmpty { slot: String, confirmed: Lsn },
    /// The relay's log ends before the slot.
    RelayBehindSlot { slot: String, head: Lsn, confirmed: Lsn },
    /// The master's WAL ends before the relay's log.
    MasterBehindRelay { head: Lsn, position: Lsn },
    /// Another cluster or database.
    OtherMaster { what: String },
    /// Another timeline that does not hold the log.
    OtherTimeline { now: u32, then: u32, at: String, head: Lsn },
}

/// What leads out of a state in which nothing can be mended.
const ADOPT: &str = "To begin anew from this master, the terminals loading it by themselves: `tailwater-capture adopt`";

impl Violation {
    /// What was found.
    pub fn what(&self) -> String {
        match self {
            Self::SlotMissing { slot, head } => format!(
                "the replication slot '{slot}' is not there any more, and the relay has a log up to {head}: what was \
                 committed since cannot be had"
            ),
            Self::SlotLost { slot, reason } => format!(
                "the replication slot '{slot}' was invalidated by the master ({reason}): WAL that was not captured yet is removed"
            ),
            Self::SlotOther { slot, of } => format!(
                "the replication slot '{slot}' is not there or was invalidated, and the relay's log is not of that one, but of the \
                 replication slot '{of}'"
            ),
            Self::SlotForeign { slot, what } => format!("the replication slot '{slot}' {what}"),
            Self::RelayEmpty { slot, confirmed } => format!(
                "the replication slot '{slot}' stands at {confirmed}, but the relay has nothing of this source: what was \
                 committed before that position cannot be had again"
            ),
            Self::RelayBehindSlot { slot, head, confirmed } => format!(
                "the relay's log ends at {head}, but the replication slot '{slot}' stands at {confirmed} already: what \
                 lies between cannot be had again"
            ),
            Self::MasterBehindRelay { head, position } => format!(
                "the relay's log reaches to {head}, but the master's WAL only to {position}: the master was put back to an \
                 older state (a backup, a lagging standby)"
            ),
            Self::OtherMaster { what } => {
                format!("this is another master than the one the relay's log is from ({what})")
            }
            Self::OtherTimeline { now, then, at, head } => format!(
                "the master is on timeline {now}, which left timeline {then} {at}, and the relay's log reaches to {head} \
                 on timeline {then}: the relay has commits that this master lost (a standby was promoted before it had \
                 them, or a backup was recovered to an earlier point)"
            ),
        }
    }

    fn way_on(&self) -> String {
        match self {
            Self::SlotMissing { .. } => format!(
                ". Was it dropped, or was the master put back or replaced? {ADOPT}, or `run --on-lost-slot resnapshot`"
            ),
            Self::SlotLost { .. } => format!(
                ". {ADOPT}, or `run --on-lost-slot resnapshot`; raise max_slot_wal_keep_size (idle_replication_slot_timeout) before"
            ),
            Self::SlotOther { of, .. } => {
                format!(". Start with --slot {of}; where that one is gone for good: `tailwater-capture adopt`")
            }
            Self::SlotForeign { .. } => ": choose another name with --slot".to_owned(),
            Self::RelayEmpty { .. } => {
                ". Was the relay's data folder removed, or is this another relay? Bring its data back or point to the right \
                 relay; to begin anew drop the slot: `tailwater-capture remove` or `adopt`"
                    .to_owned()
            }
            Self::RelayBehindSlot { .. } => format!(
                ". Was an older state of the relay put back? Bring the newest state back. {ADOPT}"
            ),
            Self::MasterBehindRelay { .. } => format!(". Bring the newest state back. {ADOPT}"),
            Self::OtherMaster { .. } => format!(
                ": point --source to the right one, or capture this one under another name. {ADOPT}"
            ),
            Self::OtherTimeline { .. } => format!(". {ADOPT}"),
        }
    }

    /// Its name in reports.
    pub fn state(&self) -> CaptureState {
        match self {
            Self::SlotMissing { .. } | Self::SlotOther { .. } => CaptureState::SlotMissing,
            Self::SlotLost { .. } => CaptureState::SlotLost,
            Self::SlotForeign { .. } => CaptureState::Error,
            Self::RelayEmpty { .. } | Self::RelayBehindSlot { .. } => CaptureState::RelayBehindSlot,
            Self::MasterBehindRelay { .. } => CaptureState::MasterBehindRelay,
            Self::OtherMaster { .. } => CaptureState::OtherMaster,
            Self::OtherTimeline { .. } => CaptureState::OtherHistory,
        }
    }
}

/// The name of the slot that the relay's log came by, where it is another one than is asked for.
pub fn other_slot<'a>(answer: &'a SessionAnswer, slot: &str) -> Option<&'a str> {
    let of = answer.facts.as_ref().filter(|_| answer.head.is_some())?.slot.as_str();
    (!of.is_empty() && of != slot).then_some(of)
}

/// Whether the slot of that name can be used for `database` at all.
pub fn check_slot(slot: &SlotFacts, name: &str, database: &str) -> Result<(), Violation> {
    let name = || name.to_owned();
    let foreign = |what: String| Err(Violation::SlotForeign { slot: name(), what });
    match slot.plugin.as_deref() {
        Some("pgoutput") => {}
        Some(other) => return foreign(format!("decodes by the plugin '{other}', not by pgoutput")),
        None => return foreign("is a physical one".to_owned()),
    }
    if slot.database.as_deref() != Some(database) {
        let database = slot.database.as_deref().unwrap_or_default();
        return foreign(format!("belongs to the database '{database}'"));
    }
    match slot.lost() {
        Some(reason) => Err(Violation::SlotLost { slot: name(), reason }),
        None => Ok(()),
    }
}

/// Where both ends stand when capture, holding the slot, goes on with a log.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    /// The master as it is.
    pub facts: &'a Facts,
    /// How far its WAL is flushed.
    pub position: Lsn,
    /// The slot's position.
    pub confirmed: Lsn,
    /// Where earlier timelines ended.
    pub timelines: &'a TimelineHistory,
}

/// Whether the stream may go on from the relay's head.
pub fn check_standing(
    standing: &Standing<'_>,
    answer: &SessionAnswer,
    head: Lsn,
) -> Result<(), Violation> {
    let Standing { facts, position, confirmed, timelines } = *standing;
    if let Some(then) = &answer.facts {
        same_master(facts, then)?;
        same_timeline(facts.timeline, then.timeline, timelines, head)?;
    }
    if confirmed > head {
        let slot = facts.slot.clone();
        return Err(Violation::RelayBehindSlot { slot, head, confirmed });
    }
    if head > position {
        return Err(Violation::MasterBehindRelay { head, position });
    }
    Ok(())
}

/// Whether the log is this master's.
pub fn same_master(now: &Facts, then: &Facts) -> Result<(), Violation> {
    let differs = |what: &str, then: &str, now: &str| {
        let what = format!("its {what} is {now}, the log's is {then}");
        Err(Violation::OtherMaster { what })
    };
    if now.system_identifier != then.system_identifier {
        return differs("system identifier", &then.system_identifier, &now.system_identifier);
    }
    if now.database_oid != then.database_oid {
        let of = |facts: &Facts| format!("{} (OID {})", facts.database, facts.database_oid);
        return differs("database", &of(then), &of(now));
    }
    Ok(())
}

fn same_timeline(
    now: u32,
    then: u32,
    timelines: &TimelineHistory,
    head: Lsn,
) -> Result<(), Violation> {
    if now == then {
        return Ok(());
    }
    match timelines.end_of(then) {
        Some(at) if head <= at => Ok(()),
        Some(at) => Err(Violation::OtherTimeline { now, then, at: format!("at {at}"), head }),
        None => {
            let at = "before, or never was on it".to_owned();
            Err(Violation::OtherTimeline { now, then, at, head })
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::ChannelHashes;

    use super::*;
    use crate::walsender::TimelineSwitch;

    fn facts(timeline: u32) -> Facts {
        Facts {
            system_identifier: "7".into(),
            database_oid: 5,
            database: "shop".into(),
            timeline,
            slot: "tailwater_orders".into(),
        }
    }

    fn answer(facts: Facts) -> SessionAnswer {
        SessionAnswer {
            session: 1,
            lineage: None,
            head: None,
            horizon: None,
            hashes: ChannelHashes::default(),
            channel_map: None,
            known: None,
            facts: Some(facts),
            snapshot: None,
            succeeds: Vec::new(),
        }
    }

    fn state(
        now: &Facts,
        then: Facts,
        head: u64,
        confirmed: u64,
        position: u64,
    ) -> Option<CaptureState> {
        let switch = TimelineSwitch { timeline: 1, at: Lsn::new(500), reason: String::new() };
        let timelines = TimelineHistory { switches: vec![switch] };
        let (position, confirmed) = (Lsn::new(position), Lsn::new(confirmed));
        let standing = Standing { facts: now, position, confirmed, timelines: &timelines };
        check_standing(&standing, &answer(then), Lsn::new(head)).err().map(|v| v.state())
    }

    #[test]
    fn going_on_is_allowed_between_slot_and_master() {
        let same = |head| state(&facts(1), facts(1), head, 100, 900);
        assert_eq!(same(100), None);
        assert_eq!(same(900), None);
        assert_eq!(same(99), Some(CaptureState::RelayBehindSlot));
        assert_eq!(same(901), Some(CaptureState::MasterBehindRelay));
    }

    #[test]
    fn a_slot_of_another_kind_is_named() {
        for (slot, what) in [
            (r#""plugin": null, "database": null"#, "is a physical one"),
            (r#""plugin": "wal2json", "database": "shop""#, "the plugin 'wal2json'"),
            (r#""plugin": "pgoutput", "database": "other""#, "the database 'other'"),
            (r#""plugin": "pgoutput", "database": "shop", "wal_status": "lost""#, "invalidated"),
        ] {
            let slot = serde_json::from_str(&format!("{{{slot}}}")).unwrap();
            let said = check_slot(&slot, "tailwater_orders", "shop").unwrap_err().to_string();
            assert!(said.contains("'tailwater_orders'") && said.contains(what), "{said}");
        }
    }

    #[test]
    fn another_master_is_told_apart() {
        let other = Facts { system_identifier: "8".into(), ..facts(1) };
        assert_eq!(state(&other, facts(1), 100, 100, 900), Some(CaptureState::OtherMaster));
        let other = Facts { database_oid: 6, ..facts(1) };
        assert_eq!(state(&other, facts(1), 100, 100, 900), Some(CaptureState::OtherMaster));
    }

    #[test]
    fn a_promoted_standby_serves_if_it_has_what_the_relay_has() {
        assert_eq!(state(&facts(2), facts(1), 500, 100, 900), None);
        assert_eq!(state(&facts(2), facts(1), 501, 100, 900), Some(CaptureState::OtherHistory));
        assert_eq!(state(&facts(1), facts(2), 400, 100, 900), Some(CaptureState::OtherHistory));
    }
}
