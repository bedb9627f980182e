use std::{mem::take, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use wire::{
    CONTROL_PREFIX, Change, ChannelMap, ControlRecord, JoinedTable, Lsn, Relation,
    SCHEMA_CHANGE_COLUMN, SchemaChange, Sequence, SourceName,
};

use super::{bundle::Bundle, error::PullError};
use crate::{
    position::Position,
    range::{
        Event, RangeError, RangeReader, Relations, is_schema_change, schema_change_text, verify,
    },
    target::Operation,
};

/// Batches decoded ahead of the target.
pub(super) const BATCHES_AHEAD: usize = 2;
/// Between two transactions a batch is handed on with so many changes (or fewer, where the target is to commit
/// after fewer), or so many bytes of values: only there can the target commit.
const BATCH_CHANGES: usize = 10_000;
const BATCH_BYTES: usize = 2 << 20;
/// Within a transaction it is with so many times more.
const WITHIN: usize = 2;
/// What is larger is applied before anything more is decoded: a value may be as large as memory allows.
const ALONE_BYTES: usize = 8 << 20;

/// Changes in order, to be applied together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) operations: Vec<Operation>,
    /// A channel map that is in force behind it.
    pub(super) channel_map: Option<ChannelMap>,
    /// Sequences that moved in it.
    pub(super) sequences: Vec<Sequence>,
    /// Transactions that end in it and changed a row.
    pub(super) transactions: u64,
    /// Where it leaves the target, if that is between two transactions.
    pub(super) boundary: Option<Position>,
    /// Tables whose rows the transaction that begins here leaves out; nothing else is in such a batch.
    pub(super) lacking: Vec<Altered>,
    /// A change of a table's definition, behind the operations.
    pub(super) schema_change: Option<Altered>,
    /// A table that joins with rows in it, behind the operations, and the position of its transaction.
    pub(super) joined: Option<(Lsn, JoinedTable)>,
    /// Whether to commit behind it: nothing else follows at once, or what does stands alone.
    pub(super) commit: bool,
    /// Dropped once it is applied, where the decoder waits for that.
    pub(super) applied: Option<oneshot::Sender<()>>,
}

impl Batch {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.operations.is_empty()
            && self.sequences.is_empty()
            && self.channel_map.is_none()
            && self.schema_change.is_none()
            && self.joined.is_none()
            && self.lacking.is_empty()
    }
}

/// A schema change and the position of its transaction.
#[derive(Debug)]
pub(super) struct Altered {
    pub(super) lsn: Lsn,
    pub(super) change: Box<SchemaChange>,
}

/// Why a bundle was not decoded to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Nothing of its transaction may be applied: rows behind it would meet the table as it was.
    #[error("the schema change at {lsn} cannot be read: {why}")]
    SchemaChange { lsn: Lsn, why: String },
}

impl DecodeError {
    /// As a pull of the source says it.
    pub(super) fn of(self, source: &SourceName) -> PullError {
        match self {
            Self::Range(error) => error.into(),
            Self::SchemaChange { lsn, why } => {
                PullError::SchemaChange { source_name: source.clone(), lsn, why }
            }
        }
    }
}

/// How far a bundle is decoded, and after how many changes the target is to commit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    pub(super) until: Option<Lsn>,
    pub(super) commit_changes: Option<u64>,
    /// Whether each transaction is handed on by itself; whole, unless it is large or alters a table.
    pub(super) apart: bool,
}

/// Turns a bundle into batches, each range after it was proved; as far as `until`, where that is given
/// and the bundle goes further. Blocks while the batches before are being applied; ends early where nobody
/// takes them any more.
pub(super) fn decode(
    source: &SourceName,
    bundle: &Bundle,
    relations: &mut Relations,
    cut: Cut,
    out: &mpsc::Sender<Batch>,
) -> Result<(), DecodeError> {
    let Cut { until, .. } = cut;
    let mut position = bundle.start.clone();
    let mut batch = Batch::default();
    let mut bytes = 0;
    for range in &bundle.ranges {
        verify(range, source, &position)?;
        let mut reader = RangeReader::new(range, position, relations)?;
        let (mut lsn, mut has_changes, mut alone) = (range.after, false, false);
        let (mut beyond, mut apart) = (false, false);
        while let Some(event) = reader.next(relations)? {
            match event {
                Event::Begin { lsn: at, .. } if until.is_some_and(|until| at > until) => {
                    beyond = true;
                    break;
                }
                Event::Begin { lsn: at, alters, .. } => {
                    (lsn, has_changes, alone) = (at, false, alters.any);
                    // It has a target transaction of its own: where it cannot be applied, all before it
                    // is; and PostgreSQL lets no transaction use the enum value that it added.
                    if alone {
                        batch.boundary = Some(reader.position().clone());
                        batch.commit = true;
                        if !hand_on(out, &mut batch, &mut bytes) {
                            return Ok(());
                        }
                        batch.lacking = lacking(lsn, &alters.lacking)?;
                        if !batch.lacking.is_empty() && !hand_on(out, &mut batch, &mut bytes) {
                            return Ok(());
                        }
                    }
                    batch.boundary = None;
                }
                Event::Change { channel, change }
                    if channel.is_control() && is_schema_change(&change) =>
                {
                    let change = Box::new(schema_change(lsn, &change)?);
                    has_changes = true;
                    batch.schema_change = Some(Altered { lsn, change });
                    if !hand_on(out, &mut batch, &mut bytes) {
                        return Ok(());
                    }
                }
                Event::Change { channel, change } if channel.is_control() => {
                    match control(&change) {
                        Some(ControlRecord::Channels { map }) => batch.channel_map = Some(map),
                        Some(ControlRecord::Sequences { sequences }) => {
                            batch.sequences.extend(sequences);
                        }
                        Some(ControlRecord::Joined { table }) => {
                            batch.joined = Some((lsn, table));
                            if !hand_on(out, &mut batch, &mut bytes) {
                                return Ok(());
                            }
                        }
                        Some(ControlRecord::Heartbeat) | None => {}
                    }
                }
                Event::Change { change: Change::Message { .. }, .. } => {}
                Event::Change { change, .. } => {
                    has_changes = true;
                    let operation = Operation { lsn, change };
                    bytes += operation.len();
                    batch.operations.push(operation);
                }
                Event::Commit { .. } => {
                    batch.transactions += u64::from(has_changes);
                    batch.boundary = Some(reader.position().clone());
                    batch.commit = alone;
                    apart = cut.apart;
                }
            }
            let apart = std::mem::take(&mut apart);
            if (batch.commit || apart || is_full(&batch, bytes, cut))
                && !hand_on(out, &mut batch, &mut bytes)
            {
                return Ok(());
            }
        }
        position = reader.position().clone();
        // No commit need be exactly there.
        if let Some(until) = until.filter(|until| beyond || position.lsn >= *until) {
            position.lsn = until;
            break;
        }
    }
    batch.boundary = Some(position);
    batch.commit = true;
    hand_on(out, &mut batch, &mut bytes);
    Ok(())
}

/// Tables whose rows a transaction leaves out, known before any of it is applied: a change of a partitioned
/// table comes before those of its parts, and cannot be made with their old rows.
fn lacking(lsn: Lsn, first: &[Change<Arc<Relation>>]) -> Result<Vec<Altered>, DecodeError> {
    let altered = |change| Ok(Altered { lsn, change: Box::new(schema_change(lsn, change)?) });
    first.iter().map(altered).collect()
}

/// What a row of `tailwater.schema_changes` says.
fn schema_change(lsn: Lsn, change: &Change<Arc<Relation>>) -> Result<SchemaChange, DecodeError> {
    let fail = |why: String| DecodeError::SchemaChange { lsn, why };
    let json = schema_change_text(change)
        .ok_or_else(|| fail(format!("its row has no text in the column {SCHEMA_CHANGE_COLUMN}")))?;
    serde_json::from_slice(json).map_err(|error| fail(error.to_string()))
}

fn is_full(batch: &Batch, bytes: usize, cut: Cut) -> bool {
    let changes = batch.operations.len();
    if batch.boundary.is_none() {
        return changes >= WITHIN * BATCH_CHANGES || bytes >= WITHIN * BATCH_BYTES;
    }
    let enough = cut.commit_changes.and_then(|enough| usize::try_from(enough).ok());
    let enough = enough.map_or(BATCH_CHANGES, |enough| enough.min(BATCH_CHANGES));
    changes >= enough || bytes >= BATCH_BYTES
}

fn hand_on(out: &mpsc::Sender<Batch>, batch: &mut Batch, bytes: &mut usize) -> bool {
    let alone = take(bytes) >= ALONE_BYTES;
    if !alone {
        return out.blocking_send(take(batch)).is_ok();
    }
    let (applied, wait) = oneshot::channel();
    batch.applied = Some(applied);
    let sent = out.blocking_send(take(batch)).is_ok();
    // Nothing is ever sent; the sender is dropped.
    drop(wait.blocking_recv());
    sent
}

fn control(change: &Change<Arc<Relation>>) -> Option<ControlRecord> {
    let Change::Message { prefix, content, .. } = change else { return None };
    if prefix != CONTROL_PREFIX {
        return None;
    }
    match serde_json::from_slice(content) {
        Ok(record) => Some(record),
        // From a newer capture.
        Err(error) => {
            tracing::warn!(%error, "a control record that this version does not know");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::{
        ChannelHashes, ChannelName, Lineage, Lsn, RelationColumn, ReplicaIdentity, SliceBuilder,
        TransactionEncoder, TransactionHeader, TypeName, Value,
    };

    use super::*;
    use crate::range::Range;

    fn source() -> SourceName {
        SourceName::new("orders").unwrap()
    }

    /// One transaction that inserts so many values of so many bytes.
    fn bundle(values: usize, bytes: usize) -> Bundle {
        let type_name = TypeName { schema: "pg_catalog".into(), name: "text".into() };
        let (name, key, type_oid, type_modifier) = ("t".to_owned(), true, 25, -1);
        let relation = Relation {
            oid: 1,
            schema: "public".into(),
            name: "t".into(),
            identity: ReplicaIdentity::Default,
            columns: vec![RelationColumn { name, key, type_name, type_oid, type_modifier }],
        };
        let relation = (relation.id(), Arc::new(relation));
        let mut encoder = TransactionEncoder::new(TransactionHeader { xid: 1, commit_time_us: 0 });
        let new = vec![Value::Text(vec![b'x'; bytes].into())];
        let insert = Change::Insert { relation, new };
        (0..values).for_each(|_| encoder.push(&ChannelName::default_channel(), &insert));
        let lineage = Lineage::from_bytes([1; 16]);
        let mut builder =
            SliceBuilder::new(source(), lineage, Lsn::ZERO, ChannelHashes::default(), 1);
        builder.push(Lsn::new(9), Lsn::new(10), &encoder.finish(), &[]).unwrap();
        let slice = builder.finish(Lsn::new(10)).unwrap();
        let start = Position::proved(lineage, Lsn::ZERO, ChannelHashes::default());
        Bundle { ranges: vec![Range::from_slice(&slice, |_| true)], start, head: Lsn::new(10) }
    }

    #[test]
    fn batches_are_bounded_in_bytes() {
        let (out, mut batches) = mpsc::channel(100);
        decode(&source(), &bundle(300, 50_000), &mut Relations::default(), Cut::default(), &out)
            .unwrap();
        let bytes = |batch: &Batch| batch.operations.iter().map(Operation::len).sum::<usize>();
        let found: Vec<usize> =
            std::iter::from_fn(|| batches.try_recv().ok()).map(|batch| bytes(&batch)).collect();
        assert!(found.iter().all(|bytes| *bytes < WITHIN * BATCH_BYTES + 200_000), "{found:?}");
        assert!(found.iter().sum::<usize>() > 15_000_000, "{found:?}");
    }

    #[test]
    fn behind_a_large_value_nothing_is_decoded_until_it_is_applied() {
        let (out, mut batches) = mpsc::channel(100);
        let decoding = std::thread::spawn(move || {
            decode(
                &source(),
                &bundle(1, ALONE_BYTES),
                &mut Relations::default(),
                Cut::default(),
                &out,
            )
        });
        let batch = batches.blocking_recv().unwrap();
        assert!(batch.applied.is_some() && batch.operations.len() == 1);
        assert!(batches.try_recv().is_err(), "it went on");
        drop(batch);
        assert!(batches.blocking_recv().unwrap().commit);
        decoding.join().unwrap().unwrap();
    }
}
