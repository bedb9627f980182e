//! Decoder of the output plugin `pgoutput`, protocol version 1 (PostgreSQL manual, 55.9 "Logical
//! Replication Message Formats"). Bytes in, [`Message`] out; values stay slices of the bytes.

mod decode;
#[cfg(test)]
mod encode;
mod error;
mod fields;
mod message;
#[cfg(test)]
mod properties;
mod tuple;

pub use self::{
    decode::decode,
    error::DecodeError,
    message::{
        Begin, Column, Commit, Delete, Insert, LogicalMessage, Message, OldTuple, Origin, Relation,
        ReplicaIdentity, Truncate, TypeName, Update,
    },
    tuple::{Tuple, TupleValues, Value},
};
