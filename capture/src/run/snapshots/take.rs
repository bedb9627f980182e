use std::{pin::pin, time::Duration};

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use wire::{Lsn, Snapshot, SnapshotMark};

use super::{
    ask::{Ask, Question, heard},
    error::SnapshotError,
    job::SnapshotJob,
};
use crate::{
    assemble::ChannelState,
    begin::{PublishedTable, check_excluded, published},
    copy::{CopyChannels, CopyPlan, Hold, Readers, gather, post},
    run::make_slot::make_slot,
    source::SqlSession,
    walsender::{CreatedSlot, SlotSnapshot, Walsender},
};

/// How often it is looked who waits for the tables.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long it may take to undo what was begun on the master.
const UNDONE_WITHIN: Duration = Duration::from_secs(5);

/// Takes one snapshot and brings it to the relay.
pub(super) async fn take(
    job: &SnapshotJob,
    asks: &mpsc::Sender<Ask>,
    stop: &CancellationToken,
) -> Result<SnapshotMark, SnapshotError> {
    let settings = &job.settings;
    let sql = settings.source.connect_sql().await?;
    let carried = published(&*sql, &settings.publication).await?;
    check_excluded(settings, carried.iter().flat_map(PublishedTable::names))?;
    // No table changes its shape while it is copied.
    let hold = Hold::free(&settings.source).await?;
    hold.tables_at_once(&carried).await?;
    let readers = hold.readers(&settings.source, &carried, settings.copy_connections).await?;

    let give_up = stop.child_token();
    let mut taking = pin!(async {
        let begun = begin(job, &sql, asks, &give_up).await?;
        tokio::select! {
            taken = copy(job, begun, readers) => taken,
            () = give_up.cancelled() => Err(SnapshotError::Ended),
        }
    });
    let why = tokio::select! {
        taken = &mut taking => return taken,
        why = in_the_way(&hold) => why,
    };
    drop(hold);
    give_up.cancel();
    let _ = timeout(UNDONE_WITHIN, taking).await;
    Err(why)
}

/// Ends when somebody waits for the tables, who may be the very one that the slot's making waits for; or
/// when they are held no longer.
async fn in_the_way(hold: &Hold) -> SnapshotError {
    loop {
        sleep(LOOK_EVERY).await;
        match hold.waited_for().await {
            Ok(None) => {}
            Ok(Some(whom)) => return SnapshotError::InTheWay { whom },
            Err(error) => return error.into(),
        }
    }
}

/// A position, and what is needed to copy the tables as they were there.
struct Begun {
    /// Exports the snapshot, as long as nothing is asked of it.
    walsender: Walsender,
    slot: String,
    created: CreatedSlot,
    question: Question,
}

/// Everything between the locks and the copy. The order matters: what the stream passes is noted before
/// there is a position.
async fn begin(
    job: &SnapshotJob,
    sql: &SqlSession,
    asks: &mpsc::Sender<Ask>,
    stop: &CancellationToken,
) -> Result<Begun, SnapshotError> {
    let settings = &job.settings;
    let (ask, mut question) = Ask::new();
    asks.send(ask).await.map_err(|_| SnapshotError::Ended)?;
    (&mut question.noting).await.map_err(|_| SnapshotError::Ended)?;
    let mut walsender = Walsender::connect(&settings.source).await?;
    let backend = walsender.process_id();
    // Two live backends of a server never have one number.
    let slot = format!("tailwater_snapshot_{backend}");
    let create = walsender.create_temporary_slot(&slot, SlotSnapshot::Export);
    let created = make_slot(create, backend, sql, settings.slot_within, stop).await;
    if stop.is_cancelled() {
        return Err(SnapshotError::Ended);
    }
    let created = created?;
    tracing::info!("the snapshot is at {}", created.consistent_point);
    Ok(Begun { walsender, slot, created, question })
}

async fn copy(
    job: &SnapshotJob,
    begun: Begun,
    readers: Readers,
) -> Result<SnapshotMark, SnapshotError> {
    let Begun { walsender, slot, created, question } = begun;
    let settings = &job.settings;
    let lsn = created.consistent_point;
    let copying = job.board.copying();
    let plan = CopyPlan {
        name: &settings.name,
        publication: &settings.publication,
        what: "snapshot",
        lineage: job.lineage,
        session: job.session,
        lsn,
        snapshot: created.snapshot.as_deref().unwrap_or_default(),
        told: &|progress| copying.told(progress),
    };
    let channels = async {
        let mut walsender = walsender;
        // The copying transaction keeps the rows by itself; the slot would only keep WAL.
        walsender.drop_slot(&slot).await?;
        walsender.close().await;
        let ChannelState { hashes, map } = state_at(job, lsn, question).await?;
        Ok::<_, SnapshotError>(CopyChannels::InForce { hashes, map })
    };
    let snapshot = gather(&plan, readers, job.relay.clone(), channels).await?;
    post(&job.relay, job.session, &snapshot).await?;
    said(&snapshot);
    Ok(snapshot.mark())
}

/// How the channels stand at the snapshot's position, once the stream is there.
async fn state_at(
    job: &SnapshotJob,
    lsn: Lsn,
    question: Question,
) -> Result<ChannelState, SnapshotError> {
    let within = job.settings.slot_within;
    let Question { lsn: tell, state, .. } = question;
    tell.send(lsn).map_err(|_| SnapshotError::Ended)?;
    match timeout(within, heard(state)).await {
        Ok(state) => Ok(state??),
        Err(_) => Err(SnapshotError::Behind { lsn, within }),
    }
}

fn said(snapshot: &Snapshot) {
    let rows: u64 = snapshot.tables.iter().map(|table| table.rows).sum();
    tracing::info!("the relay has the snapshot at {}: {rows} rows", snapshot.lsn);
}
