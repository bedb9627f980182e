use std::sync::Arc;

use tokio::sync::watch;
use wire::{Snapshot, TerminalState};

use super::{
    super::{
        ask::snapshot_for,
        error::PullError,
        quarantine::is_empty,
        refetch::Refetch,
        settings::Settings,
        status::{Status, last_word},
        until::Until,
    },
    CompareOptions, Verified, is_asked,
    tables::Comparing,
};
use crate::{
    fetch::{FetchError, Spool},
    progress::Progress,
    target::{Compare, Stored, StoredState},
};

/// One opened target from lock to the last table.
pub(super) struct Session<'a, T> {
    pub(super) target: T,
    pub(super) settings: Arc<Settings>,
    pub(super) options: &'a CompareOptions,
    pub(super) progress: &'a Progress,
}

impl<T: Compare> Session<'_, T> {
    pub(super) async fn run(mut self) -> Result<Verified, PullError> {
        let stored = self.loaded().await?;
        let snapshot = self.snapshot(&stored).await?;
        let (settings, progress) = (self.settings.clone(), self.progress);
        let spool = Spool::create(settings.spool_dir.as_deref()).map_err(FetchError::from)?;
        let spool = Arc::new(spool);
        let stored = self.reach(&snapshot, stored, &spool).await?;
        let mut comparing = Comparing {
            target: &mut self.target,
            settings: &settings,
            progress,
            spool: &spool,
            snapshot: &snapshot,
            options: self.options,
        };
        let mut verified = comparing.all().await?;
        if self.options.repair {
            comparing.repair(&stored, &mut verified).await?;
        }
        self.target.close().await;
        Ok(verified)
    }

    /// Where the target stands, which nobody else moves from here on.
    async fn loaded(&mut self) -> Result<Stored, PullError> {
        let Self { target, settings, .. } = self;
        let source = &settings.source;
        if !target.lock(source, settings.bounds.lock_wait).await? {
            return Err(PullError::InUse { source_name: source.clone() });
        }
        let stored = target.stored(source).await?;
        let Some(stored) = stored.filter(|stored| stored.state == StoredState::Ready) else {
            let (target, source_name) = (target.name().to_owned(), source.clone());
            return Err(PullError::NeverLoaded { target, source_name });
        };
        settings.check_channels(&stored)?;
        let unfinished = target.unfinished_load(source).await?;
        if unfinished.is_some_and(|record| record.plan.reload.is_some()) {
            return Err(PullError::ReloadUnfinished { source_name: source.clone() });
        }
        is_empty(target, source).await?;
        target.on_conflict(settings.policy.on_conflict).await?;
        Ok(stored)
    }

    /// What it is compared with: the tables that are asked for must be in it.
    async fn snapshot(&self, stored: &Stored) -> Result<Snapshot, PullError> {
        let snapshot = snapshot_for(&self.settings, self.progress, stored).await?;
        let has = |pattern: &String| {
            let of = [pattern.clone()];
            snapshot.tables.iter().any(|table| is_asked(&of, table))
        };
        match self.options.tables.iter().find(|name| !has(name)) {
            Some(table) => {
                let (source_name, table) = (self.settings.source.clone(), table.clone());
                Err(PullError::NoSuchTable { source_name, table })
            }
            None => Ok(snapshot),
        }
    }

    /// Takes the target to the snapshot's position.
    async fn reach(
        &mut self,
        snapshot: &Snapshot,
        stored: Stored,
        spool: &Arc<Spool>,
    ) -> Result<Stored, PullError> {
        let (target, settings, progress) = (&mut self.target, &self.settings, self.progress);
        if stored.position.lsn == snapshot.lsn {
            let at = (snapshot.lsn, Some(snapshot));
            Until::new(target, settings, progress, at, stored.clone()).check(snapshot)?;
            return Ok(stored);
        }
        let mut status = Status::new();
        status.applied = stored.applied();
        status.lineage = Some(stored.position.lineage);
        status.state = TerminalState::Behind;
        let (status, _) = watch::channel(status);
        let refetch = Refetch { target, settings, progress, spool, status: &status };
        let stored = refetch.to(snapshot, stored).await?;
        let last = status.borrow().clone();
        last_word(settings, &last).await;
        Ok(stored)
    }
}
