use bytes::Bytes;
use proptest::prelude::*;
use wire::Lsn;

use super::{
    decode::decode,
    encode::{encode, tuple},
    message::{
        Begin, Column, Commit, Delete, Insert, LogicalMessage, Message, OldTuple, Origin, Relation,
        ReplicaIdentity, Truncate, TypeName, Update,
    },
    tuple::{Tuple, Value},
};

fn any_tuple() -> impl Strategy<Value = Tuple> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..50);
    let value = prop_oneof![
        Just((b'n', vec![])),
        Just((b'u', vec![])),
        bytes().prop_map(|bytes| (b't', bytes)),
        bytes().prop_map(|bytes| (b'b', bytes))
    ];
    prop::collection::vec(value, 0..30).prop_map(|values| {
        let values: Vec<Value<'_>> = values
            .iter()
            .map(|(kind, bytes)| match kind {
                b'n' => Value::Null,
                b'u' => Value::Unchanged,
                b't' => Value::Text(bytes),
                _ => Value::Binary(bytes),
            })
            .collect();
        tuple(&values)
    })
}

fn any_old() -> impl Strategy<Value = OldTuple> {
    prop_oneof![any_tuple().prop_map(OldTuple::Key), any_tuple().prop_map(OldTuple::Full)]
}

fn any_lsn() -> impl Strategy<Value = Lsn> {
    any::<u64>().prop_map(Lsn::new)
}

fn any_time() -> impl Strategy<Value = i64> {
    0i64..4_000_000_000_000_000
}

fn any_name() -> impl Strategy<Value = String> {
    "[a-zA-Z\"ü 漢]{1,20}"
}

fn any_relation() -> impl Strategy<Value = Message> {
    let identity = prop_oneof![
        Just(ReplicaIdentity::Default),
        Just(ReplicaIdentity::Nothing),
        Just(ReplicaIdentity::Full),
        Just(ReplicaIdentity::Index)
    ];
    let column = (any::<bool>(), any_name(), any::<u32>(), any::<i32>()).prop_map(
        |(is_key, name, type_oid, type_modifier)| Column { is_key, name, type_oid, type_modifier },
    );
    (any::<u32>(), any_name(), any_name(), identity, prop::collection::vec(column, 0..40)).prop_map(
        |(oid, schema, name, replica_identity, columns)| {
            Message::Relation(Relation { oid, schema, name, replica_identity, columns })
        },
    )
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (any_lsn(), any_time(), any::<u32>()).prop_map(|(final_lsn, commit_time_us, xid)| {
            Message::Begin(Begin { final_lsn, commit_time_us, xid })
        }),
        (any_lsn(), any_lsn(), any_time()).prop_map(|(commit_lsn, end_lsn, commit_time_us)| {
            Message::Commit(Commit { commit_lsn, end_lsn, commit_time_us })
        }),
        (any_lsn(), any_name()).prop_map(|(lsn, name)| Message::Origin(Origin { lsn, name })),
        any_relation(),
        (any::<u32>(), any_name(), any_name())
            .prop_map(|(oid, schema, name)| Message::Type(TypeName { oid, schema, name })),
        (any::<u32>(), any_tuple())
            .prop_map(|(relation_oid, new)| Message::Insert(Insert { relation_oid, new })),
        (any::<u32>(), prop::option::of(any_old()), any_tuple()).prop_map(
            |(relation_oid, old, new)| Message::Update(Update { relation_oid, old, new })
        ),
        (any::<u32>(), any_old())
            .prop_map(|(relation_oid, old)| Message::Delete(Delete { relation_oid, old })),
        (any::<bool>(), any::<bool>(), prop::collection::vec(any::<u32>(), 0..20)).prop_map(
            |(cascade, restart_identity, relation_oids)| {
                Message::Truncate(Truncate { cascade, restart_identity, relation_oids })
            }
        ),
        (any::<bool>(), any_lsn(), any_name(), prop::collection::vec(any::<u8>(), 0..100))
            .prop_map(|(transactional, lsn, prefix, content)| {
                Message::Logical(LogicalMessage {
                    transactional,
                    lsn,
                    prefix,
                    content: content.into(),
                })
            }),
    ]
}

proptest! {
    #[test]
    fn what_a_server_encodes_is_decoded(message in any_message()) {
        prop_assert_eq!(decode(encode(&message), Lsn::ZERO), Ok(message));
    }

    #[test]
    fn every_shortened_message_is_refused(message in any_message(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&message);
        let length = cut.index(bytes.len());
        prop_assert!(decode(bytes.slice(..length), Lsn::ZERO).is_err());
    }

    #[test]
    fn damaged_messages_never_panic(message in any_message(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode(&message).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(bytes.into(), Lsn::ZERO);
    }

    #[test]
    fn random_bytes_never_panic(
        tag in prop::sample::select(b"BCORYIUDTMSAcsK".to_vec()),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [&[tag], &bytes[..]].concat();
        let _ = decode(Bytes::from(bytes), Lsn::ZERO);
    }
}
