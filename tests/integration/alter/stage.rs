use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bytes::Bytes;
use capture::{begin::published, copy::definitions};
use futures_util::TryStreamExt;
use harness::{Cluster, Database};
use terminal_client::{
    position::Position,
    target::{LoadPoint, RowWriter, Stored, StoredState, Target},
};
use wire::{
    ChannelHashes, ChannelMap, ChannelName, Definitions, Lineage, Lsn, SchemaChange, Snapshot,
    SnapshotTable, SourceName,
};

/// A master, and a target that has what the master had.
pub(super) struct Stage<T> {
    pub(super) master: Database,
    pub(super) target: T,
    known: BTreeMap<u32, Definitions>,
    lsn: u64,
}

pub(crate) fn source() -> SourceName {
    SourceName::new("orders").unwrap()
}

pub(crate) fn stored(lsn: u64, state: StoredState) -> Stored {
    let (lineage, hashes) = (Lineage::from_bytes([7; 16]), ChannelHashes::default());
    let position = Position::proved(lineage, Lsn::new(lsn), hashes);
    Stored { position, state, channels: None, channel_map: ChannelMap::default() }
}

/// All tables of a database, each alone.
pub(super) async fn tables(database: &Database) -> Result<BTreeMap<u32, Definitions>> {
    let all = all(database).await?;
    let alone = |table: &wire::TableDefinition| Definitions {
        tables: vec![table.clone()],
        sequences: all
            .sequences
            .iter()
            .filter(|of| (&of.column.0, &of.column.1) == (&table.schema, &table.name))
            .cloned()
            .collect(),
        ..all.clone()
    };
    Ok(all.tables.iter().map(|table| (table.oid, alone(table))).collect())
}

/// All tables of a database but for Tailwater's.
pub(super) async fn all(database: &Database) -> Result<Definitions> {
    let mut client = database.connect().await?;
    client.batch_execute("SET search_path = ''").await?;
    let transaction = client.transaction().await?;
    let mut tables = published(&transaction, "everything").await?;
    tables.retain(|table| table.schema != "tailwater");
    Ok(definitions(&transaction, &tables).await?)
}

impl<T: Target> Stage<T> {
    /// Makes the master by `sql`, and loads the target from it.
    pub(super) async fn new(sql: &str, mut target: T) -> Result<Self> {
        let master = Cluster::shared().await?.database().await?;
        master.execute("CREATE PUBLICATION everything FOR ALL TABLES").await?;
        master.execute(sql).await?;
        load(&master, &mut target).await?;
        let known = tables(&master).await?;
        Ok(Self { master, target, known, lsn: 100 })
    }

    /// Runs a statement on the master, and does at the target what it changed.
    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        self.master.execute(sql).await?;
        let now = tables(&self.master).await?;
        self.lsn += 1;
        self.target.begin().await?;
        for change in self.changes(&now).await? {
            let altered = self.target.alter(&source(), Lsn::new(self.lsn), &change).await;
            altered.with_context(|| format!("after {sql}"))?;
        }
        self.target.commit(&source(), &stored(self.lsn, StoredState::Ready)).await?;
        self.known = now;
        Ok(())
    }

    /// Runs statements on the master that the target never hears of, and loads it anew.
    pub(super) async fn jump(&mut self, sql: &str) -> Result<()> {
        self.master.execute(sql).await?;
        self.lsn += 1;
        self.target.stored(&source()).await?;
        let (snapshot, rows) = snapshot(&self.master, self.lsn).await?;
        self.target.begin_reload(&source(), &snapshot).await?;
        finish(&mut self.target, &snapshot, rows).await?;
        self.known = tables(&self.master).await?;
        Ok(())
    }

    /// Those that stay or come in the order of the definitions, behind those that go.
    async fn changes(&self, now: &BTreeMap<u32, Definitions>) -> Result<Vec<SchemaChange>> {
        let mut changes = Vec::new();
        for table in &all(&self.master).await?.tables {
            let (before, after) = (self.known.get(&table.oid), now.get(&table.oid));
            if before != after {
                changes.push(change(table.oid, before, after, false));
            }
        }
        for (oid, before) in self.known.iter().filter(|(oid, _)| !now.contains_key(oid)) {
            let exists = format!("SELECT 1 FROM pg_class WHERE oid = {oid}");
            let dropped = self.master.value(&exists).await?.is_none();
            changes.push(change(*oid, Some(before), None, dropped));
        }
        changes.sort_by_key(|change| change.before.is_none());
        Ok(changes)
    }
}

fn change(
    oid: u32,
    before: Option<&Definitions>,
    after: Option<&Definitions>,
    dropped: bool,
) -> SchemaChange {
    let (before, after) = (before.cloned(), after.cloned());
    SchemaChange { oid, before, after, dropped, rows_needed: false }
}

pub(super) async fn load<T: Target>(master: &Database, target: &mut T) -> Result<()> {
    let (snapshot, rows) = snapshot(master, 100).await?;
    let loading = stored(100, StoredState::Loading);
    target.begin_load(&source(), &loading, &snapshot).await?;
    finish(target, &snapshot, rows).await
}

async fn finish<T: Target>(target: &mut T, snapshot: &Snapshot, rows: Vec<Bytes>) -> Result<()> {
    let source = source();
    for (table, rows) in snapshot.tables.iter().zip(rows) {
        target.writer().begin_table(table).await?;
        target.writer().load_rows(rows).await?;
        target.writer().end_table().await?;
    }
    target.writer().end_part(&source, &LoadPoint::default()).await?;
    let ready = stored(snapshot.lsn.get(), StoredState::Ready);
    target.finish_load(&source, &ready, snapshot).await?;
    target.stored(&source).await?;
    Ok(())
}

/// All of the master, and the rows of each table as COPY prints them.
pub(crate) async fn snapshot(master: &Database, lsn: u64) -> Result<(Snapshot, Vec<Bytes>)> {
    let definitions = all(master).await?;
    let (mut tables, mut rows) = (Vec::new(), Vec::new());
    for table in definitions.tables.iter().filter(|table| table.partition_by.is_none()) {
        let columns = table.columns.iter().filter(|column| column.generated.is_none());
        let columns: Vec<String> = columns.map(|column| column.name.clone()).collect();
        let quoted: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
        let copy = format!(
            "COPY \"{}\".\"{}\" ({}) TO STDOUT",
            table.schema,
            table.name,
            quoted.join(", ")
        );
        let bytes: Vec<Bytes> =
            master.connect().await?.copy_out(&copy).await?.try_collect().await?;
        let bytes = Bytes::from(bytes.concat());
        tables.push(SnapshotTable {
            oid: table.oid,
            schema: table.schema.clone(),
            name: table.name.clone(),
            channel: ChannelName::default_channel(),
            columns,
            rows: bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
            raw_len: bytes.len() as u64,
            objects: Vec::new(),
        });
        rows.push(bytes);
    }
    let snapshot = Snapshot {
        lineage: Lineage::from_bytes([7; 16]),
        lsn: Lsn::new(lsn),
        hashes: ChannelHashes::default(),
        channel_map: ChannelMap::default(),
        definitions,
        tables,
        created_at: String::new(),
    };
    Ok((snapshot, rows))
}
