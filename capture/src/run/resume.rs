//! Going on with a log: hold the slot, open a session, check that both ends fit, follow the stream.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};
use wire::{CaptureState, ControlRecord, Lsn, SessionAnswer};

use super::{
    context::{Context, Ended, Master},
    error::RunError,
    first,
    pulse::{Patient, Pulse},
    session::{self, Opening},
    slot_watch::position,
    snapshots::{SnapshotJob, Snapshots},
    standbys::promise_to_standbys,
    stream::Stream,
};
use crate::{
    append::{CutPolicy, Pipeline, PipelineLimits},
    assemble::{Assembler, AssemblerSettings, StartingPoint},
    begin::{
        BeginError, PublishedTable, SlotFacts, Standing, Telling, Violation, check_excluded,
        check_standing, extend, mend_lost_keys, newest_join, plan, publication, published,
        same_master, tables,
    },
    channels::{NamedTable, changed_map},
    ddl,
    ledger::Ledger,
    settings::Settings,
    source::{Refusal, SqlError, SqlSession, emit},
    walsender::{Feedback, StartReplication, StreamReader, StreamSettings, Walsender},
};

const SLOT_RETRY: Duration = Duration::from_secs(1);

/// There is a slot.
pub(super) async fn resume(
    context: &Context<'_>,
    master: Master,
    slot: &SlotFacts,
) -> Result<Ended, RunError> {
    let Context { settings, relays, board, stop } = context;
    let Master { mut sql, mut walsender, facts } = master;
    let timelines = walsender.timeline_history(facts.timeline).await?;
    let has_messages = walsender.version().has_messages();
    let held = async {
        promise_to_standbys(settings, &mut walsender, slot).await?;
        hold_slot(context, walsender).await
    };
    let held = tokio::select! {
        held = held => held?,
        () = stop.cancelled() => return Ok(Ended::Stopped),
    };
    let (reader, feedback) = held;
    let (relay, answer) = session::open(relays, &facts, Opening::GoOn).await?;
    board.session(relay.clone(), answer.session);
    // Read while the slot is held: another capture may have moved it until then.
    let slot = SlotFacts::read(&sql, &settings.slot).await?;
    let confirmed = slot.and_then(|slot| slot.confirmed_flush_lsn).unwrap_or(Lsn::ZERO);
    let Some((lineage, head)) = answer.lineage.zip(answer.head) else {
        return begin_again(context, &facts, &answer, confirmed, feedback).await;
    };
    let position = position(&sql).await?;
    let standing = Standing { facts: &facts, position, confirmed, timelines: &timelines };
    check_standing(&standing, &answer, head).map_err(BeginError::from)?;
    let carried = published(&*sql, &settings.publication).await?;
    check_excluded(settings, carried.iter().flat_map(PublishedTable::names))?;
    // Before tables join: terminals go by it, whether these are theirs.
    record_channels(&sql, settings, &answer, &carried).await?;
    join_tables(&mut sql, settings, has_messages).await?;
    record_schema_changes(&mut sql, settings).await?;
    let can_come_again = answer.known.is_some_and(|known| confirmed <= known.start);
    if has_messages && !can_come_again {
        first_beat(&sql).await?;
    }

    tracing::info!(
        "following the slot '{}' from {head} to {} (session {}, master at {position})",
        settings.slot,
        relay.address(),
        answer.session
    );
    let map = answer.channel_map.unwrap_or_default();
    let patient = Patient {
        source: settings.source.clone(),
        slot: settings.slot.clone(),
        publication: settings.publication.clone(),
        tables: map.tables.keys().copied().collect(),
        has_messages,
    };
    let point = StartingPoint {
        head,
        hashes: answer.hashes,
        channel_map: map,
        known: answer.known,
        confirmed,
    };
    let of = AssemblerSettings::new(settings.name.clone(), lineage, answer.session);
    let mut ordered = vec![relay.clone()];
    let others = relays.iter().filter(|other| other.address() != relay.address());
    ordered.extend(others.cloned());
    let joined = newest_join(&sql, &settings.publication).await?;
    let (rows_needed, needed) = watch::channel(ddl::newest_gap(&sql).await?.max(joined));
    let snapshots = SnapshotJob {
        needed,
        settings: (*settings).clone(),
        board: (*board).clone(),
        relay: relay.clone(),
        lineage,
        session: answer.session,
        newest: answer.snapshot,
    };
    let known_start = point.known.map(|known| known.start);
    let stream = Stream {
        known_start,
        reader,
        feedback,
        assembler: Assembler::new(of, point),
        ledger: Ledger::new(head, confirmed),
        pipeline: Pipeline::new(relay, answer.session, head, PipelineLimits::default()),
        pulse: Pulse::start(patient, (*board).clone()),
        snapshots: Snapshots::start(snapshots),
        schema_changes: ddl::RowsNeeded::new(ddl::trusted_table(&sql).await?),
        rows_needed,
        policy: CutPolicy::default(),
        board: (*board).clone(),
        relays: ordered,
        has_messages,
        settings: (*settings).clone(),
    };
    stream.follow(stop).await?;
    Ok(Ended::Stopped)
}

/// Starts the stream, which takes the slot; waits while another connection has it.
async fn hold_slot(
    context: &Context<'_>,
    walsender: Walsender,
) -> Result<(StreamReader, Feedback), RunError> {
    let Context { settings, board, .. } = context;
    let start = StartReplication {
        slot: settings.slot.clone(),
        publications: vec![settings.publication.clone()],
    };
    let mut walsender = Some(walsender);
    let mut said = None;
    loop {
        let connection = match walsender.take() {
            Some(connection) => connection,
            None => Walsender::connect(&settings.source).await?,
        };
        match connection.start(&start, StreamSettings::default()).await {
            Ok(stream) => return Ok(stream),
            Err(error) => match error.refusal() {
                Some(Refusal::SlotActive { pid }) => {
                    let whom = pid.map_or_else(String::new, |pid| format!(" by PID {pid}"));
                    let text = format!(
                        "the replication slot '{}' is in use{whom}: another capture, or a connection the server does not yet \
                         know to be dead. Waiting until it is free",
                        settings.slot
                    );
                    if said != Some(*pid) {
                        tracing::warn!("{text}");
                        said = Some(*pid);
                    }
                    board.state(CaptureState::WaitingForSlot, Some(text));
                    sleep(SLOT_RETRY).await;
                }
                _ => return Err(error.into()),
            },
        }
    }
}

/// The relay has no log. If it expects a first copy, that was interrupted: the slot goes, and the next
/// attempt begins anew. If it has nothing at all, the slot is not ours to drop.
async fn begin_again(
    context: &Context<'_>,
    facts: &wire::Facts,
    answer: &SessionAnswer,
    confirmed: Lsn,
    feedback: Feedback,
) -> Result<Ended, RunError> {
    let settings = context.settings;
    let expected = answer.facts.as_ref().filter(|then| then.slot == settings.slot);
    let Some(then) = expected.filter(|_| answer.lineage.is_some()) else {
        let slot = settings.slot.clone();
        return Err(BeginError::from(Violation::RelayEmpty { slot, confirmed }).into());
    };
    same_master(facts, then).map_err(BeginError::from)?;
    tracing::warn!(
        "the first copy was interrupted: dropping the slot '{}' and beginning anew",
        settings.slot
    );
    if let Err(error) = feedback.close().await {
        tracing::debug!(%error, "the stream was not closed in order");
    }
    first::drop_slot(settings).await?;
    Ok(Ended::Again)
}

/// Lets new tables that match join a publication of ours.
async fn join_tables(
    sql: &mut SqlSession,
    settings: &Settings,
    has_messages: bool,
) -> Result<(), BeginError> {
    let name = &settings.publication;
    let Some(existing) = publication(sql, name).await? else {
        return Err(BeginError::PublicationGone { name: name.clone() });
    };
    if !existing.ours {
        return Ok(());
    }
    for key in mend_lost_keys(sql, name).await? {
        tracing::warn!("{}", key.text());
    }
    let plan = plan(&tables(sql).await?, &settings.selection);
    if !plan.cannot_exclude.is_empty() {
        return Err(BeginError::Exclude(plan.cannot_exclude));
    }
    for table in plan.keyless.iter().chain(&plan.left_out) {
        let (schema, table, why) = (&table.schema, &table.name, table.identity.reason());
        tracing::warn!("not captured: {schema}.{table}, because {why}");
    }
    let recorded = ddl::installed(sql).await?.is_some_and(|of| of == settings.publication);
    let telling = match (recorded, has_messages) {
        (true, _) => Telling::BySchemaChanges,
        (false, true) => Telling::ByMessages,
        (false, false) => Telling::Not,
    };
    let prepared = extend(sql, settings, &plan, telling).await?;
    for table in prepared.joined {
        tracing::info!("{table} is new: it is captured from now on");
    }
    for table in prepared.filled {
        tracing::info!(
            "{table} is new, and has rows: it is captured from now on, and these come with a snapshot, which is taken at once"
        );
    }
    for (table, why) in prepared.waiting {
        tracing::warn!("not captured: {table}, because {why}");
    }
    Ok(())
}

/// Where the user wants it. What was installed by an earlier start stays, and is named.
async fn record_schema_changes(sql: &mut SqlSession, settings: &Settings) -> Result<(), RunError> {
    if settings.ddl {
        ddl::install(sql, settings, ddl::Start::Again).await?;
        return Ok(());
    }
    if ddl::installed(sql).await?.is_some_and(|publication| publication == settings.publication) {
        tracing::warn!(
            "schema changes are recorded and carried, as an earlier start with --ddl installed it, under the settings of that start: \
             start with --ddl, or take it away with `tailwater-capture remove --ddl`"
        );
    }
    Ok(())
}

/// The log has no commit by which the master could be known again: it gets one at once.
async fn first_beat(sql: &SqlSession) -> Result<(), SqlError> {
    match emit(&**sql, &ControlRecord::Heartbeat).await {
        Err(error) if error.refusal() == Some(&Refusal::NoRights) => Ok(()),
        done => done,
    }
}

/// Records new channel rules in the stream, from where they take effect.
async fn record_channels(
    sql: &SqlSession,
    settings: &Settings,
    answer: &SessionAnswer,
    carried: &[PublishedTable],
) -> Result<(), BeginError> {
    let map = answer.channel_map.clone().unwrap_or_default();
    let named = carried.iter().map(|table| NamedTable {
        oid: table.oid,
        schema: &table.schema,
        name: &table.name,
    });
    let changed =
        changed_map(&map, &settings.channels, named).map_err(|moved| BeginError::ChannelMoved {
            table: moved.table,
            wanted: moved.wanted.to_string(),
            bound: moved.bound.to_string(),
        })?;
    if let Some(map) = changed {
        tracing::info!("the channels of the configuration changed: recording the new ones");
        emit(&**sql, &ControlRecord::Channels { map }).await?;
    }
    Ok(())
}
