//! The first start of a history: publication, slot, and the copy of what the tables hold already.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::{CaptureState, Lineage, Lsn, ProblemKind, Snapshot};

use super::{
    context::{Context, Ended, Master},
    error::RunError,
    lost::{opening, unopened},
    make_slot::make_slot,
    session::{self, Opening},
    slot_watch::{position, watch_slot},
};
use crate::{
    append::{Relay, RelayError},
    begin::{
        BeginError, CheckScope, Identity, PublishedTable, SlotFacts, Standing, check,
        check_excluded, create, drop_publication, plan, publication, published, same_master,
        tables,
    },
    copy::{CopyChannels, CopyError, CopyPlan, Hold, Readers, gather, post},
    ddl,
    settings::{Keyless, Selection, Settings},
    source::{Refusal, SqlSession},
    walsender::{CreatedSlot, SlotSnapshot, Walsender, WalsenderError},
};

/// How long dropping a slot that is not needed may take.
const DROP_WITHIN: Duration = Duration::from_secs(10);
/// For how long others may go first with the tables' locks, and how long they are left alone each time.
const LOCKED_WITHIN: Duration = Duration::from_secs(600);
const LOCK_AGAIN: Duration = Duration::from_secs(1);

/// There is no slot, or none that is of use.
pub(super) async fn begin(context: &Context<'_>, master: Master) -> Result<Ended, RunError> {
    let ready = tokio::select! {
        ready = make_ready(context, master) => ready?,
        () = context.stop.cancelled() => return Ok(Ended::Stopped),
    };
    let Some(Ready { hold, readers, walsender, created, relay, lineage, session }) = ready else {
        return Ok(Ended::Again);
    };
    let settings = context.settings;
    context.board.state(CaptureState::Copying, None);
    let copying = context.board.copying();
    let plan = CopyPlan {
        name: &settings.name,
        publication: &settings.publication,
        what: "first copy",
        lineage,
        session,
        lsn: created.consistent_point,
        snapshot: created.snapshot.as_deref().unwrap_or_default(),
        told: &|progress| copying.told(progress),
    };
    // Copying may take long, and the slot holds WAL back meanwhile.
    let gathered = tokio::select! {
        gathered = gathered_or_dropped(context, &plan, readers, relay.clone(), walsender) => gathered?,
        never = watch_slot(settings, context.board) => match never {},
    };
    drop(hold);
    drop(copying);
    let Some(snapshot) = gathered else { return Ok(Ended::Stopped) };
    // From here on the log may have begun, so the slot must stay whatever happens.
    tokio::select! {
        posted = post(&relay, session, &snapshot) => posted?,
        () = context.stop.cancelled() => return Ok(Ended::Stopped),
    }
    Ok(Ended::Again)
}

/// A slot just made, and a relay that waits for its snapshot.
struct Ready {
    /// Until the copy is done no other capture makes one, and no table changes its shape.
    hold: Hold,
    /// They have locked the tables too.
    readers: Readers,
    /// Exports the snapshot, as long as nothing is asked of it.
    walsender: Walsender,
    created: CreatedSlot,
    relay: Arc<Relay>,
    lineage: Lineage,
    session: u64,
}

/// Everything before the copy; nothing where another capture was quicker.
async fn make_ready(context: &Context<'_>, master: Master) -> Result<Option<Ready>, RunError> {
    let Context { settings, relays, board, .. } = context;
    let Master { mut sql, mut walsender, facts } = master;
    let hold = Hold::take(&settings.source, &settings.slot, || {
        board.state(CaptureState::WaitingForSlot, None);
        tracing::info!(
            "another capture makes the first copy for the slot '{}': waiting",
            settings.slot
        );
    });
    let hold = hold.await?;
    let lost = match SlotFacts::read(&sql, &settings.slot).await? {
        Some(slot) if slot.lost().is_none() => return Ok(None),
        slot => slot,
    };
    let opened = session::open(relays, &facts, Opening::GoOn).await;
    let (relay, answer) = opened.map_err(|error| unopened(settings, lost.as_ref(), error))?;
    board.session(relay.clone(), answer.session);
    if let Some(then) = &answer.facts {
        same_master(&facts, then).map_err(BeginError::from)?;
    }
    let timelines = walsender.timeline_history(facts.timeline).await?;
    let position = position(&sql).await?;
    let standing =
        Standing { facts: &facts, position, confirmed: Lsn::ZERO, timelines: &timelines };
    let opening = opening(settings, lost.as_ref(), &standing, &answer)?;
    prepare(&mut sql, settings).await?;
    if settings.ddl {
        ddl::install(&mut sql, settings, ddl::Start::First).await?;
    }
    let (relay, answer) = session::open(&[relay], &facts, opening).await?;
    let (session, lineage) = (answer.session, answer.lineage);
    let lineage = lineage.ok_or_else(|| no_lineage(&relay))?;
    board.session(relay.clone(), session);
    if lost.is_some() {
        walsender.drop_slot(&settings.slot).await?;
        tracing::info!("dropped the lost replication slot '{}'", settings.slot);
    }
    let (carried, readers) = lock_tables(&hold, &sql, settings).await?;
    let created = create_slot(&mut walsender, &sql, settings).await?;
    tracing::info!(
        "made the replication slot '{}' at {}; copying {} tables",
        settings.slot,
        created.consistent_point,
        carried.len()
    );
    Ok(Some(Ready { hold, readers, walsender, created, relay, lineage, session }))
}

/// Locks the published tables, by the hold and by all who will read them. Who comes between with a lock of
/// his own would wait for the one and be waited for by the others: then he goes first, and it begins anew.
async fn lock_tables(
    hold: &Hold,
    sql: &SqlSession,
    settings: &Settings,
) -> Result<(Vec<PublishedTable>, Readers), RunError> {
    let lock = |source| BeginError::Lock { source: Box::new(source) };
    let began = Instant::now();
    loop {
        let carried = published(&**sql, &settings.publication).await?;
        check_excluded(settings, carried.iter().flat_map(PublishedTable::names))?;
        hold.tables(&carried).await.map_err(lock)?;
        match hold.readers(&settings.source, &carried, settings.copy_connections).await {
            Ok(readers) => return Ok((carried, readers)),
            Err(error)
                if error.refusal() == Some(&Refusal::Locked) && began.elapsed() < LOCKED_WITHIN =>
            {
                hold.release().await.map_err(lock)?;
                sleep(LOCK_AGAIN).await;
            }
            Err(error) => return Err(lock(error).into()),
        }
    }
}

/// Copies; where that fails or is to stop, the slot is of no use and goes, so that the master keeps
/// no WAL for it.
async fn gathered_or_dropped(
    context: &Context<'_>,
    plan: &CopyPlan<'_>,
    readers: Readers,
    relay: Arc<Relay>,
    mut walsender: Walsender,
) -> Result<Option<Snapshot>, RunError> {
    let rules = context.settings.channels.clone();
    let channels = async { Ok::<_, CopyError>(CopyChannels::Rules(rules)) };
    let gathered = tokio::select! {
        gathered = gather(plan, readers, relay, channels) => gathered.map(Some),
        () = context.stop.cancelled() => Ok(None),
    };
    if !matches!(gathered, Ok(Some(_))) {
        let slot = &context.settings.slot;
        match timeout(DROP_WITHIN, walsender.drop_slot(slot)).await {
            Ok(Ok(())) => tracing::info!(
                "the first copy did not end: dropped the replication slot '{slot}' again"
            ),
            _ => tracing::warn!(
                "the first copy did not end, and the replication slot '{slot}' is still there: the next start drops it"
            ),
        }
    }
    Ok(gathered?)
}

/// What must be there before the slot: nothing missing on the master, and the publication.
async fn prepare(sql: &mut SqlSession, settings: &Settings) -> Result<(), BeginError> {
    let facts = tables(sql).await?;
    let plan = plan(&facts, &settings.selection);
    if !plan.cannot_exclude.is_empty() {
        return Err(BeginError::Exclude(plan.cannot_exclude));
    }
    let existing = publication(sql, &settings.publication).await?;
    if existing.as_ref().is_none_or(|existing| existing.ours) && !plan.keyless.is_empty() {
        return Err(BeginError::Keyless(plan.keyless));
    }
    let scope = CheckScope {
        slot: &settings.slot,
        publication: &settings.publication,
        selection: &Selection { keyless: Keyless::Skip, ..settings.selection.clone() },
        lost_slot_goes: true,
        failover: settings.failover,
        ddl: settings.ddl,
    };
    let (missing, notes): (Vec<_>, Vec<_>) =
        check(&settings.source, sql, &scope).await?.into_iter().partition(|finding| finding.blocks);
    notes.iter().for_each(|note| tracing::warn!("{note}"));
    if !missing.is_empty() {
        return Err(BeginError::NotReady(missing));
    }
    match existing {
        Some(existing) if !existing.ours => {
            tracing::info!("using the publication '{}' as it is", settings.publication);
            let carried = published(&**sql, &settings.publication).await?;
            let updates = !existing.leaves_out.contains(&"update")
                || !existing.leaves_out.contains(&"delete");
            let keyless = facts.into_iter().filter(|table| {
                updates
                    && table.identity != Identity::Usable
                    && carried.iter().any(|t| t.oid == table.oid)
            });
            let keyless: Vec<_> = keyless.collect();
            if keyless.is_empty() { Ok(()) } else { Err(BeginError::Keyless(keyless)) }
        }
        // No slot follows it yet: made anew, it has the tables of today.
        Some(_) => {
            drop_publication(sql, &settings.publication).await?;
            create(sql, settings, &plan).await
        }
        None => create(sql, settings, &plan).await,
    }
}

async fn create_slot(
    walsender: &mut Walsender,
    sql: &SqlSession,
    settings: &Settings,
) -> Result<CreatedSlot, RunError> {
    let backend = walsender.process_id();
    let create = walsender.create_slot_for(&settings.slot, SlotSnapshot::Export, settings.failover);
    // Who stops it lets go of all this.
    make_slot(create, backend, sql, settings.slot_within, &CancellationToken::new()).await
}

fn no_lineage(relay: &Relay) -> RelayError {
    let detail = "it opened a session without a lineage: it is of another version";
    let problem = Box::new(wire::Problem::new(ProblemKind::Internal, detail));
    RelayError::Refused { url: relay.address().to_string(), doing: "the session", problem }
}

/// Drops the slot of a first copy that was interrupted.
pub(super) async fn drop_slot(settings: &Settings) -> Result<(), WalsenderError> {
    let mut walsender = Walsender::connect(&settings.source).await?;
    walsender.drop_slot(&settings.slot).await?;
    walsender.close().await;
    Ok(())
}
