use bytes::Bytes;

use crate::cursor::{DecodeError, Reader, put_prefixed, put_varint};

/// The place of a relation in its transaction: the order in which the transaction first used it,
/// from 0. Only with the transaction does it mean a relation.
pub type RelationNumber = u32;

/// One value of a row, as the WAL gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A large value that the update did not touch; the stream does not carry it.
    Unchanged,
    /// The type's text form under pinned settings (UTF-8).
    Text(Bytes),
    /// The type's binary form.
    Binary(Bytes),
}

/// A row: a value per column of its relation.
pub type Tuple = Vec<Value>;

/// What the stream says of the row before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OldRow {
    /// The replica identity's columns; the others are NULL.
    Key(Tuple),
    /// All columns (REPLICA IDENTITY FULL).
    Full(Tuple),
}

/// One change of a transaction. `R` is how a relation is named: by its number in the transaction
/// while it is encoded, by its definition where it is decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change<R = RelationNumber> {
    /// A new row.
    Insert {
        /// The table.
        relation: R,
        /// The row.
        new: Tuple,
    },
    /// A changed row; `old` only where the key changed or the identity is FULL.
    Update {
        /// The table.
        relation: R,
        /// The row before.
        old: Option<OldRow>,
        /// The row after.
        new: Tuple,
    },
    /// A row that is gone.
    Delete {
        /// The table.
        relation: R,
        /// The row before.
        old: OldRow,
    },
    /// Tables emptied together.
    Truncate {
        /// The tables.
        relations: Vec<R>,
        /// `CASCADE` was said.
        cascade: bool,
        /// `RESTART IDENTITY` was said.
        restart_identity: bool,
    },
    /// A logical message (`pg_logical_emit_message`).
    Message {
        /// Its prefix.
        prefix: String,
        /// Its content.
        content: Bytes,
        /// Whether it was part of a transaction.
        transactional: bool,
    },
}

const INSERT: u8 = b'I';
const UPDATE: u8 = b'U';
const DELETE: u8 = b'D';
const TRUNCATE: u8 = b'T';
const MESSAGE: u8 = b'M';

/// The two ways a relation is named in bytes: its number, or its id at first use.
pub(crate) trait RelationNames<R> {
    fn put(&mut self, out: &mut Vec<u8>, relation: &R);
}

pub(crate) trait RelationLookup<R> {
    fn get(&mut self, r: &mut Reader<'_>) -> Result<R, DecodeError>;
}

impl<R> Change<R> {
    pub(crate) fn encode(&self, out: &mut Vec<u8>, names: &mut impl RelationNames<R>) {
        match self {
            Self::Insert { relation, new } => {
                out.push(INSERT);
                names.put(out, relation);
                put_tuple(out, new);
            }
            Self::Update { relation, old, new } => {
                out.push(UPDATE);
                names.put(out, relation);
                put_old(out, old.as_ref());
                put_tuple(out, new);
            }
            Self::Delete { relation, old } => {
                out.push(DELETE);
                names.put(out, relation);
                put_old(out, Some(old));
            }
            Self::Truncate { relations, cascade, restart_identity } => {
                out.push(TRUNCATE);
                out.push(u8::from(*cascade) | u8::from(*restart_identity) << 1);
                put_varint(out, relations.len() as u64);
                for relation in relations {
                    names.put(out, relation);
                }
            }
            Self::Message { prefix, content, transactional } => {
                out.push(MESSAGE);
                out.push(u8::from(*transactional));
                put_prefixed(out, prefix.as_bytes());
                put_prefixed(out, content);
            }
        }
    }

    /// `all` is the buffer that `r` reads from; values are slices of it, not copies.
    pub(crate) fn decode(
        all: &Bytes,
        r: &mut Reader<'_>,
        names: &mut impl RelationLookup<R>,
    ) -> Result<Self, DecodeError> {
        Ok(match r.u8("change tag")? {
            INSERT => Self::Insert { relation: names.get(r)?, new: get_tuple(all, r)? },
            UPDATE => Self::Update {
                relation: names.get(r)?,
                old: get_old(all, r)?,
                new: get_tuple(all, r)?,
            },
            DELETE => {
                let relation = names.get(r)?;
                let old = get_old(all, r)?
                    .ok_or_else(|| DecodeError::invalid("delete", "a delete without its row"))?;
                Self::Delete { relation, old }
            }
            TRUNCATE => {
                let flags = r.u8("truncate flags")?;
                if flags > 3 {
                    return Err(DecodeError::invalid("truncate flags", flags));
                }
                let count = r.count("truncated tables", 1)?;
                Self::Truncate {
                    relations: (0..count).map(|_| names.get(r)).collect::<Result<_, _>>()?,
                    cascade: flags & 1 != 0,
                    restart_identity: flags & 2 != 0,
                }
            }
            MESSAGE => {
                let transactional = match r.u8("message flags")? {
                    0 => false,
                    1 => true,
                    other => return Err(DecodeError::invalid("message flags", other)),
                };
                Self::Message {
                    prefix: r.text("message prefix")?.to_owned(),
                    content: all.slice_ref(r.prefixed("message content")?),
                    transactional,
                }
            }
            tag => return Err(DecodeError::invalid("change tag", tag)),
        })
    }

    /// The tables it touches.
    pub fn relations(&self) -> &[R] {
        match self {
            Self::Insert { relation, .. }
            | Self::Update { relation, .. }
            | Self::Delete { relation, .. } => std::slice::from_ref(relation),
            Self::Truncate { relations, .. } => relations,
            Self::Message { .. } => &[],
        }
    }
}

fn put_old(out: &mut Vec<u8>, old: Option<&OldRow>) {
    match old {
        None => out.push(b'N'),
        Some(OldRow::Key(tuple)) => {
            out.push(b'K');
            put_tuple(out, tuple);
        }
        Some(OldRow::Full(tuple)) => {
            out.push(b'O');
            put_tuple(out, tuple);
        }
    }
}

fn get_old(all: &Bytes, r: &mut Reader<'_>) -> Result<Option<OldRow>, DecodeError> {
    Ok(match r.u8("old row kind")? {
        b'N' => None,
        b'K' => Some(OldRow::Key(get_tuple(all, r)?)),
        b'O' => Some(OldRow::Full(get_tuple(all, r)?)),
        kind => return Err(DecodeError::invalid("old row kind", kind)),
    })
}

fn put_tuple(out: &mut Vec<u8>, tuple: &Tuple) {
    put_varint(out, tuple.len() as u64);
    for value in tuple {
        match value {
            Value::Null => out.push(b'n'),
            Value::Unchanged => out.push(b'u'),
            Value::Text(bytes) => {
                out.push(b't');
                put_prefixed(out, bytes);
            }
            Value::Binary(bytes) => {
                out.push(b'b');
                put_prefixed(out, bytes);
            }
        }
    }
}

fn get_tuple(all: &Bytes, r: &mut Reader<'_>) -> Result<Tuple, DecodeError> {
    let count = r.count("columns", 1)?;
    (0..count)
        .map(|_| {
            Ok(match r.u8("value kind")? {
                b'n' => Value::Null,
                b'u' => Value::Unchanged,
                b't' => Value::Text(all.slice_ref(r.prefixed("value")?)),
                b'b' => Value::Binary(all.slice_ref(r.prefixed("value")?)),
                kind => return Err(DecodeError::invalid("value kind", kind)),
            })
        })
        .collect()
}
