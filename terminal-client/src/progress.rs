//! What a person sees of a running pull: a bar where standard error is a terminal, plain lines
//! otherwise.

mod figures;

use std::{
    io::{IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wire::Lsn;

pub(crate) use self::figures::{counted, shown_bytes};
use self::figures::{load_line, per_second, time_left};

/// Plain lines come this far apart.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how far a pull is.
#[derive(Debug)]
pub struct Progress {
    shown: Shown,
    state: Mutex<State>,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    begun: Instant,
    last_line: Instant,
    changes: u64,
}

#[derive(Debug)]
enum Phase {
    Idle,
    /// Bytes of rows, of all; those before `from` were loaded by an earlier run.
    Loading {
        kind: &'static str,
        from: u64,
        done: u64,
        total: u64,
    },
    /// From a position to the newest head known.
    Pulling {
        from: Lsn,
        at: Lsn,
        head: Lsn,
    },
}

impl Progress {
    /// On standard error, as fits it; nothing where `quiet`.
    pub fn new(quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
            Shown::Bar(bar)
        } else {
            Shown::Lines
        };
        let now = Instant::now();
        let state = State { phase: Phase::Idle, begun: now, last_line: now, changes: 0 };
        Self { shown, state: Mutex::new(state) }
    }

    /// One line that stays.
    pub fn say(&self, line: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| eprintln_or_not(line)),
            Shown::Lines => eprintln_or_not(line),
            Shown::Nothing => {}
        }
    }

    /// A log line, which is shown even where progress is not.
    pub fn log(&self, line: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| eprintln_or_not(line)),
            Shown::Lines | Shown::Nothing => eprintln_or_not(line),
        }
    }

    /// A load (`first load` or `reload`) begins, or goes on: so many bytes of rows are in, of so many.
    pub fn load_begins(&self, kind: &'static str, from: u64, total: u64) {
        self.begin(Phase::Loading { kind, from, done: from, total });
        if let Shown::Bar(bar) = &self.shown {
            bar.set_style(style(&format!(
                "{kind} {{bar:32}} {{bytes}}/{{total_bytes}} {{bytes_per_sec}} {{eta}} left {{msg}}"
            )));
            bar.set_length(total);
            bar.set_position(from);
            // What an earlier run loaded says nothing of how fast this one is.
            bar.reset_eta();
        }
    }

    /// More bytes of rows are in; `table` is being loaded.
    pub fn loaded(&self, bytes: u64, table: &str) {
        let line = self.with(|state| {
            let Phase::Loading { kind, from, done, total } = &mut state.phase else { return None };
            *done += bytes;
            let (kind, from, done, total) = (*kind, *from, *done, *total);
            let begun = state.begun;
            state
                .line_due()
                .then(|| format!("{}, table {table}", load_line(kind, (from, done, total), begun)))
        });
        if let Shown::Bar(bar) = &self.shown {
            bar.inc(bytes);
            bar.set_message(table.to_owned());
        }
        self.line(line);
    }

    /// The log is followed from here.
    pub fn pull_begins(&self, from: Lsn) {
        self.begin(Phase::Pulling { from, at: from, head: from });
        if let Shown::Bar(bar) = &self.shown {
            bar.set_style(style("{bar:32} {percent}% {msg}"));
            bar.set_length(0);
        }
    }

    /// So many changes were applied, though they are not committed yet.
    pub fn changes(&self, changes: u64) {
        let (line, message) = self.with(|state| {
            state.changes += changes;
            let rate = per_second(state.changes, state.begun);
            let message = format!("{} changes, {rate}/s", state.changes);
            (state.line_due().then(|| format!("applying: {message}")), message)
        });
        if let Shown::Bar(bar) = &self.shown {
            bar.set_message(message);
        }
        self.line(line);
    }

    /// A target transaction was committed.
    pub fn committed(&self, applied: Lsn, newest: Lsn) {
        let (line, message, done, total) = self.with(|state| {
            let Phase::Pulling { from, at, head } = &mut state.phase else {
                return (None, String::new(), 0, 0);
            };
            *at = applied;
            *head = newest.max(*head).max(applied);
            let (done, total) = (applied.bytes_since(*from), head.bytes_since(*from));
            let left = time_left(done, total, state.begun);
            let rate = per_second(state.changes, state.begun);
            let message = format!("at {applied}, {} changes, {rate}/s{left}", state.changes);
            (state.line_due().then(|| message.clone()), message, done, total)
        });
        if let Shown::Bar(bar) = &self.shown {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(message);
        }
        self.line(line);
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    fn begin(&self, phase: Phase) {
        self.with(|state| {
            let now = Instant::now();
            *state = State { phase, begun: now, last_line: now, changes: 0 };
        });
        if let Shown::Bar(bar) = &self.shown {
            bar.reset();
        }
    }

    fn with<R>(&self, with: impl FnOnce(&mut State) -> R) -> R {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn line(&self, line: Option<String>) {
        if let (Shown::Lines, Some(line)) = (&self.shown, line) {
            eprintln_or_not(&line);
        }
    }
}

impl State {
    fn line_due(&mut self) -> bool {
        let due = self.last_line.elapsed() >= LINE_EVERY;
        if due {
            self.last_line = Instant::now();
        }
        due
    }
}

/// A closed standard error is no reason to stop.
fn eprintln_or_not(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
