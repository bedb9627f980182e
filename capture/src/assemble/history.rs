use wire::{Commit, Hash, Lsn};

/// Whether it is known that the master has the history that the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The newest commit of the log came again as it was, or the stream went on from there.
    Proved,
    /// It has yet to come.
    Awaited,
    /// There is no commit that could come again.
    Unproved,
}

/// The master's history is not the one that the log holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The known commit came with other content.
    #[error(
        "the relay's newest commit ({known}) came again from the master as another one ({found}): the master was put \
         back to an older state and went another way, or it is another server. Point capture at the right \
         master; if this is the right one, begin anew: `tailwater-capture adopt`"
    )]
    Differs { known: Box<Brief>, found: Box<Brief> },
    /// The stream went past the known commit.
    #[error(
        "the relay's newest commit ({known}) did not come again from the master, which is at {reached} already: the \
         master was put back to an older state and went another way, or it is another server. Point capture \
         at the right master; if this is the right one, begin anew: `tailwater-capture adopt`"
    )]
    Missing { known: Box<Brief>, reached: Lsn },
    /// A transaction where the log is known to have none.
    #[error(
        "the master has a transaction ({found}) at a position where the relay's log, which reaches to {head}, has none: \
         the master was put back to an older state and went another way, or it is another server. Point capture \
         at the right master; if this is the right one, begin anew: `tailwater-capture adopt`"
    )]
    Unexpected { found: Box<Brief>, head: Lsn },
}

/// A commit, as messages show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brief {
    pub start: Lsn,
    pub end: Lsn,
    pub xid: u32,
    pub digest: Option<Hash>,
}

impl std::fmt::Display for Brief {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "transaction {}, commit record {} to {}", self.xid, self.start, self.end)?;
        if let Some(digest) = self.digest {
            write!(f, ", digest {:.16}", digest.to_string())?;
        }
        Ok(())
    }
}

impl From<&Commit> for Brief {
    fn from(commit: &Commit) -> Self {
        Self { start: commit.start, end: commit.end, xid: commit.xid, digest: Some(commit.digest) }
    }
}

/// What becomes of a transaction that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// The log has it: only its place matters.
    Repeat,
    /// It should be the known commit: its digest is needed.
    Compare,
    /// It is new.
    Take,
}

/// Holds what comes from the master against what the relay's log says.
#[derive(Debug)]
pub(super) struct History {
    head: Lsn,
    known: Option<Commit>,
    /// The slot stands at or before the known commit's record, so that it must come.
    due: bool,
    proof: Proof,
}

impl History {
    /// `head` and `known` as the relay has them; `confirmed` is the slot's position.
    pub(super) fn new(head: Lsn, known: Option<Commit>, confirmed: Lsn) -> Self {
        let due = known.is_some_and(|known| confirmed <= known.start);
        Self { head, known, due, proof: if due { Proof::Awaited } else { Proof::Unproved } }
    }

    pub(super) fn proof(&self) -> Proof {
        self.proof
    }

    /// A transaction begins whose commit record begins at `start`.
    pub(super) fn begin(&self, start: Lsn, xid: u32) -> Result<Treatment, HistoryError> {
        if start >= self.head {
            self.passed(start)?;
            return Ok(Treatment::Take);
        }
        let same = self.known.is_some_and(|known| known.start == start && known.xid == xid);
        Ok(if same { Treatment::Compare } else { Treatment::Repeat })
    }

    /// A message outside any transaction ends at `end`.
    pub(super) fn message(&self, end: Lsn) -> Result<Treatment, HistoryError> {
        if end > self.head {
            self.passed(end)?;
            return Ok(Treatment::Take);
        }
        let same = self.known.is_some_and(|known| known.end == end);
        Ok(if same { Treatment::Compare } else { Treatment::Repeat })
    }

    /// A repeated transaction is complete. `empty` when it has no change; a digest where one was made.
    pub(super) fn repeated(&mut self, found: Brief, empty: bool) -> Result<(), HistoryError> {
        let unexpected = HistoryError::Unexpected { found: Box::new(found), head: self.head };
        let Some(known) = self.known.as_ref().map(Brief::from) else {
            return if empty { Ok(()) } else { Err(unexpected) };
        };
        if found == known {
            self.proof = Proof::Proved;
            self.due = false;
            return Ok(());
        }
        let at_its_place = found.digest.is_some() || found.end == known.end;
        if at_its_place || (found.start < known.end && found.end > known.end) {
            return Err(HistoryError::Differs { known: Box::new(known), found: Box::new(found) });
        }
        if found.end > known.end {
            self.passed(found.end)?;
            if !empty {
                return Err(unexpected);
            }
        }
        Ok(())
    }

    /// The server says that it has sent all there is up to `position`.
    pub(super) fn passed(&self, position: Lsn) -> Result<(), HistoryError> {
        match &self.known {
            Some(known) if self.due && position >= known.end => {
                let known = Box::new(known.into());
                Err(HistoryError::Missing { known, reached: position })
            }
            _ => Ok(()),
        }
    }

    /// A new transaction is in the log's way: from here on the stream itself is the proof.
    pub(super) fn taken(&mut self) {
        self.proof = Proof::Proved;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(start: u64, end: u64, xid: u32) -> Commit {
        let digest = Hash::of(&xid.to_be_bytes());
        Commit { start: Lsn::new(start), end: Lsn::new(end), xid, time_us: 0, digest }
    }

    fn brief(start: u64, end: u64, xid: u32) -> Brief {
        Brief::from(&commit(start, end, xid))
    }

    fn plain(start: u64, end: u64, xid: u32) -> Brief {
        Brief { digest: None, ..brief(start, end, xid) }
    }

    fn history(confirmed: u64) -> History {
        History::new(Lsn::new(300), Some(commit(180, 200, 7)), Lsn::new(confirmed))
    }

    #[test]
    fn the_known_commit_comes_again() {
        let mut history = history(100);
        assert_eq!(history.begin(Lsn::new(110), 6), Ok(Treatment::Repeat));
        history.repeated(plain(110, 120, 6), false).unwrap();
        assert_eq!(history.proof(), Proof::Awaited);
        assert_eq!(history.begin(Lsn::new(180), 7), Ok(Treatment::Compare));
        history.repeated(brief(180, 200, 7), false).unwrap();
        assert_eq!(history.proof(), Proof::Proved);
        assert_eq!(history.begin(Lsn::new(300), 8), Ok(Treatment::Take));
    }

    #[test]
    fn another_commit_in_its_place_is_found_out() {
        let differs = |found: Brief| {
            let error = history(100).repeated(found, false).unwrap_err();
            assert!(matches!(error, HistoryError::Differs { .. }), "{found}: {error}");
        };
        differs(Brief { digest: Some(Hash::of(b"other")), ..brief(180, 200, 7) });
        differs(plain(180, 200, 8));
        differs(plain(170, 210, 8));
        differs(plain(190, 210, 8));
        differs(brief(180, 208, 7));
        differs(brief(180, 196, 7));
    }

    #[test]
    fn the_stream_going_past_it_is_found_out() {
        assert!(matches!(history(180).begin(Lsn::new(300), 9), Err(HistoryError::Missing { .. })));
        assert!(matches!(history(180).passed(Lsn::new(200)), Err(HistoryError::Missing { .. })));
        assert_eq!(history(180).passed(Lsn::new(199)), Ok(()));
        assert!(history(180).repeated(plain(210, 220, 9), true).is_err());
        assert_eq!(
            history(181).passed(Lsn::new(400)),
            Ok(()),
            "the slot is past it: it cannot come"
        );
        assert_eq!(history(181).proof(), Proof::Unproved);
    }

    #[test]
    fn nothing_may_come_where_the_log_has_nothing() {
        let mut unproved = history(200);
        assert_eq!(unproved.repeated(plain(210, 220, 9), true), Ok(()));
        assert!(matches!(
            unproved.repeated(plain(230, 240, 9), false),
            Err(HistoryError::Unexpected { .. })
        ));
        let mut young = History::new(Lsn::new(300), None, Lsn::new(100));
        assert!(matches!(
            young.repeated(plain(230, 240, 9), false),
            Err(HistoryError::Unexpected { .. })
        ));
        assert_eq!(young.begin(Lsn::new(300), 10), Ok(Treatment::Take));
        assert_eq!(young.proof(), Proof::Unproved);
    }
}
