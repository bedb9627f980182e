//! The SQL side of a running capture: where the master is, how the slot is, and heartbeats.

use std::sync::Arc;

use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use wire::{ControlRecord, Lsn};

use super::{
    board::Board,
    keys::Keys,
    sequences::Sequences,
    slot_watch::{LOOK_EVERY, connected, look_at_slot},
};
use crate::{
    begin::{PublishedTable, published},
    explain,
    source::{Refusal, Source, SqlError, SqlSession, answer, emit},
};

/// The publication is looked at every so many looks.
const PUBLICATION_EVERY: u32 = 8;

/// What a running capture asks of the master by SQL, from a task of its own: none of it may hold up
/// the stream.
#[derive(Debug)]
pub(super) struct Pulse {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    heartbeat_wanted: Notify,
    view: std::sync::Mutex<View>,
}

/// What was seen last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    /// How far the master's WAL is flushed.
    pub(super) position: Lsn,
    /// The role may not write messages, so that no heartbeat can be had.
    pub(super) mute: bool,
    /// The publication no longer carries what it carried.
    pub(super) publication: Option<String>,
    /// Published tables without a key that could not be mended.
    pub(super) keys: Option<String>,
}

/// What to look at.
#[derive(Debug, Clone)]
pub(super) struct Patient {
    pub(super) source: Source,
    pub(super) slot: String,
    pub(super) publication: String,
    /// Tables of the log by OID: each is to be published for as long as it exists.
    pub(super) tables: Vec<u32>,
    /// The server passes on messages.
    pub(super) has_messages: bool,
}

impl Pulse {
    pub(super) fn start(patient: Patient, board: Board) -> Self {
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(watch(patient, board, shared.clone()));
        Self { shared, task }
    }

    /// Asks for a heartbeat: a commit that the stream will bring.
    pub(super) fn beat(&self) {
        self.shared.heartbeat_wanted.notify_one();
    }

    pub(super) fn view(&self) -> View {
        self.shared.lock().clone()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

async fn watch(patient: Patient, board: Board, shared: Arc<Shared>) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sql = None;
    let mut count: u32 = 0;
    let (mut sequences, mut keys) = (Sequences::default(), Keys::default());
    // Tables may join while the stream is followed.
    let mut carried = patient.tables.clone();
    loop {
        let beat = tokio::select! {
            _ = looks.tick() => false,
            () = shared.heartbeat_wanted.notified() => true,
        };
        let done = async {
            let sql = connected(&mut sql, &patient.source).await?;
            if beat {
                heartbeat(sql, &shared).await
            } else {
                let publication = count.is_multiple_of(PUBLICATION_EVERY);
                if let Some(now) = look(sql, &patient, &board, &shared, publication).await? {
                    carried = now;
                }
                let lost = keys.look(sql, &patient.publication).await?;
                shared.lock().keys = lost;
                if patient.has_messages {
                    sequences.look(sql, &carried).await?;
                }
                Ok(())
            }
        };
        if let Err(error) = done.await {
            // The stream itself shows whether the master is there.
            tracing::debug!("{}", explain::chain(&error));
            sql = None;
        }
        count = count.wrapping_add(u32::from(!beat));
    }
}

/// The tables that the publication carries, where that was looked at.
async fn look(
    sql: &SqlSession,
    patient: &Patient,
    board: &Board,
    shared: &Shared,
    publication: bool,
) -> Result<Option<Vec<u32>>, SqlError> {
    let (position, _) = look_at_slot(sql, &patient.slot, board).await?;
    let (mut carried, mut change) = (None, None);
    if publication {
        let tables = published(&**sql, &patient.publication).await?;
        change = Some(publication_change(sql, patient, &tables).await?);
        carried = Some(tables.into_iter().map(|table| table.oid).collect());
    }
    let mut view = shared.lock();
    view.position = position;
    if let Some(change) = change {
        if change.is_some() && change != view.publication {
            tracing::warn!("{}", change.as_deref().unwrap_or_default());
        }
        view.publication = change;
    }
    Ok(carried)
}

async fn publication_change(
    sql: &SqlSession,
    patient: &Patient,
    carried: &[PublishedTable],
) -> Result<Option<String>, SqlError> {
    let missing: Vec<u32> = patient
        .tables
        .iter()
        .copied()
        .filter(|oid| !carried.iter().any(|table| table.oid == *oid))
        .collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let query = "
        SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = ANY($1) AND c.relkind = 'r' AND c.relpersistence = 'p' ORDER BY 1";
    let rows = answer(sql.query(query, &[&missing])).await?;
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok((!names.is_empty()).then(|| {
        format!(
            "the publication '{}' no longer carries {}: their changes do not reach the terminals. Put them back with ALTER \
             PUBLICATION … ADD TABLE; what changed meanwhile is missing at the terminals",
            patient.publication,
            names.join(", ")
        )
    }))
}

async fn heartbeat(sql: &SqlSession, shared: &Shared) -> Result<(), SqlError> {
    match emit(&**sql, &ControlRecord::Heartbeat).await {
        Err(error) if error.refusal() == Some(&Refusal::NoRights) => {
            if !std::mem::replace(&mut shared.lock().mute, true) {
                tracing::warn!(
                    "the role may not write messages, so no heartbeat can be made: while the captured tables are quiet, nothing \
                     proves after a restart that the master is the same (state 'unproved'). What to do: GRANT EXECUTE ON \
                     FUNCTION pg_logical_emit_message(bool, text, text) TO the role"
                );
            }
            Ok(())
        }
        done => done,
    }
}
