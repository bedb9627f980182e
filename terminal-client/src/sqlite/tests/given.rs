//! A source's tables, rows and changes, and a file to put them in.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use rusqlite::{Connection, types::Value as Found};
use tempfile::TempDir;
use wire::{
    Change, ChannelHashes, ChannelMap, ChannelName, ColumnDefinition, ConstraintDefinition,
    Definitions, IndexDefinition, Lineage, Lsn, OldRow, Relation, RelationColumn, ReplicaIdentity,
    Snapshot, SnapshotTable, SourceName, TableDefinition, Tuple, TypeName, Value,
};

use super::super::{SqliteFile, SqliteTarget};
use crate::{
    position::Position,
    target::{OnConflict, Operation, RowWriter, Stored, StoredState, Target, TargetError},
};

pub(super) fn source() -> SourceName {
    SourceName::new("orders").unwrap()
}

pub(super) fn stored(lsn: u64, state: StoredState) -> Stored {
    let lineage = Lineage::from_bytes([7; 16]);
    Stored {
        position: Position::proved(lineage, Lsn::new(lsn), ChannelHashes::default()),
        state,
        channels: None,
        channel_map: ChannelMap::default(),
    }
}

/// A table: `name`, columns as `(name, type_sql, base_type, modifier)`, primary key.
pub(super) fn table(
    name: &str,
    columns: &[(&str, &str, &str, i32)],
    primary_key: &[&str],
) -> TableDefinition {
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    let texts = |names: &[&str]| -> Vec<String> { names.iter().map(|n| (*n).to_owned()).collect() };
    let primary = ConstraintDefinition {
        name: format!("{name}_pkey"),
        kind: 'p',
        definition: format!("PRIMARY KEY ({})", primary_key.join(", ")),
        columns: texts(primary_key),
    };
    TableDefinition {
        oid: 1000,
        schema: schema.into(),
        name: name.into(),
        replica_identity: if primary_key.is_empty() { 'f' } else { 'd' },
        columns: columns
            .iter()
            .map(|(column, type_sql, base_type, modifier)| ColumnDefinition {
                number: 1,
                name: (*column).into(),
                type_sql: (*type_sql).into(),
                base_type: (*base_type).into(),
                base_modifier: *modifier,
                not_null: primary_key.contains(column),
                default: None,
                generated: None,
                identity: None,
                collation: None,
                missing: None,
            })
            .collect(),
        primary_key: texts(primary_key),
        identity_columns: match primary_key {
            [] => columns.iter().map(|(name, ..)| (*name).to_owned()).collect(),
            key => texts(key),
        },
        constraints: (!primary_key.is_empty()).then_some(primary).into_iter().collect(),
        indexes: Vec::<IndexDefinition>::new(),
        partition_by: None,
        partition_of: None,
    }
}

/// The usual table: `id int8 primary key, note text, qty int4`.
pub(super) fn items() -> TableDefinition {
    let columns = [
        ("id", "bigint", "int8", -1),
        ("note", "text", "text", -1),
        ("qty", "integer", "int4", -1),
    ];
    table("items", &columns, &["id"])
}

/// What the stream says of a table.
pub(super) fn relation(of: &TableDefinition) -> Arc<Relation> {
    let identity = match of.replica_identity {
        'f' => ReplicaIdentity::Full,
        _ => ReplicaIdentity::Default,
    };
    let column = |column: &ColumnDefinition| RelationColumn {
        name: column.name.clone(),
        key: of.identity_columns.contains(&column.name),
        type_name: TypeName { schema: "pg_catalog".into(), name: column.base_type.clone() },
        type_oid: 0,
        type_modifier: column.base_modifier,
    };
    Arc::new(Relation {
        oid: of.oid,
        schema: of.schema.clone(),
        name: of.name.clone(),
        identity,
        columns: of.columns.iter().map(column).collect(),
    })
}

pub(super) fn snapshot(tables: &[TableDefinition]) -> Snapshot {
    let of = |table: &TableDefinition| SnapshotTable {
        oid: table.oid,
        schema: table.schema.clone(),
        name: table.name.clone(),
        channel: ChannelName::default_channel(),
        columns: table
            .columns
            .iter()
            .filter(|column| column.generated.is_none())
            .map(|column| column.name.clone())
            .collect(),
        rows: 0,
        raw_len: 0,
        objects: Vec::new(),
    };
    Snapshot {
        lineage: Lineage::from_bytes([7; 16]),
        lsn: Lsn::new(100),
        hashes: ChannelHashes::default(),
        channel_map: ChannelMap::default(),
        definitions: Definitions { tables: tables.to_vec(), ..Definitions::default() },
        tables: tables.iter().map(of).collect(),
        created_at: String::new(),
    }
}

/// `null` is NULL, `~` is an unchanged large value.
pub(super) fn tuple(values: &[&str]) -> Tuple {
    let value = |text: &&str| match *text {
        "null" => Value::Null,
        "~" => Value::Unchanged,
        text => Value::Text(Bytes::copy_from_slice(text.as_bytes())),
    };
    values.iter().map(value).collect()
}

pub(super) fn insert(relation: &Arc<Relation>, new: &[&str]) -> Operation {
    operation(Change::Insert { relation: relation.clone(), new: tuple(new) })
}

pub(super) fn update(relation: &Arc<Relation>, old: Option<OldRow>, new: &[&str]) -> Operation {
    operation(Change::Update { relation: relation.clone(), old, new: tuple(new) })
}

pub(super) fn delete(relation: &Arc<Relation>, old: OldRow) -> Operation {
    operation(Change::Delete { relation: relation.clone(), old })
}

pub(super) fn operation(change: Change<Arc<Relation>>) -> Operation {
    Operation { lsn: Lsn::new(200), change }
}

pub(super) fn key(values: &[&str]) -> OldRow {
    OldRow::Key(tuple(values))
}

pub(super) fn full(values: &[&str]) -> OldRow {
    OldRow::Full(tuple(values))
}

/// A file in a folder of its own.
pub(super) struct Place {
    pub(super) folder: TempDir,
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.db");
        Self { folder, path }
    }

    pub(super) fn file(&self) -> SqliteFile {
        SqliteFile::new(self.path.to_str().unwrap()).unwrap()
    }

    pub(super) async fn open(&self) -> SqliteTarget {
        let mut target = SqliteTarget::open(&self.file()).await.unwrap();
        target.on_conflict(OnConflict::Stop).await.unwrap();
        target
    }

    /// As another program sees the file.
    pub(super) fn look(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection
    }

    /// A query's rows, each as one text.
    pub(super) fn rows(&self, query: &str) -> Vec<String> {
        let connection = self.look();
        let mut statement = connection.prepare(query).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let values: Result<Vec<String>, _> =
                (0..columns).map(|at| row.get(at).map(|value| shown(&value))).collect();
            Ok(values?.join("|"))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Loads tables with rows in COPY text, and closes.
    pub(super) async fn loaded(&self, tables: &[(TableDefinition, &str)]) {
        let mut target = self.open().await;
        load(&mut target, tables).await.unwrap();
        target.close().await;
    }

    /// Applies changes in one target transaction.
    pub(super) async fn apply(&self, operations: Vec<Operation>) -> Result<(), TargetError> {
        let mut target = self.open().await;
        target.stored(&source()).await?;
        target.begin().await?;
        target.apply(operations).await?;
        target.commit(&source(), &stored(200, StoredState::Ready)).await?;
        target.close().await;
        Ok(())
    }
}

pub(super) async fn load(
    target: &mut SqliteTarget,
    tables: &[(TableDefinition, &str)],
) -> Result<(), TargetError> {
    let definitions: Vec<TableDefinition> = tables.iter().map(|(table, _)| table.clone()).collect();
    let mut snapshot = snapshot(&definitions);
    for (table, (_, rows)) in snapshot.tables.iter_mut().zip(tables) {
        table.rows = rows.matches('\n').count() as u64;
    }
    let snapshot = snapshot;
    if let Some(unfinished) = target.unfinished_load(&source()).await? {
        target.discard_load(&source(), &unfinished).await?;
    }
    target.begin_load(&source(), &stored(100, StoredState::Loading), &snapshot).await?;
    for (table, (_, rows)) in snapshot.tables.iter().zip(tables) {
        target.begin_table(table).await?;
        let mut rows = Bytes::copy_from_slice(rows.as_bytes());
        while !rows.is_empty() {
            let piece = rows.split_to(rows.len().min(7));
            target.load_rows(piece).await?;
        }
        target.end_table().await?;
    }
    target.finish_load(&source(), &stored(100, StoredState::Ready), &snapshot).await
}

fn shown(value: &Found) -> String {
    match value {
        Found::Null => "NULL".into(),
        Found::Integer(number) => number.to_string(),
        Found::Real(number) => format!("{number:?}"),
        Found::Text(text) => format!("'{text}'"),
        Found::Blob(bytes) => {
            format!("x{}", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())
        }
    }
}
