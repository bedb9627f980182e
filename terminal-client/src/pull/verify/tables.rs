use std::sync::Arc;

use wire::{Snapshot, SnapshotTable};

use super::{
    super::{error::PullError, loading::Loading, settings::Settings},
    CompareOptions, TableVerdict, Verdict, Verified, is_asked,
};
use crate::{
    fetch::{SnapshotObjects, Spool},
    progress::Progress,
    target::{Compare, Named, Staged, Stored},
};

/// A target at a snapshot's position.
pub(super) struct Comparing<'a, T> {
    pub(super) target: &'a mut T,
    pub(super) settings: &'a Settings,
    pub(super) progress: &'a Progress,
    pub(super) spool: &'a Arc<Spool>,
    pub(super) snapshot: &'a Snapshot,
    pub(super) options: &'a CompareOptions,
}

impl<T: Compare> Comparing<'_, T> {
    /// Table by table, each in a transaction that is undone.
    pub(super) async fn all(&mut self) -> Result<Verified, PullError> {
        let asked = &self.options.tables;
        let wanted = |table: &SnapshotTable| asked.is_empty() || is_asked(asked, table);
        let tables = self.compare("comparison", wanted).await?;
        Ok(Verified { lsn: self.snapshot.lsn, tables, repaired: None })
    }

    async fn compare(
        &mut self,
        kind: &'static str,
        wanted: impl Fn(&SnapshotTable) -> bool,
    ) -> Result<Vec<TableVerdict>, PullError> {
        let snapshot = self.only(wanted);
        let mut objects = self.objects(kind, &snapshot);
        let mut found = Vec::new();
        for table in &snapshot.tables {
            self.target.begin_compare(&self.settings.source).await?;
            let verdict = self.table(&snapshot, table, &mut objects).await?;
            self.target.roll_back().await?;
            let named = Named::new(&table.schema, &table.name);
            found.push(TableVerdict { table: named, rows: table.rows, verdict });
        }
        Ok(found)
    }

    /// In the open transaction.
    async fn table(
        &mut self,
        snapshot: &Snapshot,
        table: &SnapshotTable,
        objects: &mut SnapshotObjects,
    ) -> Result<Verdict, PullError> {
        let (source, show) = (&self.settings.source, self.options.show);
        let loading = Loading { settings: self.settings, progress: self.progress, snapshot };
        let mut definitions = snapshot.definitions.tables.iter();
        let same =
            |of: &&wire::TableDefinition| (&of.schema, &of.name) == (&table.schema, &table.name);
        let Some(definition) = definitions.find(same) else {
            return Err(loading.damaged(table, "its definition is not in it".into()));
        };
        let unlike = match self.target.stage(source, table, definition).await? {
            Staged::Begun => {
                loading.table(self.target.writer(), table, objects).await?;
                let found = self.target.differences(source, show).await?;
                return Ok(if found.any() { Verdict::Differs(found) } else { Verdict::Same });
            }
            Staged::Absent => "it is not here".to_owned(),
            Staged::Unlike(why) => why,
        };
        for _ in &table.objects {
            objects.next().await?;
        }
        // Without rows it comes with its first change.
        Ok(if table.rows == 0 { Verdict::Same } else { Verdict::Unlike(unlike) })
    }

    /// Writes what differs, in one transaction that leaves the position as it is, and compares these tables again.
    pub(super) async fn repair(
        &mut self,
        stored: &Stored,
        verified: &mut Verified,
    ) -> Result<(), PullError> {
        let differs = |of: &&TableVerdict| matches!(of.verdict, Verdict::Differs(_));
        let tables: Vec<Named> =
            verified.tables.iter().filter(differs).map(|of| of.table.clone()).collect();
        if tables.is_empty() {
            return Ok(());
        }
        let named = |table: &SnapshotTable| Named::new(&table.schema, &table.name);
        let all: Vec<Named> = self.snapshot.tables.iter().map(named).collect();
        let snapshot = self.only(|table| tables.contains(&named(table)));
        let mut objects = self.objects("repair", &snapshot);
        let source = &self.settings.source;
        self.target.begin_repair(source, &tables, &all).await?;
        for table in &snapshot.tables {
            // What was written there meanwhile counts, too.
            self.table(&snapshot, table, &mut objects).await?;
            self.target.keep(source).await?;
        }
        let repaired = self.target.repair(source).await?;
        self.target.commit(source, stored).await?;
        verified.repaired = Some(repaired);
        for now in self.compare("comparison again", |table| tables.contains(&named(table))).await? {
            let mut of = verified.tables.iter_mut();
            if let Some(before) = of.find(|before| before.table == now.table) {
                before.verdict = now.verdict;
            }
        }
        Ok(())
    }

    /// The snapshot with some of its tables only.
    fn only(&self, wanted: impl Fn(&SnapshotTable) -> bool) -> Snapshot {
        let mut snapshot = self.snapshot.clone();
        snapshot.tables.retain(|table| wanted(table));
        snapshot
    }

    fn objects(&self, kind: &'static str, snapshot: &Snapshot) -> SnapshotObjects {
        let bytes = snapshot.tables.iter().map(|table| table.raw_len).sum();
        self.progress.load_begins(kind, 0, bytes);
        let Settings { relays, channels, .. } = self.settings;
        SnapshotObjects::start(relays, self.spool, snapshot, channels, |_, _| false)
    }
}
