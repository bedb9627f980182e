use std::fmt;

use crate::{
    Hash,
    cursor::{DecodeError, Reader, put_prefixed, put_varint},
};

/// Names a relation's definition: the blake3 of its encoding. Two definitions of one table (before
/// and after an `ALTER`) have two ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RelationId(pub Hash);

/// What identifies a row of the table in updates and deletes (`pg_class.relreplident`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// Nothing: such a table cannot carry updates or deletes.
    Nothing,
    /// All columns.
    Full,
    /// A unique index.
    Index,
}

impl ReplicaIdentity {
    /// The letter that PostgreSQL uses: `d`, `n`, `f`, `i`.
    pub const fn letter(self) -> u8 {
        match self {
            Self::Default => b'd',
            Self::Nothing => b'n',
            Self::Full => b'f',
            Self::Index => b'i',
        }
    }

    /// From PostgreSQL's letter.
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'd' => Some(Self::Default),
            b'n' => Some(Self::Nothing),
            b'f' => Some(Self::Full),
            b'i' => Some(Self::Index),
            _ => None,
        }
    }
}

/// A type by its name: OIDs differ between databases.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TypeName {
    /// Its schema, `pg_catalog` for the built-in ones.
    pub schema: String,
    /// Its name as in `pg_type.typname`, e.g. `int4`, `_text`.
    pub name: String,
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A column as a relation message of the stream gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelationColumn {
    /// Its name.
    pub name: String,
    /// Whether it is part of the replica identity.
    pub key: bool,
    /// Its type; for a domain the type below it, as the stream says it.
    pub type_name: TypeName,
    /// The type's OID on the master.
    pub type_oid: u32,
    /// `atttypmod`, -1 for none.
    pub type_modifier: i32,
}

/// A table's definition as the WAL gave it (PostgreSQL manual, 55.9 "Logical Replication Message
/// Formats", Relation and Type).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relation {
    /// The table's OID on the master.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What identifies its rows.
    pub identity: ReplicaIdentity,
    /// Its published columns in order.
    pub columns: Vec<RelationColumn>,
}

impl Relation {
    /// The encoding whose blake3 is the relation's id.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.columns.len() * 32);
        out.extend_from_slice(&self.oid.to_be_bytes());
        put_prefixed(&mut out, self.schema.as_bytes());
        put_prefixed(&mut out, self.name.as_bytes());
        out.push(self.identity.letter());
        put_varint(&mut out, self.columns.len() as u64);
        for column in &self.columns {
            out.push(u8::from(column.key));
            put_prefixed(&mut out, column.name.as_bytes());
            put_prefixed(&mut out, column.type_name.schema.as_bytes());
            put_prefixed(&mut out, column.type_name.name.as_bytes());
            out.extend_from_slice(&column.type_oid.to_be_bytes());
            out.extend_from_slice(&column.type_modifier.to_be_bytes());
        }
        out
    }

    /// Reads an encoding; all of `bytes` must be used.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let oid = r.u32("relation oid")?;
        let schema = r.text("relation schema")?.to_owned();
        let name = r.text("relation name")?.to_owned();
        let letter = r.u8("replica identity")?;
        let identity = ReplicaIdentity::from_letter(letter)
            .ok_or_else(|| DecodeError::invalid("replica identity", letter))?;
        let count = r.count("relation columns", 12)?;
        let columns = (0..count).map(|_| decode_column(&mut r)).collect::<Result<_, _>>()?;
        r.end("relation")?;
        Ok(Self { oid, schema, name, identity, columns })
    }

    /// The blake3 of [`Relation::encode`].
    pub fn id(&self) -> RelationId {
        RelationId(Hash::of(&self.encode()))
    }
}

fn decode_column(r: &mut Reader<'_>) -> Result<RelationColumn, DecodeError> {
    let key = match r.u8("column flags")? {
        0 => false,
        1 => true,
        other => return Err(DecodeError::invalid("column flags", other)),
    };
    Ok(RelationColumn {
        key,
        name: r.text("column name")?.to_owned(),
        type_name: TypeName {
            schema: r.text("type schema")?.to_owned(),
            name: r.text("type name")?.to_owned(),
        },
        type_oid: r.u32("type oid")?,
        type_modifier: r.i32("type modifier")?,
    })
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}
