//! A change for people to read.

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Map, Value as Json, json};

use crate::{
    Change, ChannelName, Lsn, OldRow, Relation, SCHEMA, SCHEMA_CHANGE_COLUMN, SCHEMA_CHANGES,
    SchemaChange, TransactionHeader, Tuple, Value,
};

/// One change as JSON: position, transaction, channel, table, kind, and rows as objects of text
/// values. Unchanged large values are left out of `new` and listed in `unchanged`.
pub fn change_to_json(
    lsn: Lsn,
    header: TransactionHeader,
    channel: &ChannelName,
    change: &Change<Arc<Relation>>,
) -> Json {
    let mut out = json!({
        "lsn": lsn,
        "xid": header.xid,
        "commit_time": commit_time(header.commit_time_us),
        "channel": channel,
    });
    let Some(map) = out.as_object_mut() else { return out };
    if channel.is_control()
        && let Some(change) = schema_change(change)
    {
        map.insert("kind".into(), json!("schema"));
        map.insert("table".into(), json!(change.table().map(ToString::to_string)));
        map.insert("what".into(), json!(change.to_string()));
        map.insert("change".into(), json!(change));
        return out;
    }
    match change {
        Change::Insert { relation, new } => {
            kind(map, "insert", relation);
            map.insert("new".into(), row(relation, new, false));
        }
        Change::Update { relation, old, new } => {
            kind(map, "update", relation);
            if let Some(old) = old {
                map.insert("old".into(), old_row(relation, old));
            }
            map.insert("new".into(), row(relation, new, false));
            let unchanged: Vec<&str> = columns(relation, new)
                .filter(|(_, value, _)| matches!(value, Value::Unchanged))
                .map(|(name, ..)| name)
                .collect();
            if !unchanged.is_empty() {
                map.insert("unchanged".into(), json!(unchanged));
            }
        }
        Change::Delete { relation, old } => {
            kind(map, "delete", relation);
            map.insert("old".into(), old_row(relation, old));
        }
        Change::Truncate { relations, cascade, restart_identity } => {
            map.insert("kind".into(), json!("truncate"));
            let tables: Vec<String> = relations.iter().map(ToString::to_string).collect();
            map.insert("tables".into(), json!(tables));
            map.insert("cascade".into(), json!(cascade));
            map.insert("restart_identity".into(), json!(restart_identity));
        }
        Change::Message { prefix, content, transactional } => {
            map.insert("kind".into(), json!("message"));
            map.insert("prefix".into(), json!(prefix));
            map.insert("content".into(), text(content));
            map.insert("transactional".into(), json!(transactional));
        }
    }
    out
}

/// One change as a line of text.
pub fn change_to_text(
    lsn: Lsn,
    header: TransactionHeader,
    channel: &ChannelName,
    change: &Change<Arc<Relation>>,
) -> String {
    let json = change_to_json(lsn, header, channel, change);
    let field = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default();
    let mut line = format!("{lsn} xid {} {channel} {}", header.xid, field("kind"));
    if !field("what").is_empty() {
        let _ = write!(line, " {}", field("what"));
        return line;
    }
    for name in ["table", "prefix"] {
        if !field(name).is_empty() {
            let _ = write!(line, " {}", field(name));
        }
    }
    for name in ["tables", "old", "new", "unchanged", "content"] {
        if let Some(value) = json.get(name) {
            let _ = write!(line, " {name} {value}");
        }
    }
    line
}

/// What a row of `tailwater.schema_changes` says.
fn schema_change(change: &Change<Arc<Relation>>) -> Option<SchemaChange> {
    let Change::Insert { relation, new } = change else { return None };
    if relation.schema != SCHEMA || relation.name != SCHEMA_CHANGES {
        return None;
    }
    let place = relation.columns.iter().position(|of| of.name == SCHEMA_CHANGE_COLUMN)?;
    let Some(Value::Text(json)) = new.get(place) else { return None };
    serde_json::from_slice(json).ok()
}

fn kind(map: &mut Map<String, Json>, kind: &str, relation: &Relation) {
    map.insert("kind".into(), json!(kind));
    map.insert("table".into(), json!(relation.to_string()));
}

/// A message outside any transaction has none.
fn commit_time(us: i64) -> Json {
    if us == 0 {
        return Json::Null;
    }
    match jiff::Timestamp::from_microsecond(us) {
        Ok(time) => json!(time.to_string()),
        Err(_) => Json::Null,
    }
}

fn columns<'a>(
    relation: &'a Relation,
    tuple: &'a Tuple,
) -> impl Iterator<Item = (&'a str, &'a Value, bool)> {
    relation
        .columns
        .iter()
        .zip(tuple)
        .map(|(column, value)| (column.name.as_str(), value, column.key))
}

fn old_row(relation: &Relation, old: &OldRow) -> Json {
    match old {
        OldRow::Key(tuple) => row(relation, tuple, true),
        OldRow::Full(tuple) => row(relation, tuple, false),
    }
}

fn row(relation: &Relation, tuple: &Tuple, only_key: bool) -> Json {
    columns(relation, tuple)
        .filter(|(_, value, key)| !matches!(value, Value::Unchanged) && (*key || !only_key))
        .map(|(name, value, _)| {
            let json = match value {
                Value::Null | Value::Unchanged => Json::Null,
                Value::Text(bytes) => text(bytes),
                Value::Binary(bytes) => json!({ "binary": hex::encode(bytes) }),
            };
            (name.to_owned(), json)
        })
        .collect::<Map<_, _>>()
        .into()
}

fn text(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "bytes": hex::encode(bytes) }),
    }
}
