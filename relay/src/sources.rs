//! The sources of a relay: a folder each.

mod source;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak},
    thread,
    time::{Duration, Instant},
};

use wire::{Facts, SourceName, Succession};

pub(crate) use self::source::Source;
use crate::{
    fleet::{Clock, Fleet, FleetLimits},
    log::{Log, LogSettings, Refusal, StoreError, clear},
    requests::SnapshotRule,
};

/// A source, or why it cannot be served.
type Opened = Result<Arc<Source>, Arc<StoreError>>;

/// All sources of a data directory.
#[derive(Debug)]
pub(crate) struct Sources {
    data_dir: PathBuf,
    settings: LogSettings,
    limits: FleetLimits,
    clock: Clock,
    opened: RwLock<BTreeMap<SourceName, Opened>>,
    ours: Arc<Ours>,
}

/// What keeps others from making and removing logs.
#[derive(Debug)]
struct Ours {
    /// Held while a source is begun, and while what is not its living log's is removed.
    beginning: Mutex<()>,
    /// Locked as long as this relay runs.
    _lock: File,
}

impl Ours {
    fn hold(&self) -> MutexGuard<'_, ()> {
        self.beginning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers under way may go on reading a log that another has succeeded, for so long.
const READ_TO_THE_END: Duration = Duration::from_secs(60);
/// Folders beside the sources'.
const NOT_SOURCES: [&str; 1] = ["tokens"];

impl Sources {
    /// Opens the data directory, or makes it, and every source in it. Blocks.
    ///
    /// # Errors
    /// Only for the directory itself; a source that cannot be opened is remembered with its error.
    pub(crate) fn open(
        data_dir: &Path,
        settings: LogSettings,
        limits: FleetLimits,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let io = |source| StoreError::io(data_dir, source);
        fs::create_dir_all(data_dir).map_err(io)?;
        let lock = lock(data_dir)?;
        let sources = Self {
            data_dir: data_dir.to_owned(),
            settings,
            limits,
            clock,
            opened: RwLock::default(),
            ours: Arc::new(Ours { beginning: Mutex::default(), _lock: lock }),
        };
        for entry in fs::read_dir(data_dir).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            let name = name.to_str().filter(|name| !NOT_SOURCES.contains(name));
            let Some(name) = name.and_then(|name| SourceName::new(name).ok()) else { continue };
            if entry.path().is_dir() {
                sources.open_alone(&name);
            }
        }
        Ok(sources)
    }

    /// Where nobody reads an earlier log of it.
    fn open_alone(&self, name: &SourceName) {
        self.open_source(name);
        if let Some(Ok(_)) = self.get(name) {
            clear_away(name, &self.data_dir.join(name.as_str()));
        }
    }

    fn open_source(&self, name: &SourceName) {
        let opened = match self.try_open(name) {
            Ok(None) => return,
            Ok(Some(source)) => Ok(Arc::new(source)),
            Err(error) => {
                tracing::error!(source = %name, %error, "the source cannot be served");
                Err(Arc::new(error))
            }
        };
        let mut all = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.clone(), opened);
    }

    fn try_open(&self, name: &SourceName) -> Result<Option<Source>, StoreError> {
        let folder = self.data_dir.join(name.as_str());
        let Some(log) = Log::open(&folder, name, self.settings.clone())? else { return Ok(None) };
        if let Some(damage) = &log.standing().damage {
            tracing::error!(source = %name, "{}", damage.detail);
        }
        let (terminals, capture) = (log.catalog().terminals()?, log.catalog().capture()?);
        let fleet = Fleet::restored(self.limits, terminals, capture, self.clock.now());
        Ok(Some(Source::new(name.clone(), log, fleet)))
    }

    /// A source by name; none where there is none.
    pub(crate) fn get(&self, name: &SourceName) -> Option<Opened> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All sources, by name.
    pub(crate) fn all(&self) -> Vec<(SourceName, Opened)> {
        let all = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, opened)| (name.clone(), opened.clone())).collect()
    }

    /// Makes a source that does not exist yet. Blocks.
    pub(crate) fn begin(&self, name: &SourceName, facts: &Facts) -> Result<Opened, StoreError> {
        let _one = self.ours.hold();
        if let Some(opened) = self.get(name) {
            return Ok(opened);
        }
        if NOT_SOURCES.contains(&name.as_str()) {
            let taken = io::Error::other("a source cannot have this name; take another");
            return Err(StoreError::io(self.data_dir.join(name.as_str()), taken));
        }
        Log::create(&self.data_dir.join(name.as_str()), facts)?;
        self.open_source(name);
        self.get(name).ok_or_else(|| {
            StoreError::corrupt("source", None, format_args!("{name} was begun but is not there"))
        })
    }

    /// The source with the log that takes the place of this one's, once it does. Blocks.
    pub(crate) fn living(&self, old: &Arc<Source>) -> Opened {
        let _one = self.ours.hold();
        match self.get(&old.name) {
            // The last sync, or opening the other one, failed.
            Some(Ok(known)) if known.log.standing().succeeded.is_some() => self.take_over(&known),
            known => known.unwrap_or_else(|| Ok(old.clone())),
        }
    }

    /// Begins a log that takes the place of the source's, if that is the one meant. One that was begun so
    /// before and has nothing yet is as good. Blocks.
    pub(crate) fn succeed(
        &self,
        old: &Arc<Source>,
        succession: &Succession,
        facts: &Facts,
    ) -> Result<Opened, Refusal> {
        let _one = self.ours.hold();
        let standing = old.log.standing();
        let begun = standing.lineage == succession.lineage
            || standing.succeeds.last().is_some_and(|of| of.lineage == succession.lineage);
        if standing.head.is_none() && begun {
            return Ok(Ok(old.clone()));
        }
        if let Err(error) = old.save() {
            tracing::warn!(source = %old.name, %error, "the terminals' newest positions cannot be written down");
        }
        let folder = self.data_dir.join(old.name.as_str());
        let lineage = old.log.succeed(&folder, succession, facts)?;
        tracing::warn!(
            source = %old.name, ended = %succession.lineage, %lineage, head = ?standing.head, why = succession.why,
            "the history begins anew: another log takes the place of the one there was"
        );
        Ok(self.take_over(old))
    }

    /// Serves the log that has taken the place of this one's. Where that fails the source stays as it is, and the next
    /// session tries again.
    fn take_over(&self, old: &Arc<Source>) -> Opened {
        let opened = self.try_open(&old.name).and_then(|opened| {
            opened.map(Arc::new).ok_or_else(|| {
                let detail = format_args!("{} was begun anew but is not there", old.name);
                StoreError::corrupt("source", None, detail)
            })
        });
        let source = opened.map_err(|error| {
            tracing::error!(source = %old.name, %error, "the log that was begun anew cannot be served");
            Arc::new(error)
        })?;
        let mut all = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(old.name.clone(), Ok(source.clone()));
        drop(all);
        old.log.close();
        let (name, readers) = (old.name.clone(), Arc::downgrade(old));
        let (folder, ours) = (self.data_dir.join(name.as_str()), Arc::downgrade(&self.ours));
        thread::spawn(move || {
            wait_for_readers(&readers);
            // Where the relay has stopped meanwhile, its next start does it.
            let Some(ours) = ours.upgrade() else { return };
            let _one = ours.hold();
            clear_away(&name, &folder);
        });
        Ok(source)
    }

    /// Opens sources again that could not be opened because the disk was full. Blocks.
    pub(crate) fn retry(&self) {
        let _one = self.ours.hold();
        for (name, opened) in self.all() {
            if opened.is_err_and(|error| matches!(*error, StoreError::Full { .. })) {
                self.open_alone(&name);
            }
        }
    }

    /// Writes terminals' records down. Blocks.
    pub(crate) fn save(&self) {
        for (name, opened) in self.all() {
            if let Ok(source) = opened
                && let Err(error) = source.save()
            {
                tracing::warn!(source = %name, %error, "the terminals' positions cannot be written down");
            }
        }
    }

    /// Wants snapshots where logs have outgrown the newest. Blocks.
    pub(crate) fn want_snapshots_by(&self, rule: &SnapshotRule) {
        for (name, opened) in self.all() {
            if let Ok(source) = opened
                && let Err(error) = source.want_snapshot_by(rule)
            {
                tracing::warn!(source = %name, %error, "how much the log has grown since its newest snapshot cannot be told");
            }
        }
    }

    /// Finishes what is under way and stops. Blocks.
    pub(crate) fn close(&self) {
        self.save();
        for (_, opened) in self.all() {
            if let Ok(source) = opened {
                source.log.close();
            }
        }
    }
}

fn wait_for_readers(readers: &Weak<Source>) {
    let began = Instant::now();
    while readers.strong_count() > 0 && began.elapsed() < READ_TO_THE_END {
        thread::sleep(Duration::from_millis(50));
    }
}

/// Removes what is not the living log's. What stays takes only room, and goes at the next start.
fn clear_away(name: &SourceName, folder: &Path) {
    match clear(folder) {
        Ok(false) => {}
        Ok(true) => tracing::info!(source = %name, "removed a log that is not the living one"),
        Err(error) => tracing::warn!(source = %name, %error, "an earlier log cannot be removed"),
    }
}

fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join("LOCK");
    let io = |source| StoreError::io(&path, source);
    let options = fs::OpenOptions::new().write(true).create(true).truncate(false).to_owned();
    let file = options.open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
        Err(fs::TryLockError::Error(error)) => Err(io(error)),
    }
}
