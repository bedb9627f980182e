//! Any bytes: decoded or refused, and what is decoded can be walked over.
#![no_main]

use bytes::Bytes;
use capture::pgoutput::{Message, OldTuple, Tuple, decode};
use libfuzzer_sys::fuzz_target;
use wire::Lsn;

fn walk(tuple: &Tuple) {
    assert_eq!(tuple.values().count(), tuple.len());
}

fn walk_old(old: &OldTuple) {
    match old {
        OldTuple::Key(tuple) | OldTuple::Full(tuple) => walk(tuple),
    }
}

fuzz_target!(|bytes: &[u8]| {
    match decode(Bytes::copy_from_slice(bytes), Lsn::ZERO) {
        Ok(Message::Insert(insert)) => walk(&insert.new),
        Ok(Message::Update(update)) => {
            update.old.iter().for_each(walk_old);
            walk(&update.new);
        }
        Ok(Message::Delete(delete)) => walk_old(&delete.old),
        _ => {}
    }
});
