//! Messages of the plugin as changes of the wire format.

use std::sync::Arc;

use wire::{Change, ChannelName, Lsn, OldRow, Relation, RelationId, Tuple, Value};

use super::{
    error::AssembleError,
    mapping::message_channel,
    relations::{KnownRelation, Relations},
};
use crate::pgoutput::{self, Message, OldTuple};

/// How a relation is named while a change is encoded.
pub(super) type Named = (RelationId, Arc<Relation>);

/// The changes that a message makes, each with its channel: none, one, or one per channel of a TRUNCATE.
pub(super) fn changes(
    message: Message,
    relations: &Relations,
    lsn: Lsn,
) -> Result<Vec<(ChannelName, Change<Named>)>, AssembleError> {
    let (channel, change) = match message {
        Message::Insert(insert) => {
            let known = relations.get(insert.relation_oid, lsn)?;
            let new = row(&insert.new, known, lsn)?;
            (known.channel.clone(), Change::Insert { relation: named(known), new })
        }
        Message::Update(update) => {
            let known = relations.get(update.relation_oid, lsn)?;
            let old = update.old.map(|old| old_row(&old, known, lsn)).transpose()?;
            let new = row(&update.new, known, lsn)?;
            (known.channel.clone(), Change::Update { relation: named(known), old, new })
        }
        Message::Delete(delete) => {
            let known = relations.get(delete.relation_oid, lsn)?;
            let old = old_row(&delete.old, known, lsn)?;
            (known.channel.clone(), Change::Delete { relation: named(known), old })
        }
        Message::Truncate(truncate) => return split_truncate(&truncate, relations, lsn),
        Message::Logical(message) => {
            let channel = message_channel(&message.prefix);
            let pgoutput::LogicalMessage { transactional, prefix, content, .. } = message;
            (channel, Change::Message { prefix, content, transactional })
        }
        _ => return Ok(Vec::new()),
    };
    Ok(vec![(channel, change)])
}

fn split_truncate(
    truncate: &pgoutput::Truncate,
    relations: &Relations,
    lsn: Lsn,
) -> Result<Vec<(ChannelName, Change<Named>)>, AssembleError> {
    let mut split: Vec<(ChannelName, Vec<Named>)> = Vec::new();
    for oid in &truncate.relation_oids {
        let known = relations.get(*oid, lsn)?;
        match split.iter_mut().find(|(channel, _)| *channel == known.channel) {
            Some((_, tables)) => tables.push(named(known)),
            None => split.push((known.channel.clone(), vec![named(known)])),
        }
    }
    let pgoutput::Truncate { cascade, restart_identity, .. } = *truncate;
    let truncated = |relations| Change::Truncate { relations, cascade, restart_identity };
    Ok(split.into_iter().map(|(channel, tables)| (channel, truncated(tables))).collect())
}

fn named(known: &KnownRelation) -> Named {
    (known.id, known.relation.clone())
}

fn old_row(old: &OldTuple, known: &KnownRelation, lsn: Lsn) -> Result<OldRow, AssembleError> {
    Ok(match old {
        OldTuple::Key(tuple) => OldRow::Key(row(tuple, known, lsn)?),
        OldTuple::Full(tuple) => OldRow::Full(row(tuple, known, lsn)?),
    })
}

fn row(tuple: &pgoutput::Tuple, known: &KnownRelation, lsn: Lsn) -> Result<Tuple, AssembleError> {
    let expected = known.relation.columns.len();
    if tuple.len() != expected {
        let table = known.relation.to_string();
        return Err(AssembleError::Columns { table, lsn, expected, found: tuple.len() });
    }
    let value = |value| match value {
        pgoutput::Value::Null => Value::Null,
        pgoutput::Value::Unchanged => Value::Unchanged,
        pgoutput::Value::Text(bytes) => Value::Text(tuple.share(bytes)),
        pgoutput::Value::Binary(bytes) => Value::Binary(tuple.share(bytes)),
    };
    Ok(tuple.values().map(value).collect())
}
