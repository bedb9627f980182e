use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use wire::{ChannelName, NameError, SourceName, TerminalName};

use crate::{
    fetch::{AddressError, FetchError, FetchSettings, RelayAddress, Relays, Token},
    progress::Progress,
    pull::{
        Bounds, Outcome, Policy, PullError, Schedule, Settings, TargetAddress, Timing, run,
        run_into,
    },
    target::{Target, TargetError},
};

/// How long a pull goes on without any progress where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a [`Terminal`] cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An address of a relay cannot be understood.
    #[error("the relay's address: {0}")]
    Relay(#[from] AddressError),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The requests cannot be made, e.g. because the system's certificates cannot be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// A terminal inside another program: pulls one source from its relays into a database, or into a
/// [`Target`] of the program's own.
///
/// It runs on tokio. What it does it tells by `tracing`; it prints nothing. A future of it may be dropped at any
/// moment: what is committed at the target is whole transactions with their position, and the next pull goes on
/// from there. One pull of a source runs on a target at a time, in all programs together.
#[derive(Clone, Debug)]
pub struct Terminal {
    source: SourceName,
    relays: Vec<RelayAddress>,
    name: TerminalName,
    token: Option<Token>,
    channels: Vec<ChannelName>,
    spool_dir: Option<PathBuf>,
    patience: Duration,
    policy: Policy,
    bounds: Bounds,
}

impl Terminal {
    /// A terminal called `name` (in the relay's lag table) that pulls the source called `source` from `relays`,
    /// addresses in order of preference, separated by commas: `http://relay:7070`.
    ///
    /// Where the process has no cryptography for TLS yet (`rustls`), it gets that of `ring`.
    ///
    /// # Errors
    /// Where an address or a name cannot be one.
    pub fn new(relays: &str, source: &str, name: &str) -> Result<Self, SetupError> {
        // Fails only where one is installed already, which is as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let relays = relays.split(',').map(|text| RelayAddress::parse(text.trim()));
        Ok(Self {
            source: SourceName::new(source)?,
            relays: relays.collect::<Result<_, _>>()?,
            name: TerminalName::new(name)?,
            token: None,
            channels: Vec::new(),
            spool_dir: None,
            patience: PATIENCE,
            policy: Policy::default(),
            bounds: Bounds::default(),
        })
    }

    /// With the token that the relays want.
    #[must_use]
    pub fn token(self, token: Token) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Only these channels; all that the token allows where this is not said. It cannot change once a target is loaded.
    #[must_use]
    pub fn channels(self, channels: Vec<ChannelName>) -> Self {
        Self { channels, ..self }
    }

    /// Where fetched objects lie until they are applied; it needs room for the largest transaction. The system's
    /// directory for temporary files where this is not said.
    #[must_use]
    pub fn spool_dir(self, directory: impl Into<PathBuf>) -> Self {
        Self { spool_dir: Some(directory.into()), ..self }
    }

    /// How long a pull goes on without any progress: 60 s. Following never gives up.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What is done where the target is otherwise than the source.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Other bounds of what is held in memory and of what one target transaction takes.
    #[must_use]
    pub fn bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Pulls once, to the relay's head as it is at the start; loads a target that is new. Ends with
    /// [`Outcome::AtHead`], or [`Outcome::Busy`] where another pull is at work there.
    ///
    /// # Errors
    /// As [`PullError`] tells; nothing of a transaction that failed is at the target.
    pub async fn pull(&self, target: &TargetAddress) -> Result<Outcome, PullError> {
        let settings = self.settings(Some(self.patience))?;
        let (stop, progress) = (CancellationToken::new(), Progress::new(true));
        run(&at_once(Schedule::Once), target, settings, &progress, &stop).await
    }

    /// Pulls on and on, as changes come, until `stop` is cancelled: then it commits what is whole, and ends.
    /// What may pass (a relay or a target that is away) is waited for.
    ///
    /// # Errors
    /// As [`Self::pull`], but for what may pass.
    pub async fn follow(
        &self,
        target: &TargetAddress,
        stop: &CancellationToken,
    ) -> Result<Outcome, PullError> {
        let (settings, progress) = (self.settings(None)?, Progress::new(true));
        run(&at_once(Schedule::Follow), target, settings, &progress, stop).await
    }

    /// As [`Self::pull`], into a target of one's own. `open` opens it: at the beginning, and again where it or
    /// the relay failed in a way that may pass.
    ///
    /// # Errors
    /// As [`Self::pull`].
    pub async fn pull_into<F, O, T>(&self, open: F) -> Result<Outcome, PullError>
    where
        F: Fn() -> O + Sync,
        O: Future<Output = Result<T, TargetError>> + Send,
        T: Target,
    {
        let settings = self.settings(Some(self.patience))?;
        let (stop, progress) = (CancellationToken::new(), Progress::new(true));
        run_into(&at_once(Schedule::Once), open, settings, &progress, &stop).await
    }

    /// As [`Self::follow`], into a target of one's own, which `open` opens as for [`Self::pull_into`].
    ///
    /// # Errors
    /// As [`Self::follow`].
    pub async fn follow_into<F, O, T>(
        &self,
        open: F,
        stop: &CancellationToken,
    ) -> Result<Outcome, PullError>
    where
        F: Fn() -> O + Sync,
        O: Future<Output = Result<T, TargetError>> + Send,
        T: Target,
    {
        let (settings, progress) = (self.settings(None)?, Progress::new(true));
        run_into(&at_once(Schedule::Follow), open, settings, &progress, stop).await
    }

    fn settings(&self, patience: Option<Duration>) -> Result<Arc<Settings>, FetchError> {
        let fetch = FetchSettings {
            patience: patience.unwrap_or(Duration::MAX),
            ..FetchSettings::default()
        };
        let relays = Relays::new(self.relays.clone(), &self.source, self.token.as_ref(), fetch)?;
        Ok(Arc::new(Settings {
            source: self.source.clone(),
            terminal: self.name.clone(),
            channels: self.channels.clone(),
            relays: Arc::new(relays),
            spool_dir: self.spool_dir.clone(),
            patience,
            policy: self.policy,
            bounds: self.bounds.clone(),
        }))
    }
}

fn at_once(schedule: Schedule) -> Timing {
    Timing { schedule, jitter: Duration::ZERO, window: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{SqliteFile, SqliteTarget};

    fn terminal(relays: &str, source: &str, name: &str) -> Result<Terminal, String> {
        Terminal::new(relays, source, name).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert!(terminal("http://a:7070, http://b", "orders", "till").is_ok());
        for (relays, source, name, word) in [
            ("a:7070:x", "orders", "till", "relay's address"),
            ("", "orders", "till", "relay's address"),
            ("http://a", "or ders", "till", "'or ders'"),
            ("http://a", "orders", "", "name"),
        ] {
            let error = terminal(relays, source, name).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    /// They are for `tokio::spawn`.
    #[test]
    fn its_futures_may_move_to_another_thread() {
        let moves = |_: &(dyn Send + 'static)| ();
        let terminal = terminal("http://a", "orders", "till").unwrap();
        let (own, stop) = (terminal.clone(), CancellationToken::new());
        let file = SqliteFile::new("none.db").unwrap();
        moves(&async move { own.follow(&TargetAddress::Sqlite(file), &stop).await });
        let file = SqliteFile::new("none.db").unwrap();
        moves(&async move { terminal.pull_into(|| SqliteTarget::open(&file)).await });
    }
}
