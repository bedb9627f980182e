use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use wire::Lsn;

use super::{
    address::TargetAddress,
    error::PullError,
    session::{End, Goal, Session},
    settings::Settings,
    trouble::Trouble,
};
use crate::{
    fetch::{FetchError, Refusal},
    postgres::PostgresTarget,
    progress::Progress,
    sqlite::SqliteTarget,
    target::{Target, TargetError},
};

/// How a pull ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At the head as it was at the start.
    AtHead {
        /// The position.
        applied: Lsn,
        /// Transactions applied.
        transactions: u64,
        /// Changes applied.
        changes: u64,
    },
    /// It was told to stop, and left everything committed.
    Stopped {
        /// The position; none where the first load was not complete.
        applied: Option<Lsn>,
    },
    /// Another run on the same target and source was under way.
    Busy,
    /// Nothing was begun outside of its window.
    Outside,
    /// Its window closed before it was done; what was applied is committed.
    Closed {
        /// The position; none where the first load was not complete.
        applied: Option<Lsn>,
    },
}

/// A session that lasted so long had worked.
const LONG: Duration = Duration::from_secs(60);

/// Whether a service that pulls again later should only note it.
pub(super) fn is_passing(error: &PullError) -> bool {
    match error {
        PullError::GaveUp { .. } | PullError::RowsNeeded { .. } => true,
        PullError::Fetch(FetchError::Refused { refusal, .. }) => *refusal == Refusal::UnknownSource,
        error => error.is_transient(),
    }
}

/// What sessions are run on: each opens it anew.
pub(super) trait Opens: Sync {
    /// Opens it and runs one session.
    fn session(
        &self,
        runner: &Runner<'_, Self>,
        goal: Goal,
    ) -> impl Future<Output = Result<End, PullError>> + Send;
}

impl Opens for TargetAddress {
    async fn session(&self, runner: &Runner<'_, Self>, goal: Goal) -> Result<End, PullError> {
        match self {
            Self::Postgres(server) => runner.on(PostgresTarget::open(server), goal).await,
            Self::Sqlite(file) => runner.on(SqliteTarget::open(file), goal).await,
        }
    }
}

/// A target that the embedding program opens.
pub(super) struct Own<F>(pub(super) F);

impl<F, O, T> Opens for Own<F>
where
    F: Fn() -> O + Sync,
    O: Future<Output = Result<T, TargetError>> + Send,
    T: Target,
{
    async fn session(&self, runner: &Runner<'_, Self>, goal: Goal) -> Result<End, PullError> {
        runner.on((self.0)(), goal).await
    }
}

/// Runs sessions until one ends.
pub(super) struct Runner<'a, O: ?Sized> {
    pub(super) target: &'a O,
    pub(super) settings: Arc<Settings>,
    pub(super) progress: &'a Progress,
    pub(super) stop: &'a CancellationToken,
}

impl<O: Opens> Runner<'_, O> {
    /// One session, and again where the target or the relay fails in a way that may pass.
    pub(super) async fn once(&self, goal: Goal) -> Result<Outcome, PullError> {
        let mut trouble = Trouble::new(self.settings.patience);
        let mut had_lock = false;
        let mut suspects = Vec::new();
        loop {
            let begun = Instant::now();
            let error = match self.target.session(self, goal).await {
                // Its own connection from before, whose statement still runs.
                Ok(End::Busy) if had_lock => PullError::StillHeld,
                Ok(End::Busy) => return Ok(Outcome::Busy),
                Ok(End::Stopped { applied }) => return Ok(Outcome::Stopped { applied }),
                Ok(End::Reached { applied, transactions, changes }) => {
                    return Ok(Outcome::AtHead { applied, transactions, changes });
                }
                Err(error) if self.may_pass(goal, &error, &mut suspects) => error,
                Err(error) => return Err(error),
            };
            had_lock = had_lock || !matches!(error, PullError::StillHeld);
            if begun.elapsed() >= LONG {
                trouble.over();
            }
            tokio::select! {
                again = trouble.pause(error) => again?,
                () = self.stop.cancelled() => return Ok(Outcome::Stopped { applied: None }),
            }
        }
    }

    /// Whether another session may go better. Damaged or foreign ranges are asked for at another
    /// relay, and of the same relay once more.
    fn may_pass(&self, goal: Goal, error: &PullError, suspects: &mut Vec<String>) -> bool {
        match error {
            PullError::Range(range) => {
                let relay = self.settings.relays.in_use();
                let before = suspects.iter().filter(|suspect| **suspect == relay).count();
                suspects.push(relay);
                self.settings.relays.distrust();
                before < if range.is_fork() { 1 } else { 2 }
            }
            // A relay that is being set up; a service must not need a restart for that.
            PullError::Fetch(fetch)
                if goal == Goal::Follow && fetch.refusal() == Some(Refusal::UnknownSource) =>
            {
                true
            }
            // The relays were asked for as long as the patience lasts.
            PullError::Fetch(FetchError::Unreachable { .. }) => self.settings.patience.is_none(),
            error => error.is_transient(),
        }
    }

    async fn on<T: Target>(
        &self,
        opening: impl Future<Output = Result<T, TargetError>> + Send,
        goal: Goal,
    ) -> Result<End, PullError> {
        let mut target = tokio::select! {
            target = opening => target?,
            () = self.stop.cancelled() => return Ok(End::Stopped { applied: None }),
        };
        let session = Session {
            target: &mut target,
            settings: self.settings.clone(),
            progress: self.progress,
            stop: self.stop,
        };
        let end = session.run(goal).await;
        if end.is_ok() {
            target.close().await;
        }
        end
    }
}
