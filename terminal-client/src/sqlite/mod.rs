//! The SQLite target (`docs/SQLITE.md`).
//!
//! ```text
//! handle        the async side: each call becomes one of the thread's
//! worker        the thread: calls in order, rows and changes sent ahead in bounded memory
//! session       what each call does
//! load          the first load, part by part
//! apply         changes, row by row
//! alter         schema changes
//! verify        rows against those of a snapshot
//! schema        names, tables, indexes, recorded definitions
//! values        COPY text and PostgreSQL's value texts to SQLite values (pure)
//! database      the connection and its settings; transactions
//! position_row  tailwater_position
//! conflicts     tailwater_conflicts
//! quarantine    tailwater_quarantine
//! guard         triggers that refuse other writers
//! file          which file, and its settings
//! lock          one run per file and source
//! ```

mod alter;
mod apply;
mod comparing;
mod conflicts;
mod database;
mod existing;
mod failure;
mod file;
mod guard;
mod handle;
mod known;
mod load;
mod lock;
mod position_row;
mod quarantine;
mod schema;
mod seen;
mod session;
#[cfg(test)]
mod tests;
mod values;
mod verify;
mod worker;

pub use file::SqliteFile;
pub use handle::SqliteTarget;
