use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

const LINE_EVERY: Duration = Duration::from_secs(5);
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// Shows on standard error how far a copy is: one line that is redrawn on a terminal, a
/// plain line now and then elsewhere.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    tables: usize,
    rows_guess: u64,
    began: Instant,
    shown: Option<Instant>,
    redraws: bool,
    table: usize,
    name: String,
    rows: u64,
    bytes: u64,
}

impl Progress {
    pub(super) fn new(what: &'static str, tables: usize, rows_guess: u64) -> Self {
        let redraws = std::io::stderr().is_terminal();
        let (began, name) = (Instant::now(), String::new());
        let (table, rows, bytes) = (0, 0, 0);
        Self { what, tables, rows_guess, began, shown: None, redraws, table, name, rows, bytes }
    }

    pub(super) fn table(&mut self, name: &str) {
        self.table += 1;
        name.clone_into(&mut self.name);
    }

    pub(super) fn row(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes as u64;
        // Looking at the clock for each row would cost more than the row.
        if self.rows.is_multiple_of(1024) || bytes > (1 << 20) {
            self.show();
        }
    }

    pub(super) fn show(&mut self) {
        let every = if self.redraws { REDRAW_EVERY } else { LINE_EVERY };
        if self.shown.unwrap_or(self.began).elapsed() < every {
            return;
        }
        self.shown = Some(Instant::now());
        let line = self.line();
        if self.redraws {
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        } else {
            tracing::info!("{line}");
        }
    }

    pub(super) fn end(&mut self) {
        if self.redraws && self.shown.is_some() {
            let _ = writeln!(std::io::stderr(), "\r\x1b[K");
        }
        tracing::info!("{}: {}", self.what, self.summary());
    }

    fn line(&self) -> String {
        let percent = match self.rows_guess {
            0 => String::new(),
            guess => format!(" ({}% of about {guess})", (self.rows * 100 / guess).min(99)),
        };
        let Self { what, table, tables, name, .. } = self;
        format!(
            "{what}: table {table} of {tables} ({name}), {} rows{percent}, {}",
            self.rows,
            self.rate()
        )
    }

    fn summary(&self) -> String {
        format!("{} rows of {} tables, {}", self.rows, self.tables, self.rate())
    }

    fn rate(&self) -> String {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let (rows, mib) = (self.rows as f64 / seconds, self.bytes as f64 / 1_048_576.0);
        format!("{mib:.1} MiB, {rows:.0} rows/s, {seconds:.1} s")
    }
}
