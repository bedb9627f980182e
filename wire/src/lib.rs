//! What travels between capture, relay and terminals. No async, no I/O, no store.
//!
//! The way of the data, and where each noun lives:
//!
//! ```text
//! Change        change.rs       one row change, as the WAL gave it
//! Transaction   transaction.rs  a committed transaction's changes, split by channel, and back
//! chunk         chunk.rs        compressed, checksummed pieces that every payload is made of
//! record        record.rs       what a log payload holds: relations, transactions
//! Slice         slice.rs        whole transactions of the range (after, through], channel by channel
//! Object        object.rs       an immutable file: closed history, snapshot rows, part of a huge transaction
//! Request       request.rs      what the relay needs of capture
//! Manifest …    protocol.rs     the JSON and the headers of the HTTP interface
//! ```
//!
//! `docs/WIRE_FORMAT.md` gives every byte.

mod change;
mod channel_set;
mod channels;
mod chunk;
mod control;
mod cursor;
mod definition;
mod hash;
mod header;
mod json;
mod lineage;
mod lsn;
mod name;
mod object;
mod problem;
mod protocol;
mod record;
mod relation;
mod request;
mod schema_change;
mod sequence;
mod slice;
mod snapshot;
mod transaction;

pub use change::{Change, OldRow, RelationNumber, Tuple, Value};
pub use channel_set::ChannelSet;
pub use channels::{ChannelMap, ChannelRule, PatternError};
pub use chunk::{
    CHUNK_HEADER_LEN, ChunkError, ChunkReader, ChunkWriter, MAX_CHUNK_RAW, check_chunks,
};
pub use control::{CONTROL_PREFIX, ControlRecord, JoinedTable};
pub use cursor::DecodeError;
pub use definition::{
    ColumnDefinition, ConstraintDefinition, Definitions, ExtensionDefinition, IdentityKind,
    IndexDefinition, PartitionOf, TableDefinition, TypeDefinition, TypeKind,
};
pub use hash::{ChannelHashes, Hash, ParseHashError};
pub use header::{Commit, MAX_HEADER_LEN, Part, PartObject, SliceHeader};
pub use json::{change_to_json, change_to_text};
pub use lineage::Lineage;
pub use lsn::{Lsn, ParseLsnError};
pub use name::{ChannelName, NameError, SourceName, TerminalName};
pub use object::{ObjectError, ObjectHeader, ObjectKind, ObjectReader, ObjectWriter};
pub use problem::{Problem, ProblemKind};
pub use protocol::{
    AppendAnswer, Behind, CaptureLag, CaptureReport, CaptureState, CopyProgress, Divergence, Facts,
    Lag, MANIFEST_TYPE, Manifest, ManifestChannel, ManifestObject, ManifestRange, MasterLag,
    PROBLEM_TYPE, RelayLag, Report, SLICES_TYPE, SessionAnswer, SessionRequest, SourceList,
    Succession, TerminalLag, TerminalReport, TerminalState, UploadAnswer, headers,
};
pub use record::{HugeTransaction, Record, RecordWriter, Records};
pub use relation::{Relation, RelationColumn, RelationId, ReplicaIdentity, TypeName};
pub use request::{Request, RequestAnswer, RequestList};
pub use schema_change::{SCHEMA, SCHEMA_CHANGE_COLUMN, SCHEMA_CHANGES, SchemaChange};
pub use sequence::{Sequence, SequenceBond, SequenceType};
pub use slice::{Slice, SliceBuilder, SliceError, split_slice};
pub use snapshot::{Snapshot, SnapshotList, SnapshotMark, SnapshotObject, SnapshotTable};
pub use transaction::{
    ChannelBytes, EncodedTransaction, Entry, EntryReader, TransactionDecoder, TransactionEncoder,
    TransactionHeader,
};
