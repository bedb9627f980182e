use std::{
    io::{IsTerminal, Write},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use wire::CopyProgress;

const LINE_EVERY: Duration = Duration::from_secs(5);
const REDRAW_EVERY: Duration = Duration::from_millis(200);
/// Rows between two looks at what all readers share.
const ROWS_AT_ONCE: u64 = 1024;
/// No time left is told from less than this of the way, or in less time.
const LEAST_SHARE: u64 = 50;
const LEAST_TIME: Duration = Duration::from_secs(2);

/// How far a copy is, added up over its readers.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    tables: usize,
    /// Of the tables on the master's disk.
    bytes_total: u64,
    began: Instant,
    bytes_done: AtomicU64,
    rows: AtomicU64,
    /// Of the rows as they come.
    text: AtomicU64,
}

impl Progress {
    pub(super) fn new(what: &'static str, tables: usize, bytes_total: u64) -> Self {
        let (bytes_done, rows, text) = Default::default();
        Self { what, tables, bytes_total, began: Instant::now(), bytes_done, rows, text }
    }

    /// For the relay.
    pub(super) fn now(&self) -> CopyProgress {
        self.after(self.began.elapsed())
    }

    fn after(&self, elapsed: Duration) -> CopyProgress {
        let total = self.bytes_total;
        let done = self.bytes_done.load(Ordering::Relaxed).min(total);
        let percent = (u128::from(done) * 100).checked_div(u128::from(total)).unwrap_or(0);
        let enough = elapsed >= LEAST_TIME && done > total / LEAST_SHARE;
        let left = u128::from(total - done) * elapsed.as_millis();
        let left = left.checked_div(u128::from(done)).filter(|_| enough);
        CopyProgress {
            what: self.what.to_owned(),
            bytes_done: done,
            bytes_total: total,
            rows: self.rows.load(Ordering::Relaxed),
            // What is copied is not yet there.
            percent: u8::try_from(percent).unwrap_or(99).min(99),
            seconds_left: left.and_then(|left| u64::try_from(left.div_ceil(1000)).ok()),
        }
    }

    fn line(&self) -> String {
        let CopyProgress { percent, bytes_total, rows, seconds_left, .. } = self.now();
        let left = seconds_left.map_or(String::new(), |left| format!(", about {left} s left"));
        let (what, rate) = (self.what, self.rate(rows));
        format!("{what}: {percent}% of {} MiB, {rows} rows, {rate}{left}", bytes_total >> 20)
    }

    fn summary(&self) -> String {
        let rows = self.rows.load(Ordering::Relaxed);
        format!("{rows} rows of {} tables, {}", self.tables, self.rate(rows))
    }

    fn rate(&self, rows: u64) -> String {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let text = self.text.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let (rows, mib) = (rows as f64 / seconds, text as f64 / 1_048_576.0);
        format!("{mib:.1} MiB, {rows:.0} rows/s, {seconds:.1} s")
    }
}

/// What one reader adds while it reads one piece, so that the piece counts bit by bit: as many of its bytes
/// on disk as have come as text, and the rest when it is over.
pub(super) struct Meter<'a> {
    progress: &'a Progress,
    /// Of the piece on disk, not counted yet.
    left: u64,
    rows: u64,
    text: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(progress: &'a Progress, bytes: u64) -> Self {
        Self { progress, left: bytes, rows: 0, text: 0 }
    }

    pub(super) fn row(&mut self, bytes: usize) {
        self.rows += 1;
        self.text += bytes as u64;
        // Counting each row for all would cost more than the row.
        if self.rows >= ROWS_AT_ONCE || self.text > (1 << 20) {
            self.count();
        }
    }

    pub(super) fn end(mut self) {
        self.count();
        self.progress.bytes_done.fetch_add(self.left, Ordering::Relaxed);
    }

    fn count(&mut self) {
        let text = std::mem::take(&mut self.text);
        let done = text.min(self.left);
        self.left -= done;
        self.progress.bytes_done.fetch_add(done, Ordering::Relaxed);
        self.progress.text.fetch_add(text, Ordering::Relaxed);
        self.progress.rows.fetch_add(std::mem::take(&mut self.rows), Ordering::Relaxed);
    }
}

/// Shows on standard error how far a copy is: one line that is redrawn on a terminal, a plain line now and
/// then elsewhere.
#[derive(Debug)]
pub(super) struct Display {
    redraws: bool,
    shown: Instant,
    drawn: bool,
}

impl Display {
    pub(super) fn new() -> Self {
        Self { redraws: std::io::stderr().is_terminal(), shown: Instant::now(), drawn: false }
    }

    /// To be called more often than it shows anything.
    pub(super) fn show(&mut self, progress: &Progress) {
        let every = if self.redraws { REDRAW_EVERY } else { LINE_EVERY };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let line = progress.line();
        if self.redraws {
            self.drawn = true;
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        } else {
            tracing::info!("{line}");
        }
    }

    pub(super) fn end(self, progress: &Progress) {
        if self.drawn {
            let _ = writeln!(std::io::stderr(), "\r\x1b[K");
        }
        tracing::info!("{}: {}", progress.what, progress.summary());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_several_readers_add_up() {
        let progress = Progress::new("snapshot", 2, 10 << 20);
        let seconds = Duration::from_secs;
        let mut first = Meter::new(&progress, 6 << 20);
        let second = Meter::new(&progress, 4 << 20);
        (0..3).for_each(|_| first.row(1 << 20 | 1));
        let now = progress.after(seconds(6));
        assert_eq!((now.rows, now.percent, now.seconds_left), (3, 30, Some(14)));
        // More text than the piece has bytes: it does not count for another piece.
        (0..9).for_each(|_| first.row(1 << 20 | 1));
        assert_eq!(progress.after(seconds(6)).percent, 60);
        first.end();
        assert_eq!(progress.after(seconds(6)).percent, 60);
        // A piece without a row, as of blocks that are empty.
        second.end();
        let now = progress.after(seconds(6));
        assert_eq!((now.bytes_done, now.bytes_total), (10 << 20, 10 << 20));
        assert_eq!((now.rows, now.percent, now.seconds_left), (12, 99, Some(0)));
    }

    #[test]
    fn nothing_is_told_from_nothing() {
        let empty = Progress::new("snapshot", 0, 0).after(Duration::from_secs(9));
        assert_eq!((empty.percent, empty.seconds_left), (0, None));
        let progress = Progress::new("snapshot", 1, 1 << 30);
        let mut meter = Meter::new(&progress, 1 << 30);
        (0..100).for_each(|_| meter.row(1 << 20 | 1));
        assert_eq!(progress.after(Duration::from_secs(1)).seconds_left, None, "too early");
        assert_eq!(progress.after(Duration::from_secs(10)).seconds_left, Some(93));
    }
}
