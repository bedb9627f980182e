mod found;

use tokio::time::timeout;
use wire::{CaptureState, Facts, Lsn, SourceName, Succession};

use self::found::{Found, at_relay, shown};
use super::{
    args::AdoptArgs,
    config::Config,
    failure::Failure,
    remove::{FREE_WITHIN, free_slot, remove_slot},
    settings::{Common, common, nameless, relays, token},
};
use crate::{
    begin::{
        BeginError, SlotFacts, Standing, Violation, check_slot, check_standing, other_slot,
        publication,
    },
    copy::Hold,
    explain,
    run::{Opening, RunError, facts, open, position},
    settings::object_name,
    source::SqlSession,
    walsender::Walsender,
};

/// Shows what keeps capture from going on; with `--yes`, lets the next history begin from this master.
pub(super) async fn run(args: AdoptArgs) -> Result<(), Failure> {
    let mut config = Config::read(args.master.config.as_deref())?;
    let Common { source, name, slot: slot_name, publication: publication_name } =
        common(args.master, &mut config)?;
    let name = name.ok_or_else(nameless)?;
    let slot_name = slot_name.unwrap_or_else(|| object_name(&name));
    let publication_name = publication_name.unwrap_or_else(|| object_name(&name));
    let addresses = relays(args.relay, &mut config)?;
    let token = token(args.token_file, &mut config)?;
    let sql = source.connect_sql().await.map_err(RunError::from)?;
    let slot = nobodys_slot(&sql, &slot_name, source.database()).await?;
    let hold = timeout(FREE_WITHIN, Hold::take(&source, &slot_name, || {})).await;
    let _hold = match hold {
        Ok(hold) => hold.map_err(RunError::from)?,
        Err(_) => {
            return Err(refused(format!(
                "a capture makes the first copy for the slot '{slot_name}': stop it first. Nothing was changed"
            )));
        }
    };
    let mut walsender = Walsender::connect(&source).await.map_err(RunError::from)?;
    let identity = walsender.identify_system().await.map_err(RunError::from)?;
    let timelines = walsender.timeline_history(identity.timeline).await.map_err(RunError::from)?;
    walsender.close().await;
    let facts = facts(&sql, &identity, &slot_name).await.map_err(RunError::from)?;

    let found = at_relay(addresses, &name, token, &facts).await?;
    let position = position(&sql).await.map_err(RunError::from)?;
    let standing = Standing {
        facts: &facts,
        position,
        confirmed: slot.as_ref().and_then(|slot| slot.confirmed_flush_lsn).unwrap_or(Lsn::ZERO),
        timelines: &timelines,
    };
    let there = publication(&sql, &publication_name).await.map_err(RunError::from)?.is_some();
    let gone = (!there).then_some(publication_name.as_str());
    let wrong = wrong(&found, slot.as_ref(), &standing, gone);
    show(&source.to_string(), &found, slot.as_ref(), &standing);
    let begins = found.head().is_some();
    let slot_goes = slot.filter(|slot| begins || found.lineage.is_none() || slot.lost().is_some());
    let Some(wrong) = wrong else {
        return nothing_wrong(&name, &found, slot_goes.is_some(), args.yes, &sql, &slot_name).await;
    };
    println!("what keeps capture from going on: {wrong}");
    not_of_another(&found, &sql, &slot_name).await?;
    let plan = [
        begins.then(|| {
            format!(
                "the relay begins a new history of '{name}' and removes the one it has, {}; every terminal of that one loads the new \
                 one over what it has, by itself",
                found.lineage.map(|lineage| lineage.to_string()).unwrap_or_default()
            )
        }),
        slot_goes.is_some().then(|| format!("the replication slot '{slot_name}' is dropped")),
        Some("the next `tailwater-capture run` makes a new slot and copies all tables".to_owned()),
    ];
    println!("to go on from this master:");
    plan.into_iter().flatten().for_each(|step| println!("- {step}"));
    if !args.yes {
        let text = "nothing was changed: --yes does it. What the history has that this master lacks is gone then";
        return Err(Failure::usage(text));
    }
    if let Some(lineage) = found.lineage.filter(|_| begins) {
        let why = format!("adopted by the operator: {wrong}");
        let opening = Opening::Succeed(Succession { lineage, why });
        let relay = std::slice::from_ref(&found.relay);
        let (_, answer) = open(relay, &facts, opening).await.map_err(RunError::from)?;
        let lineage = answer.lineage.map(|lineage| lineage.to_string()).unwrap_or_default();
        println!("the relay begins the history {lineage}");
    }
    if slot_goes.is_some() {
        remove_slot(&sql, &slot_name).await?;
    }
    println!("done: start `tailwater-capture run`");
    Ok(())
}

fn refused(text: String) -> Failure {
    Failure { code: 3, text }
}

/// The slot, which must be ours and used by nobody.
async fn nobodys_slot(
    sql: &SqlSession,
    name: &str,
    database: &str,
) -> Result<Option<SlotFacts>, Failure> {
    let Some(slot) = free_slot(sql, name).await? else { return Ok(None) };
    if let Some(pid) = slot.active_pid {
        return Err(refused(format!(
            "the replication slot '{name}' is in use by PID {pid}: a capture is at work, so nothing is to be adopted; stop it first. \
             Nothing was changed"
        )));
    }
    match check_slot(&slot, name, database) {
        Err(violation @ Violation::SlotForeign { .. }) => {
            Err(RunError::from(BeginError::from(violation)).into())
        }
        _ => Ok(Some(slot)),
    }
}

/// The log is not that of another slot by which capture could go on.
async fn not_of_another(found: &Found, sql: &SqlSession, slot: &str) -> Result<(), Failure> {
    let answer = found.answer.as_ref().ok();
    let Some(of) = answer.and_then(|answer| other_slot(answer, slot)) else { return Ok(()) };
    let other = SlotFacts::read(sql, of).await.map_err(RunError::from)?;
    if other.is_some_and(|other| other.lost().is_none()) {
        return Err(refused(format!(
            "the relay's log is not of the replication slot '{slot}', but of '{of}', which is there: name that one with --slot; to \
             begin anew with '{slot}', drop '{of}' first (pg_drop_replication_slot). Nothing was changed"
        )));
    }
    println!(
        "the relay's log is of another replication slot, '{of}', which is gone or was invalidated"
    );
    Ok(())
}

/// What keeps capture from going on, if anything does. `gone` is a publication that is not there.
fn wrong(
    found: &Found,
    slot: Option<&SlotFacts>,
    standing: &Standing<'_>,
    gone: Option<&str>,
) -> Option<String> {
    let name = standing.facts.slot.clone();
    let answer = match &found.answer {
        Ok(answer) => answer,
        Err(error) => return Some(explain::chain(&**error)),
    };
    let violation = match (found.lineage, answer.head, slot) {
        (None, _, Some(_)) => {
            Some(Violation::RelayEmpty { slot: name, confirmed: standing.confirmed })
        }
        (_, None, _) => None,
        (_, Some(head), None) => {
            let other = Standing { confirmed: Lsn::ZERO, ..standing.clone() };
            let other = check_standing(&other, answer, head).err();
            Some(other.unwrap_or(Violation::SlotMissing { slot: name, head }))
        }
        (_, Some(head), Some(slot)) => match slot.lost() {
            Some(reason) => Some(Violation::SlotLost { slot: name, reason }),
            None => check_standing(standing, answer, head).err(),
        },
    };
    let violation = violation.map(|violation| violation.what());
    let gone = gone.filter(|_| answer.head.is_some()).map(|name| {
        format!(
            "the publication '{name}' is not there any more: what was committed since was not sent"
        )
    });
    let stopped = found.state.filter(|state| answer.head.is_some() && needs_a_word(*state));
    let stopped = stopped.map(|state| {
        format!(
            "capture stopped with the state {}; where that was mended since, start it again instead",
            shown(state)
        )
    });
    violation.or(gone).or(stopped)
}

/// States that capture does not leave by itself, also where the two ends do not show them: a master that was
/// put back may have come as far as the relay since.
fn needs_a_word(state: CaptureState) -> bool {
    matches!(
        state,
        CaptureState::SlotMissing
            | CaptureState::SlotLost
            | CaptureState::RelayBehindSlot
            | CaptureState::MasterBehindRelay
            | CaptureState::OtherHistory
            | CaptureState::OtherMaster
            | CaptureState::ValueTooLarge
    )
}

fn show(source: &str, found: &Found, slot: Option<&SlotFacts>, standing: &Standing<'_>) {
    let told = |facts: &Facts| {
        format!(
            "system {}, database {} (OID {}), timeline {}",
            facts.system_identifier, facts.database, facts.database_oid, facts.timeline
        )
    };
    println!("master {source}: {}, at {}", told(standing.facts), standing.position);
    match slot {
        None => println!("slot {}: not there", standing.facts.slot),
        Some(slot) => println!(
            "slot {}: at {}{}",
            standing.facts.slot,
            standing.confirmed,
            slot.lost().map(|why| format!(", invalidated ({why})")).unwrap_or_default()
        ),
    }
    let relay = found.relay.address();
    match (&found.answer, found.lineage) {
        (Ok(answer), Some(lineage)) => println!(
            "relay {relay}: history {lineage}, at {}; of {}",
            answer.head.map_or_else(|| "no position yet".to_owned(), |head| head.to_string()),
            answer.facts.as_ref().map_or_else(|| "no master yet".to_owned(), told)
        ),
        (Err(_), Some(lineage)) => println!("relay {relay}: history {lineage}, of another master"),
        (_, None) => println!("relay {relay}: has nothing of this source"),
    }
}

/// Nothing is to be adopted: also where it was, and the new history has not begun yet.
async fn nothing_wrong(
    name: &SourceName,
    found: &Found,
    slot_goes: bool,
    yes: bool,
    sql: &SqlSession,
    slot: &str,
) -> Result<(), Failure> {
    if found.head().is_some() {
        return Err(refused(format!(
            "nothing is to be adopted: slot, relay and master fit, and `tailwater-capture run` goes on with '{name}'"
        )));
    }
    if slot_goes && !yes {
        return Err(Failure::usage(format!(
            "the lost slot '{slot}' is left of an earlier history: --yes drops it. Nothing was changed"
        )));
    }
    if slot_goes {
        remove_slot(sql, slot).await?;
    }
    println!("the relay waits for the first copy of '{name}': start `tailwater-capture run`");
    Ok(())
}
