use std::time::{Duration, Instant};

use wire::Lsn;

use super::job::Append;
use crate::log::refusal::Refusal;

/// More than a well-behaved capture has under way.
const MOST: usize = 8;

/// Appends that came before their turn: the one before them may still be under way.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: Vec<(Instant, Append)>,
}

fn gap(append: &Append, head: Option<Lsn>) -> Refusal {
    let header = append.slice.header();
    head.map_or(Refusal::NotBegun, |head| Refusal::Gap {
        head,
        after: header.after,
        through: header.through,
    })
}

impl Turns {
    /// Lets the append wait until `wait` from now.
    pub(super) fn wait(&mut self, append: Append, wait: Duration, now: Instant, head: Option<Lsn>) {
        if self.waiting.len() >= MOST {
            let refusal = gap(&append, head);
            let _ = append.reply.send(Err(refusal));
        } else {
            self.waiting.push((now + wait, append));
        }
    }

    /// Takes an append that need not wait any longer, the log being at `head`.
    pub(super) fn ready(&mut self, head: Lsn) -> Option<Append> {
        let at = self.waiting.iter().position(|(_, append)| append.slice.header().after <= head)?;
        Some(self.waiting.swap_remove(at).1)
    }

    /// Refuses those whose time is over.
    pub(super) fn expire(&mut self, now: Instant, head: Option<Lsn>) {
        for (_, append) in self.waiting.extract_if(.., |(deadline, _)| *deadline <= now) {
            let refusal = gap(&append, head);
            let _ = append.reply.send(Err(refusal));
        }
    }

    /// When the next one's time is over.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|(deadline, _)| *deadline).min()
    }

    /// Takes all.
    pub(super) fn take(&mut self) -> Vec<Append> {
        self.waiting.drain(..).map(|(_, append)| append).collect()
    }
}
