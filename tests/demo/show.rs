//! The block that moves, or the plain line instead of it.

use std::time::{Duration, Instant};

use harness::Lag;

use crate::{
    figures::{bytes, grouped},
    screen::{Look, Screen},
    sparkline::Sparkline,
    watch::{Sample, TerminalSample},
};

/// What is shown while the load runs.
pub(crate) struct Show {
    started: Instant,
    /// Between two drawings.
    every: Duration,
    /// When the last drawing was, and how many changes there were then.
    last: Option<(Instant, u64)>,
    rates: Sparkline,
}

impl Show {
    pub(crate) fn new(screen: &Screen) -> Self {
        let every = Duration::from_millis(if screen.is_live() { 400 } else { 2000 });
        Self { started: Instant::now(), every, last: None, rates: Sparkline::default() }
    }

    /// Draws what was seen, if it is time.
    pub(crate) fn update(&mut self, screen: &mut Screen, sample: &Sample) {
        let Some((then, before)) = self.last else {
            self.last = Some((Instant::now(), sample.changes));
            return;
        };
        if then.elapsed() < self.every {
            return;
        }
        let millis = u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = sample.changes.saturating_sub(before).saturating_mul(1000) / millis;
        self.last = Some((Instant::now(), sample.changes));
        self.rates.push(rate);
        if screen.is_live() {
            screen.draw(&self.block(screen, sample, rate));
        } else {
            screen.say(&self.line(sample, rate));
        }
    }

    fn block(&self, screen: &Screen, sample: &Sample, rate: u64) -> Vec<String> {
        let row = |what: &str, text: String| {
            format!("  {} {text}", screen.paint(Look::Bold, &format!("{what:<10}")))
        };
        let unknown = || screen.paint(Look::Bad, "?");
        let master = sample.master_lsn.to_string();
        let master = format!("{master:<12} {:>9} changes/s {}", grouped(rate), self.rates.draw());
        let (relay, capture) = match &sample.lag {
            Some(lag) => (relay(lag), lag.capture.state.clone()),
            None => (screen.paint(Look::Bad, "does not answer"), unknown()),
        };
        let rule = screen.paint(Look::Dim, &format!("  {:─<74}", ""));
        let mut lines =
            vec![rule, row("master", master), row("capture", capture), row("relay", relay)];
        let terminals = sample.terminals.iter();
        lines.extend(terminals.map(|terminal| row(terminal.name, state(terminal, sample))));
        lines
    }

    fn line(&self, sample: &Sample, rate: u64) -> String {
        let relay = match &sample.lag {
            Some(lag) => format!("relay {:.1} s behind", lag.relay.lag_seconds),
            None => "relay does not answer".to_owned(),
        };
        let terminals = sample.terminals.iter().map(|terminal| {
            let (name, missing) = (terminal.name, grouped(terminal.missing(sample)));
            format!("{name} at {}, {missing} to go", applied(terminal))
        });
        let terminals: Vec<String> = terminals.collect();
        let (seconds, rate) = (self.started.elapsed().as_secs(), grouped(rate));
        format!("  {seconds:>3} s  {rate:>6} changes/s | {relay} | {}", terminals.join(" | "))
    }
}

fn relay(lag: &Lag) -> String {
    let (head, behind) = (lag.relay.head.to_string(), bytes(lag.relay.lag_bytes));
    format!("{head:<12} {behind:>9} behind the master, {:.1} s", lag.relay.lag_seconds)
}

fn applied(terminal: &TerminalSample) -> String {
    terminal.applied().map_or_else(|| "?".to_owned(), |lsn| lsn.to_string())
}

fn state(terminal: &TerminalSample, sample: &Sample) -> String {
    let state = terminal.lag.as_ref().map_or("", |lag| lag.state.as_str());
    let missing = grouped(terminal.missing(sample));
    format!("{:<12} {missing:>9} changes to go, {state} ({})", applied(terminal), terminal.kind)
}
