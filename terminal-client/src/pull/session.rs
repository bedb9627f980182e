use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use wire::{Divergence, Lsn, SourceName, TerminalState};

use super::{
    applier::Applier,
    bundle::Bundle,
    error::PullError,
    load::load,
    order::Order,
    quarantine::Quarantine,
    refetch::{Refetch, approach},
    settings::Settings,
    status::{Status, keep_telling, last_word},
    trouble::Trouble,
};
use crate::{
    fetch::{FetchError, PrefetchRequest, Prefetcher, Refusal, Spool},
    progress::Progress,
    target::{ConflictKind, OnError, Stored, StoredState, Target, TargetError},
};

/// A pull ahead that was on its way when the error came must not reach the relay behind the error, and
/// have it believe that all is well.
const OVERTAKING: Duration = Duration::from_millis(250);

/// How far a session goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To the relay's head as it is at the start.
    Head,
    /// On and on.
    Follow,
    /// At the relay's newest snapshot, loaded anew.
    Reload,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At its goal.
    Reached { applied: Lsn, transactions: u64, changes: u64 },
    /// It was told to stop.
    Stopped { applied: Option<Lsn> },
    /// Another run holds the target.
    Busy,
}

/// One opened target from lock to last word.
pub(super) struct Session<'a, T> {
    pub(super) target: &'a mut T,
    pub(super) settings: Arc<Settings>,
    pub(super) progress: &'a Progress,
    pub(super) stop: &'a CancellationToken,
}

impl<T: Target> Session<'_, T> {
    pub(super) async fn run(mut self, goal: Goal) -> Result<End, PullError> {
        let lock_wait = self.settings.bounds.lock_wait;
        if !self.target.lock(&self.settings.source, lock_wait).await? {
            return Ok(End::Busy);
        }
        let (status, _) = watch::channel(Status::new());
        let result = self.go(goal, &status).await;
        match &result {
            // The relay that would be told is the one that does not answer.
            Err(PullError::Fetch(FetchError::Unreachable { .. }) | PullError::GaveUp { .. }) => {
                return result;
            }
            // Nor is a terminal that is none to be told of.
            Err(PullError::NeverLoaded { .. }) => return result,
            Err(error) => {
                status.send_modify(|status| {
                    status.state = TerminalState::Error;
                    status.error = Some(error.to_string());
                });
                tokio::time::sleep(OVERTAKING).await;
            }
            Ok(_) => {}
        }
        let last = status.borrow().clone();
        last_word(&self.settings, &last).await;
        result
    }

    async fn go(&mut self, goal: Goal, status: &watch::Sender<Status>) -> Result<End, PullError> {
        self.target.on_conflict(self.settings.policy.on_conflict).await?;
        let stored = self.target.stored(&self.settings.source).await?;
        let divergence = divergence(self.target, &self.settings.source).await?;
        status.send_modify(|status| status.divergence = Some(divergence));
        // A load that is not finished may still begin anew with other channels.
        let loaded = stored.filter(|stored| stored.state == StoredState::Ready);
        if let Some(stored) = &loaded {
            self.settings.check_channels(stored)?;
            note(status, stored);
        }
        if loaded.is_none() && goal == Goal::Reload {
            let (target, source_name) =
                (self.target.name().to_owned(), self.settings.source.clone());
            return Err(PullError::NeverLoaded { target, source_name });
        }
        self.target.guard(&self.settings.source, self.settings.policy.guard).await?;
        let telling = keep_telling(self.settings.clone(), status.subscribe());
        let _telling = AbortOnDropHandle::new(tokio::spawn(telling));
        let spool = Spool::create(self.settings.spool_dir.as_deref()).map_err(FetchError::from)?;
        let spool = Arc::new(spool);
        let mut order = match &loaded {
            None => Some(Order::First),
            // A reload that was begun is finished first, whoever began it.
            Some(stored) if goal == Goal::Reload || self.is_reloading().await? => {
                Some(Order::Again(stored.clone()))
            }
            Some(_) => None,
        };
        let (mut stored, mut fixed) = (loaded, None);
        // Where something could not be applied: from there on it is looked for.
        let mut suspected = None;
        loop {
            if let Some(order) = order.take() {
                // Of a history that comes, no position is known before it is here.
                if goal == Goal::Head && fixed.is_none() && order.ended().is_none() {
                    fixed = tokio::select! {
                        head = head(&self.settings) => head?,
                        () = self.stop.cancelled() => return Ok(End::Stopped {
                            applied: stored.map(|stored| stored.position.lsn),
                        }),
                    };
                }
                let Some(loaded) = self.load(&order, &spool, status).await? else {
                    return Ok(End::Stopped { applied: stored.map(|stored| stored.position.lsn) });
                };
                note(status, &loaded);
                let lineage = loaded.position.lineage;
                if stored.is_some_and(|before| before.position.lineage != lineage) {
                    // Positions of one history mean nothing in another.
                    fixed = None;
                }
                stored = Some(loaded);
            }
            let Some(now) = stored.clone() else { return Ok(End::Stopped { applied: None }) };
            if goal == Goal::Reload {
                let applied = now.position.lsn;
                return Ok(End::Reached { applied, transactions: 0, changes: 0 });
            }
            let source = &self.settings.source;
            let quarantine =
                Quarantine::read(self.target, source, suspected == Some(now.position.lsn)).await?;
            let mut ended =
                self.follow(now, quarantine, spool.clone(), goal, &mut fixed, status).await;
            if let Err(PullError::Target(error)) = &ended
                && self.settings.policy.on_error == OnError::Quarantine
                && !error.is_transient()
            {
                tracing::debug!(%error, "transactions are applied one by one, to find which cannot be");
                if self.target.roll_back().await.is_err() {
                    return ended;
                }
                stored = self.target.stored(&self.settings.source).await?;
                let at = stored.as_ref().map(|stored| stored.position.lsn);
                if suspected != at {
                    suspected = at;
                    continue;
                }
            }
            if let Err(why @ PullError::RowsNeeded { .. }) = ended {
                ended = match self.refetch(why, &spool, status).await {
                    Ok(Some(at)) => {
                        stored = Some(at);
                        continue;
                    }
                    Ok(None) => return Ok(End::Stopped { applied: status.borrow().applied }),
                    Err(error) => Err(error),
                };
            }
            if let Err(PullError::Stopped { lsn, .. }) = ended {
                self.approach(lsn, &spool, status).await;
            }
            match ended {
                Err(error) if error.is_expired() => {
                    self.progress.say(&format!("{error}"));
                    self.target.roll_back().await?;
                    stored = self.target.stored(&self.settings.source).await?;
                    order = stored.clone().map(Order::Beyond);
                }
                Err(error) if error.is_succeeded() => {
                    self.progress.say(&format!("{error}"));
                    self.target.roll_back().await?;
                    stored = self.target.stored(&self.settings.source).await?;
                    order = stored.clone().map(Order::Succeeding);
                    fixed = None;
                }
                ended => return ended,
            }
        }
    }

    /// Whether a reload was begun and is not finished.
    async fn is_reloading(&mut self) -> Result<bool, PullError> {
        let unfinished = self.target.unfinished_load(&self.settings.source).await?;
        Ok(unfinished.is_some_and(|record| record.plan.reload.is_some()))
    }

    /// None where it was told to stop.
    async fn load(
        &mut self,
        order: &Order,
        spool: &Arc<Spool>,
        status: &watch::Sender<Status>,
    ) -> Result<Option<Stored>, PullError> {
        status.send_modify(|status| status.state = TerminalState::Loading);
        let now = status.borrow().clone();
        let settings = &self.settings;
        let load = async {
            // What was loaded before must not look as if it went on.
            if !matches!(order, Order::First) {
                last_word(settings, &now).await;
            }
            load(self.target, settings, spool, self.progress, order).await
        };
        tokio::select! {
            loaded = load => loaded.map(Some),
            () = self.stop.cancelled() => Ok(None),
        }
    }

    /// Where it stands once it has the rows that the stream lacks; none where it was told to stop.
    async fn refetch(
        &mut self,
        why: PullError,
        spool: &Arc<Spool>,
        status: &watch::Sender<Status>,
    ) -> Result<Option<Stored>, PullError> {
        self.target.roll_back().await?;
        let refetch = Refetch {
            target: &mut *self.target,
            settings: &self.settings,
            progress: self.progress,
            spool,
            status,
        };
        tokio::select! {
            fetched = refetch.run(why) => fetched.map(Some),
            () = self.stop.cancelled() => Ok(None),
        }
    }

    /// Applies what comes before the transaction that the target cannot take.
    async fn approach(&mut self, lsn: Lsn, spool: &Arc<Spool>, status: &watch::Sender<Status>) {
        let before = Lsn::new(lsn.get().saturating_sub(1));
        let done = async {
            self.target.roll_back().await?;
            let (target, settings, progress) = (&mut *self.target, &self.settings, self.progress);
            approach(Refetch { target, settings, progress, spool, status }, before).await
        };
        tokio::select! {
            done = done => if let Err(error) = done {
                // The next pull tries again.
                tracing::warn!(%error, "what comes before {lsn} was not applied either");
            },
            () = self.stop.cancelled() => {}
        }
    }

    fn prefetch(
        &self,
        stored: &Stored,
        spool: &Arc<Spool>,
        goal: Goal,
        status: &watch::Sender<Status>,
    ) -> Prefetcher {
        let settings = &self.settings;
        let request = PrefetchRequest {
            from: stored.position.clone(),
            channels: settings.channels.clone(),
            loaded: settings.channels.is_empty().then(|| stored.channel_set()),
            limit_bytes: settings.bounds.answer_bytes,
            wait: match goal {
                Goal::Head | Goal::Reload => Duration::ZERO,
                Goal::Follow => settings.bounds.poll_wait,
            },
            report: status.borrow().with_pull(&settings.terminal),
        };
        Prefetcher::start(&settings.relays, spool, request)
    }

    async fn follow(
        &mut self,
        stored: Stored,
        quarantine: Quarantine,
        spool: Arc<Spool>,
        goal: Goal,
        fixed: &mut Option<Lsn>,
        status: &watch::Sender<Status>,
    ) -> Result<End, PullError> {
        let settings = self.settings.clone();
        self.progress.pull_begins(stored.position.lsn);
        let mut prefetcher = self.prefetch(&stored, &spool, goal, status);
        let mut applier =
            Applier::new(self.target, settings.clone(), status.clone(), self.progress, stored)
                .with(quarantine);
        let mut trouble = Trouble::new(settings.patience);
        loop {
            let applied = applier.stored().position.clone();
            if goal == Goal::Head && fixed.is_some_and(|goal| applied.lsn >= goal) {
                let Status { transactions, changes, .. } = *status.borrow();
                return Ok(End::Reached { applied: applied.lsn, transactions, changes });
            }
            let fetched = tokio::select! {
                // First: a stop may have left the rest of a bundle behind.
                biased;
                () = self.stop.cancelled() => return Ok(End::Stopped { applied: Some(applied.lsn) }),
                fetched = prefetcher.next() => fetched?,
            };
            let own = applied.lsn;
            let (bundle, head) = Bundle::of_fetched(&settings, fetched, applied)?;
            let known = *fixed.get_or_insert(head);
            match bundle {
                Some(bundle) => {
                    applier.bundle(bundle, || self.stop.is_cancelled()).await?;
                    trouble.over();
                }
                None if goal == Goal::Head && own < known => {
                    let relay = settings.relays.in_use();
                    let waiting = trouble.pause(PullError::BehindGoal { relay, head, goal: known });
                    tokio::select! {
                        waited = waiting => waited?,
                        () = self.stop.cancelled() => {}
                    }
                }
                None => status.send_modify(|status| {
                    let behind = status.applied.is_none_or(|applied| applied < head);
                    status.state = if behind { TerminalState::Behind } else { TerminalState::Ok };
                }),
            }
            prefetcher.report(status.borrow().with_pull(&settings.terminal));
        }
    }
}

/// The goal where it must be fixed before a load.
async fn head(settings: &Settings) -> Result<Option<Lsn>, PullError> {
    match settings.relays.head().await {
        Ok(head) => Ok(head),
        // It is waited for by the load.
        Err(error) if error.refusal() == Some(Refusal::UnknownSource) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where the target was found otherwise than the source so far.
async fn divergence<T: Target>(
    target: &mut T,
    source: &SourceName,
) -> Result<Divergence, TargetError> {
    let counts = target.conflicts(source).await?;
    let total = |kind| counts.iter().filter(|of| of.kind == kind).map(|of| of.count).sum();
    Ok(Divergence {
        row_missing: total(ConflictKind::RowMissing),
        row_present: total(ConflictKind::RowPresent),
        quarantined: target.held(source).await?.len() as u64,
    })
}

fn note(status: &watch::Sender<Status>, stored: &Stored) {
    status.send_modify(|status| {
        status.applied = stored.applied();
        status.lineage = Some(stored.position.lineage);
        status.state = TerminalState::Behind;
    });
}
