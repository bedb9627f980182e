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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use wire::{Lineage, Slice, SourceName};

    use super::*;

    /// Each holds a slice in memory: what a broken capture sends beyond a few does not wait.
    #[test]
    fn only_so_many_wait() {
        let source = SourceName::new("orders").unwrap();
        let lineage = Lineage::from_bytes([1; 16]);
        let mut turns = Turns::default();
        let mut answers = Vec::new();
        for at in 0..=MOST as u64 {
            let (after, through) = (Lsn::new(200 + at), Lsn::new(201 + at));
            let slice = Slice::progress(source.clone(), lineage, after, through).unwrap();
            let (reply, answer) = oneshot::channel();
            let append = Append { session: 1, slice, reply };
            turns.wait(append, Duration::from_secs(10), Instant::now(), Some(Lsn::new(100)));
            answers.push(answer);
        }
        let last = answers.pop().unwrap().try_recv().unwrap();
        assert!(matches!(last, Err(Refusal::Gap { head, .. }) if head == Lsn::new(100)));
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()), "the others wait");
        assert_eq!(turns.take().len(), MOST);
    }
}
