use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{failure::failed, file::SqliteFile};
use crate::target::TargetError;

/// Statements kept prepared; a table has four or so.
const STATEMENTS: usize = 500;
/// The write-ahead log keeps no more than this on disk once it has been copied back.
const LOG_LIMIT_BYTES: i64 = 64 << 20;
/// The longest sleep between two looks at a lock.
const MAX_NAP: Duration = Duration::from_millis(50);

/// The connection, set up, and what it is called in messages.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) target: String,
    stop: Arc<AtomicBool>,
    writable: bool,
}

/// The file's real place: two ways to one file must meet in one lock.
pub(super) fn real_path(target: &str, file: &Path) -> Result<PathBuf, TargetError> {
    let refused = |error: std::io::Error| TargetError::Refused {
        target: target.to_owned(),
        why: error.to_string(),
        advice: "create its folder, or correct the name".into(),
    };
    let full = std::path::absolute(file).map_err(refused)?;
    if let Ok(found) = full.canonicalize() {
        return Ok(found);
    }
    let (Some(folder), Some(name)) = (full.parent(), full.file_name()) else { return Ok(full) };
    Ok(folder.canonicalize().map_err(refused)?.join(name))
}

impl Database {
    /// Opens the file. Nothing is written to it before [`Database::begin`].
    pub(super) fn open(
        target: String,
        file: &SqliteFile,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, TargetError> {
        if !file.create && !file.path.exists() {
            let why = "there is no such file".to_owned();
            let advice = "correct the name, or run a pull, which creates it".to_owned();
            return Err(TargetError::Refused { target, why, advice });
        }
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, file.create);
        let opened = Connection::open_with_flags(&file.path, flags)
            .and_then(|connection| set_up(connection, file, stop.clone()));
        match opened {
            Ok(connection) => Ok(Self { connection, target, stop, writable: false }),
            Err(error) => Err(failed(&target, "open it", &error)),
        }
    }

    /// Whether the target is being dropped: nothing more is worth doing.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Turns a result of SQLite into one of ours; `doing` follows on "cannot".
    pub(super) fn did<T>(
        &self,
        doing: &str,
        result: rusqlite::Result<T>,
    ) -> Result<T, TargetError> {
        result.map_err(|error| failed(&self.target, doing, &error))
    }

    /// Sees to the write-ahead log, under which readers see whole transactions only and never wait.
    fn make_writable(&mut self) -> Result<(), TargetError> {
        if self.writable {
            return Ok(());
        }
        let mode: rusqlite::Result<String> =
            self.connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0));
        let mode = self.did("turn on its write-ahead log (journal_mode=WAL)", mode)?;
        if mode != "wal" {
            return Err(TargetError::Refused {
                target: self.target.clone(),
                why: format!("it keeps journal_mode={mode} where WAL was asked for"),
                advice: "put the file on a disk of this machine".into(),
            });
        }
        self.writable = true;
        Ok(())
    }

    /// Opens a transaction with the right to write.
    pub(super) fn begin(&mut self) -> Result<(), TargetError> {
        self.make_writable()?;
        self.did("begin a transaction", self.connection.execute_batch("BEGIN IMMEDIATE"))
    }

    /// Commits; all is on disk when it returns.
    pub(super) fn commit(&self) -> Result<(), TargetError> {
        self.did("commit", self.connection.execute_batch("COMMIT"))
    }

    /// Undoes the open transaction, if there is one.
    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(file = self.target, %error, "rollback failed; closing the file undoes the rest");
        }
    }
}

fn set_up(
    mut connection: Connection,
    file: &SqliteFile,
    stop: Arc<AtomicBool>,
) -> rusqlite::Result<Connection> {
    connection.busy_handler(Some(busy_handler(file.busy_timeout, stop)))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // With FULL every commit is flushed, which is what "applied" means.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    // The source has checked its keys, and sends what a cascade did as changes of their own.
    connection.pragma_update(None, "foreign_keys", false)?;
    // So it is with triggers: what they did at the source comes as changes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.pragma_update(None, "cache_size", -i64::from(file.cache_kib))?;
    connection.pragma_update(None, "cache_spill", true)?;
    connection.pragma_update(None, "temp_store", "FILE")?;
    connection.pragma_update(None, "journal_size_limit", LOG_LIMIT_BYTES)?;
    // The first look into the file: is it a database at all?
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Waits where SQLite finds a lock; gives up after `timeout`, or when the target is dropped.
fn busy_handler(timeout: Duration, stop: Arc<AtomicBool>) -> impl FnMut(i32) -> bool + Send {
    let mut since = Instant::now();
    move |count| {
        if count == 0 {
            since = Instant::now();
        }
        if stop.load(Ordering::Relaxed) || since.elapsed() >= timeout {
            return false;
        }
        let nap = Duration::from_millis(1 << count.clamp(0, 10));
        std::thread::sleep(nap.min(MAX_NAP).min(timeout));
        true
    }
}
