//! The server's side, for tests.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    message::{Message, OldTuple, Relation, ReplicaIdentity},
    tuple::{Tuple, Value},
};

const EPOCH_OFFSET_US: i64 = 946_684_800_000_000;

/// A tuple of these values.
pub(super) fn tuple(values: &[Value<'_>]) -> Tuple {
    let mut out = BytesMut::new();
    out.put_u16(values.len().try_into().unwrap());
    for value in values {
        match value {
            Value::Null => out.put_u8(b'n'),
            Value::Unchanged => out.put_u8(b'u'),
            Value::Text(text) => put_sized(b't', text, &mut out),
            Value::Binary(bytes) => put_sized(b'b', bytes, &mut out),
        }
    }
    Tuple::take(&mut out.freeze()).unwrap()
}

/// The bytes the server would send.
pub(super) fn encode(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    match message {
        Message::Begin(begin) => {
            out.put_u8(b'B');
            out.put_u64(begin.final_lsn.get());
            out.put_i64(begin.commit_time_us - EPOCH_OFFSET_US);
            out.put_u32(begin.xid);
        }
        Message::Commit(commit) => {
            out.put_slice(b"C\0");
            out.put_u64(commit.commit_lsn.get());
            out.put_u64(commit.end_lsn.get());
            out.put_i64(commit.commit_time_us - EPOCH_OFFSET_US);
        }
        Message::Origin(origin) => {
            out.put_u8(b'O');
            out.put_u64(origin.lsn.get());
            put_text(&origin.name, &mut out);
        }
        Message::Relation(relation) => put_relation(relation, &mut out),
        Message::Type(of) => {
            out.put_u8(b'Y');
            out.put_u32(of.oid);
            put_text(&of.schema, &mut out);
            put_text(&of.name, &mut out);
        }
        Message::Insert(insert) => {
            out.put_u8(b'I');
            out.put_u32(insert.relation_oid);
            put_tuple(b'N', &insert.new, &mut out);
        }
        Message::Update(update) => {
            out.put_u8(b'U');
            out.put_u32(update.relation_oid);
            update.old.iter().for_each(|old| put_old(old, &mut out));
            put_tuple(b'N', &update.new, &mut out);
        }
        Message::Delete(delete) => {
            out.put_u8(b'D');
            out.put_u32(delete.relation_oid);
            put_old(&delete.old, &mut out);
        }
        Message::Truncate(truncate) => {
            out.put_u8(b'T');
            out.put_u32(truncate.relation_oids.len().try_into().unwrap());
            out.put_u8(u8::from(truncate.cascade) | u8::from(truncate.restart_identity) << 1);
            truncate.relation_oids.iter().for_each(|oid| out.put_u32(*oid));
        }
        Message::Logical(logical) => {
            out.put_u8(b'M');
            out.put_u8(logical.transactional.into());
            out.put_u64(logical.lsn.get());
            put_text(&logical.prefix, &mut out);
            out.put_u32(logical.content.len().try_into().unwrap());
            out.put_slice(&logical.content);
        }
    }
    out.freeze()
}

fn put_relation(relation: &Relation, out: &mut BytesMut) {
    out.put_u8(b'R');
    out.put_u32(relation.oid);
    put_text(&relation.schema, out);
    put_text(&relation.name, out);
    out.put_u8(match relation.replica_identity {
        ReplicaIdentity::Default => b'd',
        ReplicaIdentity::Nothing => b'n',
        ReplicaIdentity::Full => b'f',
        ReplicaIdentity::Index => b'i',
    });
    out.put_u16(relation.columns.len().try_into().unwrap());
    for column in &relation.columns {
        out.put_u8(column.is_key.into());
        put_text(&column.name, out);
        out.put_u32(column.type_oid);
        out.put_i32(column.type_modifier);
    }
}

fn put_old(old: &OldTuple, out: &mut BytesMut) {
    match old {
        OldTuple::Key(tuple) => put_tuple(b'K', tuple, out),
        OldTuple::Full(tuple) => put_tuple(b'O', tuple, out),
    }
}

fn put_tuple(kind: u8, tuple: &Tuple, out: &mut BytesMut) {
    out.put_u8(kind);
    out.put_u16(tuple.len().try_into().unwrap());
    for value in tuple.values() {
        match value {
            Value::Null => out.put_u8(b'n'),
            Value::Unchanged => out.put_u8(b'u'),
            Value::Text(text) => put_sized(b't', text, out),
            Value::Binary(bytes) => put_sized(b'b', bytes, out),
        }
    }
}

fn put_sized(kind: u8, bytes: &[u8], out: &mut BytesMut) {
    out.put_u8(kind);
    out.put_u32(bytes.len().try_into().unwrap());
    out.put_slice(bytes);
}

fn put_text(text: &str, out: &mut BytesMut) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}
