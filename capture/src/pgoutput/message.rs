use bytes::Bytes;
use wire::Lsn;

use super::tuple::Tuple;

/// One message of the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Begin(Begin),
    Commit(Commit),
    Origin(Origin),
    Relation(Relation),
    Type(TypeName),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Truncate(Truncate),
    Logical(LogicalMessage),
}

/// A transaction begins. Its changes follow, then its [`Commit`]; transactions never interleave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// **Start** of the commit record: equals [`Commit::commit_lsn`]. Not the position to acknowledge.
    pub final_lsn: Lsn,
    /// Unix microseconds.
    pub commit_time_us: i64,
    /// Transaction id, 32 bits, so it repeats after four billion.
    pub xid: u32,
}

/// The transaction is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Start of the commit record.
    pub commit_lsn: Lsn,
    /// End of the commit record: the transaction's position.
    pub end_lsn: Lsn,
    /// Unix microseconds.
    pub commit_time_us: i64,
}

/// The transaction came to this server by replication from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Position of the commit at the origin.
    pub lsn: Lsn,
    pub name: String,
}

/// What identifies the old row in an update or delete (`pg_class.relreplident`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// Nothing.
    Nothing,
    /// The whole row.
    Full,
    /// A unique index.
    Index,
}

/// A table's shape, sent before its first change and again after it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub replica_identity: ReplicaIdentity,
    /// Published columns in their order; generated and unpublished ones are missing.
    pub columns: Vec<Column>,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Part of what identifies a row. With [`ReplicaIdentity::Full`] every column is.
    pub is_key: bool,
    pub name: String,
    pub type_oid: u32,
    /// `pg_attribute.atttypmod`; -1 where the type has no modifier.
    pub type_modifier: i32,
}

/// Name of a type that is not built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    pub oid: u32,
    pub schema: String,
    pub name: String,
}

/// A new row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert {
    pub relation_oid: u32,
    pub new: Tuple,
}

/// The old row, as far as the replica identity gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTuple {
    /// Key columns only; the others read as NULL.
    Key(Tuple),
    /// The whole row.
    Full(Tuple),
}

/// A changed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub relation_oid: u32,
    /// Missing where the key did not change: then the new row has it.
    pub old: Option<OldTuple>,
    pub new: Tuple,
}

/// A row that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    pub relation_oid: u32,
    pub old: OldTuple,
}

/// Tables emptied together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncate {
    pub cascade: bool,
    pub restart_identity: bool,
    pub relation_oids: Vec<u32>,
}

/// What `pg_logical_emit_message` was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalMessage {
    /// Part of the transaction around it. Otherwise it stands outside any, and arrives even if the
    /// transaction that wrote it was rolled back.
    pub transactional: bool,
    /// Position of the message's record.
    pub lsn: Lsn,
    pub prefix: String,
    pub content: Bytes,
}
