//! The target: a file that is replaced as a whole at each commit, so that rows and position cannot part.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use terminal_client::{
    Bytes, Target, TargetError,
    target::{
        Conflicts, CopyFields, CopyLines, LoadPoint, Named, Operation, RowWriter, Stored, StoredRow,
    },
    wire::{Lsn, SchemaChange, Snapshot, SnapshotTable, SourceName},
};

use crate::rows::{Row, Table, apply};

/// What is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    position: Option<StoredRow>,
    tables: BTreeMap<String, Table>,
}

/// A JSON file as a target, of one source.
#[derive(Debug)]
pub(crate) struct JsonFile {
    name: String,
    path: PathBuf,
    lock: File,
    /// As it will be with the next commit.
    content: Content,
    /// The rows of a load, which take the place of all tables at its end.
    loading: Option<BTreeMap<String, Table>>,
    /// The table whose rows come, and what is left of a row between two pieces.
    writing: Option<(SnapshotTable, CopyLines, u64)>,
}

impl JsonFile {
    /// Opens it; one that is missing is made by the first commit.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, TargetError> {
        let name = path.display().to_string();
        let failed = |error: &dyn std::fmt::Display| statement(&name, "open it", error);
        let lock = path.with_extension("lock");
        let lock = OpenOptions::new().create(true).append(true).open(lock);
        let mut file = Self {
            lock: lock.map_err(|error| failed(&error))?,
            content: Content::default(),
            name,
            path,
            loading: None,
            writing: None,
        };
        file.read()?;
        Ok(file)
    }

    fn error(&self, doing: &str, error: &dyn std::fmt::Display) -> TargetError {
        statement(&self.name, doing, error)
    }

    fn read(&mut self) -> Result<(), TargetError> {
        self.content = match std::fs::read(&self.path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| self.error("read it", &error))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(self.error("read it", &error)),
        };
        Ok(())
    }

    /// All of it or nothing is there afterwards, whatever happens.
    fn write(&mut self, stored: &Stored) -> Result<(), TargetError> {
        self.content.position = Some(StoredRow::of(&self.name, stored)?);
        let write = || -> std::io::Result<()> {
            let (beside, folder) = (self.path.with_extension("new"), self.path.parent());
            let mut file = File::create(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(&self.content)?)?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(".".as_ref()))?.sync_all()
        };
        write().map_err(|error| self.error("write it", &error))
    }

    fn begin_tables(&mut self, snapshot: &Snapshot) -> Result<(), TargetError> {
        let mut tables = BTreeMap::new();
        for table in &snapshot.tables {
            let name = format!("{}.{}", table.schema, table.name);
            let definition = snapshot.definitions.tables.iter().find(|of| of.to_string() == name);
            let key = definition.map(|of| of.primary_key.clone()).unwrap_or_default();
            if key.is_empty() {
                return Err(TargetError::Table {
                    target: self.name.clone(),
                    table: name,
                    why: "it has no primary key, and this target keeps rows by it".into(),
                    advice: "leave it out with a channel".into(),
                });
            }
            tables.insert(name, Table { key, ..Table::default() });
        }
        self.loading = Some(tables);
        Ok(())
    }
}

fn statement(target: &str, doing: &str, error: &dyn std::fmt::Display) -> TargetError {
    TargetError::Statement {
        target: target.to_owned(),
        doing: doing.to_owned(),
        why: error.to_string(),
    }
}

impl RowWriter for JsonFile {
    async fn begin_table(&mut self, table: &SnapshotTable) -> Result<(), TargetError> {
        self.writing = Some((table.clone(), CopyLines::default(), 0));
        Ok(())
    }

    async fn load_rows(&mut self, piece: Bytes) -> Result<(), TargetError> {
        let failed = |error: &dyn std::fmt::Display| statement(&self.name, "load a row", error);
        let Some((table, lines, count)) = &mut self.writing else {
            return Err(failed(&"rows outside of a table"));
        };
        let name = format!("{}.{}", table.schema, table.name);
        let tables = self.loading.as_mut().unwrap_or(&mut self.content.tables);
        let into = tables.entry(name).or_default();
        lines.feed(piece);
        while let Some(line) = lines.next_line().map_err(|error| failed(&error))? {
            let fields = CopyFields::new(&line, table.columns.len());
            let fields = fields.map_err(|error| failed(&error))?;
            let text = |field: Option<std::borrow::Cow<'_, [u8]>>| {
                field.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            };
            let row: Row = table.columns.iter().cloned().zip(fields.map(text)).collect();
            into.insert(row).map_err(|error| failed(&error))?;
            *count += 1;
        }
        Ok(())
    }

    async fn end_table(&mut self) -> Result<u64, TargetError> {
        let Some((_, lines, count)) = self.writing.take() else { return Ok(0) };
        lines.end().map_err(|error| self.error("load a row", &error))?;
        Ok(count)
    }

    /// An interrupted load begins anew: nothing is written before its end.
    async fn end_part(&mut self, _: &SourceName, _: &LoadPoint) -> Result<(), TargetError> {
        Ok(())
    }
}

impl Target for JsonFile {
    type Writer = Self;

    fn name(&self) -> &str {
        &self.name
    }

    async fn lock(&mut self, _: &SourceName, wait: Duration) -> Result<bool, TargetError> {
        let until = Instant::now() + wait;
        while self.lock.try_lock().is_err() {
            if Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // What another run wrote meanwhile.
        self.read()?;
        Ok(true)
    }

    async fn stored(&mut self, _: &SourceName) -> Result<Option<Stored>, TargetError> {
        self.content.position.as_ref().map(|row| row.read(&self.name)).transpose()
    }

    async fn begin_load(
        &mut self,
        _: &SourceName,
        _: &Stored,
        snapshot: &Snapshot,
    ) -> Result<(), TargetError> {
        self.begin_tables(snapshot)
    }

    async fn begin_reload(&mut self, _: &SourceName, of: &Snapshot) -> Result<(), TargetError> {
        self.begin_tables(of)
    }

    fn writers(&mut self) -> Vec<&mut Self> {
        vec![self]
    }

    fn writer(&mut self) -> &mut Self {
        self
    }

    async fn finish_load(
        &mut self,
        _: &SourceName,
        stored: &Stored,
        _: &Snapshot,
    ) -> Result<(), TargetError> {
        self.content.tables = self.loading.take().unwrap_or_default();
        self.write(stored)
    }

    async fn begin(&mut self) -> Result<(), TargetError> {
        Ok(())
    }

    async fn apply(&mut self, operations: Vec<Operation>) -> Result<(), TargetError> {
        for operation in operations {
            apply(&mut self.content.tables, &operation).map_err(|why| {
                let advice = "remove the file, and pull again".to_owned();
                TargetError::unapplied(&self.name, &operation, why, advice)
            })?;
        }
        Ok(())
    }

    async fn alter(
        &mut self,
        _: &SourceName,
        _: Lsn,
        change: &SchemaChange,
    ) -> Result<(), TargetError> {
        Err(TargetError::Table {
            target: self.name.clone(),
            table: change.table().map(ToString::to_string).unwrap_or_default(),
            why: format!("this target does not follow schema changes ({change})"),
            advice: "remove the file, and pull again once there is a newer snapshot".into(),
        })
    }

    async fn empty(&mut self, _: &SourceName, table: &Named) -> Result<(), TargetError> {
        let name = format!("{}.{}", table.schema, table.name);
        self.content.tables.entry(name).or_default().rows.clear();
        Ok(())
    }

    async fn begin_rows(
        &mut self,
        snapshot: &Snapshot,
        table: &SnapshotTable,
    ) -> Result<(), TargetError> {
        self.begin_tables(snapshot)?;
        let name = format!("{}.{}", table.schema, table.name);
        let joined = self.loading.take().and_then(|mut tables| tables.remove(&name));
        self.content.tables.insert(name, joined.unwrap_or_default());
        self.begin_table(table).await
    }

    async fn roll_back(&mut self) -> Result<(), TargetError> {
        (self.loading, self.writing) = (None, None);
        self.read()
    }

    async fn commit(&mut self, _: &SourceName, stored: &Stored) -> Result<Conflicts, TargetError> {
        self.write(stored)?;
        Ok(Conflicts::default())
    }
}
