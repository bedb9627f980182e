//! What a person sees of a running pull: a bar where standard error is a terminal, plain lines
//! otherwise.

mod figures;

use std::{
    io::{IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wire::Lsn;

pub(crate) use self::figures::{counted, shown_bytes};
use self::figures::{load_line, pull_line};

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
            // Nothing to be seen before there is something to tell.
            bar.set_style(style("{wide_msg}"));
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
    }

    /// More bytes of rows are in; `table` is being loaded.
    pub fn loaded(&self, bytes: u64, table: &str) {
        self.tell(|state| {
            if let Phase::Loading { done, .. } = &mut state.phase {
                *done += bytes;
            }
            Some(format!(", table {table}"))
        });
    }

    /// The log is followed from here.
    pub fn pull_begins(&self, from: Lsn) {
        self.begin(Phase::Pulling { from, at: from, head: from });
    }

    /// So many changes were applied, though they are not committed yet.
    pub fn changes(&self, changes: u64) {
        self.tell(|state| {
            state.changes += changes;
            Some(String::new())
        });
    }

    /// A target transaction was committed.
    pub fn committed(&self, applied: Lsn, newest: Lsn) {
        self.tell(|state| {
            let Phase::Pulling { at, head, .. } = &mut state.phase else { return None };
            *at = applied;
            *head = newest.max(*head).max(applied);
            Some(String::new())
        });
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    fn begin(&self, phase: Phase) {
        let now = Instant::now();
        *self.state() = State { phase, begun: now, last_line: now, changes: 0 };
        if let Shown::Bar(bar) = &self.shown {
            bar.reset();
            bar.set_style(style("{bar:16} {wide_msg}"));
            bar.set_message("");
        }
    }

    /// Shows how far it is after a step, which may have something to add; none where it is not told of.
    fn tell(&self, step: impl FnOnce(&mut State) -> Option<String>) {
        let mut state = self.state();
        let Some(more) = step(&mut state) else { return };
        match &self.shown {
            Shown::Bar(bar) => {
                let (done, total) = state.phase.done();
                // Nothing of nothing is not all.
                bar.set_length(total.max(1));
                bar.set_position(done);
                bar.set_message(format!("{}{more}", state.shown()));
            }
            Shown::Lines if state.line_due() => {
                eprintln_or_not(&format!("{}{more}", state.shown()))
            }
            Shown::Lines | Shown::Nothing => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Phase {
    fn done(&self) -> (u64, u64) {
        match self {
            Self::Idle => (0, 0),
            Self::Loading { done, total, .. } => (*done, *total),
            Self::Pulling { from, at, head } => (at.bytes_since(*from), head.bytes_since(*from)),
        }
    }
}

impl State {
    fn shown(&self) -> String {
        match &self.phase {
            Phase::Idle => String::new(),
            Phase::Loading { kind, from, done, total } => {
                load_line(kind, (*from, *done, *total), self.begun)
            }
            Phase::Pulling { from, at, head } => {
                pull_line((*from, *at, *head), self.changes, self.begun)
            }
        }
    }

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
