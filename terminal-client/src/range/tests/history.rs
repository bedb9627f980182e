//! Random histories of transactions over a few channels and tables, encoded as capture does it.

use std::sync::Arc;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use wire::{
    Change, ChannelName, EncodedTransaction, Lineage, Lsn, OldRow, Relation, RelationColumn,
    RelationId, ReplicaIdentity, SourceName, TransactionEncoder, TransactionHeader, TypeName,
    Value,
};

pub(super) type Decoded = Change<Arc<Relation>>;

/// A transaction as it was made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) start: Lsn,
    pub(super) end: Lsn,
    pub(super) header: TransactionHeader,
    /// Each change with its channel, in order.
    pub(super) changes: Vec<(ChannelName, Decoded)>,
}

pub(super) fn source() -> SourceName {
    SourceName::new("orders").unwrap()
}

pub(super) fn lineage() -> Lineage {
    Lineage::from_bytes([7; 16])
}

pub(super) const CHANNELS: [&str; 3] = ["a", "b", "control"];

pub(super) fn channel(at: usize) -> ChannelName {
    ChannelName::new(CHANNELS[at % CHANNELS.len()]).unwrap()
}

/// Table `at`; each has its own columns, and each is in one channel.
pub(super) fn relation(at: usize) -> Arc<Relation> {
    let column = |name: String, key| RelationColumn {
        name,
        key,
        type_name: TypeName { schema: "pg_catalog".into(), name: "text".into() },
        type_oid: 25,
        type_modifier: -1,
    };
    Arc::new(Relation {
        oid: 16_384 + u32::try_from(at).unwrap(),
        schema: "public".into(),
        name: format!("t{at}"),
        identity: ReplicaIdentity::Default,
        columns: (0..=at % 3).map(|c| column(format!("c{c}"), c == 0)).collect(),
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => Just(Value::Unchanged),
        6 => vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Text(Bytes::from(bytes))),
    ]
}

fn change() -> impl Strategy<Value = (ChannelName, Decoded)> {
    (0_usize..5, 0_u8..5, vec(value(), 3), vec(value(), 3)).prop_map(|(table, kind, old, new)| {
        let relation = relation(table);
        let width = relation.columns.len();
        let (old, new) = (old[..width].to_vec(), new[..width].to_vec());
        let change = match kind {
            0 => Change::Insert { relation, new },
            1 => Change::Update { relation, old: None, new },
            2 => Change::Update { relation, old: Some(OldRow::Full(old)), new },
            3 => Change::Delete { relation, old: OldRow::Key(old) },
            _ => Change::Truncate {
                relations: vec![relation],
                cascade: width == 1,
                restart_identity: width == 2,
            },
        };
        (channel(table), change)
    })
}

/// Up to `most` transactions; positions grow by random steps.
pub(super) fn history(most: usize) -> impl Strategy<Value = Vec<Made>> {
    let transaction = (1_u64..500, 1_u64..50, vec(change(), 1..12), any::<i64>());
    vec(transaction, 1..most).prop_map(|transactions| {
        let mut at = 1000;
        let made = transactions.into_iter().zip(1_u32..);
        made.map(|((gap, len, changes, commit_time_us), xid)| {
            let start = Lsn::new(at + gap);
            at += gap + len;
            let header = TransactionHeader { xid, commit_time_us };
            Made { start, end: Lsn::new(at), header, changes }
        })
        .collect()
    })
}

/// Encodes as capture does.
pub(super) fn encoder(made: &Made) -> TransactionEncoder {
    let mut encoder = TransactionEncoder::new(made.header);
    for (channel, change) in &made.changes {
        encoder.push(channel, &with_ids(change));
    }
    encoder
}

pub(super) fn encode(made: &Made) -> EncodedTransaction {
    encoder(made).finish()
}

fn with_ids(change: &Decoded) -> Change<(RelationId, Arc<Relation>)> {
    let id = |relation: &Arc<Relation>| (relation.id(), relation.clone());
    match change {
        Change::Insert { relation, new } => {
            Change::Insert { relation: id(relation), new: new.clone() }
        }
        Change::Update { relation, old, new } => {
            Change::Update { relation: id(relation), old: old.clone(), new: new.clone() }
        }
        Change::Delete { relation, old } => {
            Change::Delete { relation: id(relation), old: old.clone() }
        }
        Change::Truncate { relations, cascade, restart_identity } => Change::Truncate {
            relations: relations.iter().map(id).collect(),
            cascade: *cascade,
            restart_identity: *restart_identity,
        },
        Change::Message { prefix, content, transactional } => Change::Message {
            prefix: prefix.clone(),
            content: content.clone(),
            transactional: *transactional,
        },
    }
}
