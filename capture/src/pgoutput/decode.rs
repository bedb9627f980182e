use bytes::Bytes;
use wire::Lsn;

use super::{
    error::DecodeError,
    fields::Fields,
    message::{
        Begin, Column, Commit, Delete, Insert, LogicalMessage, Message, OldTuple, Origin, Relation,
        ReplicaIdentity, Truncate, TypeName, Update,
    },
};

/// Microseconds from 1970 to PostgreSQL's year zero, 2000.
const EPOCH_OFFSET_US: i64 = 946_684_800_000_000;
/// The least a column takes in a Relation message: flags, an empty name, type and modifier.
const LEAST_COLUMN_BYTES: usize = 1 + 1 + 4 + 4;

/// Decodes one message. `lsn` is where the stream is, for the error.
pub fn decode(bytes: Bytes, lsn: Lsn) -> Result<Message, DecodeError> {
    let mut fields =
        Fields::new(bytes, lsn).ok_or(DecodeError::Truncated { tag: b'?', lsn, field: "tag" })?;
    let message = match fields.tag() {
        b'I' => Message::Insert(insert(&mut fields)?),
        b'U' => Message::Update(update(&mut fields)?),
        b'D' => Message::Delete(delete(&mut fields)?),
        b'B' => Message::Begin(begin(&mut fields)?),
        b'C' => Message::Commit(commit(&mut fields)?),
        b'R' => Message::Relation(relation(&mut fields)?),
        b'Y' => Message::Type(type_name(&mut fields)?),
        b'T' => Message::Truncate(truncate(&mut fields)?),
        b'M' => Message::Logical(logical(&mut fields)?),
        b'O' => Message::Origin(Origin {
            lsn: fields.lsn("origin position")?,
            name: fields.text("origin name")?,
        }),
        tag => return Err(DecodeError::UnknownTag { tag, lsn }),
    };
    fields.end()?;
    Ok(message)
}

fn begin(fields: &mut Fields) -> Result<Begin, DecodeError> {
    Ok(Begin {
        final_lsn: fields.lsn("final position")?,
        commit_time_us: time_us(fields)?,
        xid: fields.u32("transaction id")?,
    })
}

fn commit(fields: &mut Fields) -> Result<Commit, DecodeError> {
    match fields.u8("flags")? {
        0 => {}
        flags => return Err(fields.unknown("flags", flags)),
    }
    Ok(Commit {
        commit_lsn: fields.lsn("commit position")?,
        end_lsn: fields.lsn("end position")?,
        commit_time_us: time_us(fields)?,
    })
}

fn time_us(fields: &mut Fields) -> Result<i64, DecodeError> {
    Ok(fields.i64("time")?.saturating_add(EPOCH_OFFSET_US))
}

fn relation(fields: &mut Fields) -> Result<Relation, DecodeError> {
    let oid = fields.u32("relation")?;
    let schema = schema(fields)?;
    let name = fields.text("table name")?;
    let replica_identity = match fields.u8("replica identity")? {
        b'd' => ReplicaIdentity::Default,
        b'n' => ReplicaIdentity::Nothing,
        b'f' => ReplicaIdentity::Full,
        b'i' => ReplicaIdentity::Index,
        other => return Err(fields.unknown("replica identity", other)),
    };
    let count = usize::from(fields.u16("column count")?);
    if count * LEAST_COLUMN_BYTES > fields.remaining() {
        return Err(fields.truncated("columns"));
    }
    let columns = (0..count).map(|_| column(fields)).collect::<Result<_, _>>()?;
    Ok(Relation { oid, schema, name, replica_identity, columns })
}

/// The server writes the schema of what is built in as an empty text.
fn schema(fields: &mut Fields) -> Result<String, DecodeError> {
    let schema = fields.text("schema name")?;
    Ok(if schema.is_empty() { "pg_catalog".to_owned() } else { schema })
}

fn column(fields: &mut Fields) -> Result<Column, DecodeError> {
    let is_key = match fields.u8("column flags")? {
        0 => false,
        1 => true,
        flags => return Err(fields.unknown("column flags", flags)),
    };
    let name = fields.text("column name")?;
    Ok(Column {
        is_key,
        name,
        type_oid: fields.u32("column type")?,
        type_modifier: fields.i32("type modifier")?,
    })
}

fn type_name(fields: &mut Fields) -> Result<TypeName, DecodeError> {
    Ok(TypeName {
        oid: fields.u32("type")?,
        schema: schema(fields)?,
        name: fields.text("type name")?,
    })
}

fn insert(fields: &mut Fields) -> Result<Insert, DecodeError> {
    let relation_oid = fields.u32("relation")?;
    match fields.u8("tuple kind")? {
        b'N' => Ok(Insert { relation_oid, new: fields.tuple()? }),
        other => Err(fields.unknown("tuple kind", other)),
    }
}

fn update(fields: &mut Fields) -> Result<Update, DecodeError> {
    let relation_oid = fields.u32("relation")?;
    let (old, kind) = match fields.u8("tuple kind")? {
        kind @ (b'K' | b'O') => (Some(old_tuple(fields, kind)?), fields.u8("tuple kind")?),
        kind => (None, kind),
    };
    match kind {
        b'N' => Ok(Update { relation_oid, old, new: fields.tuple()? }),
        other => Err(fields.unknown("tuple kind", other)),
    }
}

fn delete(fields: &mut Fields) -> Result<Delete, DecodeError> {
    let relation_oid = fields.u32("relation")?;
    let kind = fields.u8("tuple kind")?;
    Ok(Delete { relation_oid, old: old_tuple(fields, kind)? })
}

fn old_tuple(fields: &mut Fields, kind: u8) -> Result<OldTuple, DecodeError> {
    match kind {
        b'K' => fields.tuple().map(OldTuple::Key),
        b'O' => fields.tuple().map(OldTuple::Full),
        other => Err(fields.unknown("tuple kind", other)),
    }
}

fn truncate(fields: &mut Fields) -> Result<Truncate, DecodeError> {
    let count = usize::try_from(fields.u32("relation count")?)
        .map_err(|_| fields.truncated("relations"))?;
    let options = fields.u8("options")?;
    if options > 3 {
        return Err(fields.unknown("options", options));
    }
    if count > fields.remaining() / size_of::<u32>() {
        return Err(fields.truncated("relations"));
    }
    let relation_oids = (0..count).map(|_| fields.u32("relation")).collect::<Result<_, _>>()?;
    Ok(Truncate { cascade: options & 1 != 0, restart_identity: options & 2 != 0, relation_oids })
}

fn logical(fields: &mut Fields) -> Result<LogicalMessage, DecodeError> {
    let transactional = match fields.u8("flags")? {
        0 => false,
        1 => true,
        flags => return Err(fields.unknown("flags", flags)),
    };
    let lsn = fields.lsn("message position")?;
    Ok(LogicalMessage {
        transactional,
        lsn,
        prefix: fields.text("prefix")?,
        content: fields.sized("content")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::tuple::Value, *};

    const AT: Lsn = Lsn::new(0x16_B374_D848);

    fn decode_bytes(bytes: &[u8]) -> Result<Message, DecodeError> {
        decode(Bytes::copy_from_slice(bytes), AT)
    }

    #[test]
    fn begin_and_commit_as_a_server_wrote_them() {
        let begin = b"B\0\0\0\0\x01\x5b\x2a\x10\0\x02\x9a\x1b\x2c\x3d\x4e\x5f\0\0\x02\xea";
        let Message::Begin(begin) = decode_bytes(begin).unwrap() else { panic!("no begin") };
        assert_eq!((begin.final_lsn, begin.xid), (Lsn::new(0x015b_2a10), 746));
        assert_eq!(begin.commit_time_us, 0x0002_9a1b_2c3d_4e5f + EPOCH_OFFSET_US);

        let commit = b"C\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03";
        let expected = Commit {
            commit_lsn: Lsn::new(1),
            end_lsn: Lsn::new(2),
            commit_time_us: EPOCH_OFFSET_US + 3,
        };
        assert_eq!(decode_bytes(commit), Ok(Message::Commit(expected)));
    }

    #[test]
    fn an_update_with_its_old_key_keeps_null_empty_and_unchanged_apart() {
        let bytes = b"U\0\0\x40\0K\0\x02t\0\0\0\x01anN\0\x04t\0\0\0\0nub\0\0\0\x02\0\xff";
        let Message::Update(update) = decode_bytes(bytes).unwrap() else { panic!("no update") };
        let Some(OldTuple::Key(old)) = update.old else { panic!("no key") };
        assert_eq!(old.values().collect::<Vec<_>>(), [Value::Text(b"a"), Value::Null]);
        assert_eq!(
            update.new.values().collect::<Vec<_>>(),
            [Value::Text(b""), Value::Null, Value::Unchanged, Value::Binary(b"\0\xff")]
        );
    }

    #[test]
    fn a_builtin_schema_gets_its_name() {
        let Message::Type(of) = decode_bytes(b"Y\0\0\0\x17\0int4\0").unwrap() else {
            panic!("no type")
        };
        assert_eq!((of.schema.as_str(), of.name.as_str()), ("pg_catalog", "int4"));
    }

    #[test]
    fn unknown_tags_and_values_are_named_with_their_position() {
        let error = decode_bytes(b"A\0\0\0\x01").unwrap_err();
        assert_eq!(error, DecodeError::UnknownTag { tag: b'A', lsn: AT });
        assert!(error.to_string().contains("'A' at 16/B374D848"), "{error}");
        assert!(decode_bytes(b"I\0\0\0\x01X\0\0").unwrap_err().to_string().contains("tuple kind"));
        assert!(
            decode_bytes(b"I\0\0\0\x01N\0\x01z").unwrap_err().to_string().contains("kind of value")
        );
        assert!(matches!(decode_bytes(b""), Err(DecodeError::Truncated { .. })));
    }

    #[test]
    fn lying_counts_and_lengths_are_refused_at_once() {
        for bytes in [
            &b"T\xff\xff\xff\xff\0\0\0\0\x01"[..],
            b"R\0\0\0\x01s\0t\0d\xff\xff\0a\0\0\0\0\x17\xff\xff\xff\xff",
            b"I\0\0\0\x01N\xff\xff",
            b"I\0\0\0\x01N\0\x01t\x7f\xff\xff\xffabc",
            b"M\x01\0\0\0\0\0\0\0\x01p\0\xff\xff\xff\xffabc",
        ] {
            assert!(
                matches!(decode_bytes(bytes), Err(DecodeError::Truncated { .. })),
                "{}",
                bytes.escape_ascii()
            );
        }
        assert_eq!(
            decode_bytes(b"T\0\0\0\0\0x"),
            Err(DecodeError::Trailing { tag: b'T', lsn: AT, bytes: 1 })
        );
    }
}
