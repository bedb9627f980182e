use std::{path::PathBuf, time::Duration};

use wire::{ChannelName, ChannelSet, Hash, Lsn, Problem, ProblemKind};

use super::failure::{Failure, FailureKind};

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No relay gave anything for as long as patience lasted.
    #[error("{}", list(failures, *tried_for))]
    Unreachable {
        /// The last attempt at each relay.
        failures: Vec<Failure>,
        /// How long it was tried.
        tried_for: Duration,
    },
    /// A relay refused, and would again.
    #[error("the relay at {relay} refused {doing}: {}. {}", detail.trim_end_matches(['.', ' ']), refusal.advice())]
    Refused {
        /// The relay's address.
        relay: String,
        /// What was asked.
        doing: String,
        /// Why.
        refusal: Refusal,
        /// The relay's words.
        detail: String,
    },
    /// The token allows other channels than the target has.
    #[error(
        "the token allows {} at the relay {relay}, and the target was loaded with {}; nothing was applied. {}",
        allowed.shown(),
        loaded.shown(),
        channels_advice(loaded, allowed)
    )]
    Channels {
        /// The relay's address.
        relay: String,
        /// What the target has.
        loaded: ChannelSet,
        /// What the token allows.
        allowed: ChannelSet,
    },
    /// No relay that answers has come as far as this terminal. Not an error by itself: wait.
    #[error("the relay at {relay} is behind this terminal: {detail}")]
    Behind {
        /// The relay's address.
        relay: String,
        /// Its newest position, where it said so.
        head: Option<Lsn>,
        /// The relay's words.
        detail: String,
    },
    /// An object has other bytes than its name says, however often it is fetched.
    #[error(
        "the object {name} arrives damaged from every relay (last {relay}, hashing to {found}); nothing of it was used: the relay's copy is damaged, see its log"
    )]
    Damaged {
        /// The object.
        name: Hash,
        /// The relay that gave it last.
        relay: String,
        /// What its bytes hash to.
        found: Hash,
    },
    /// The snapshot that is being loaded is no longer at the relay.
    #[error(
        "the relay at {relay} no longer has the snapshot at {lsn}: begin the load again, from its newest snapshot"
    )]
    SnapshotGone {
        /// The relay's address.
        relay: String,
        /// The snapshot's position.
        lsn: Lsn,
    },
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The HTTP client cannot be set up.
    #[error("cannot set up the connection to {relay}: {why}")]
    Setup {
        /// The relay's address, or what was given in place of one.
        relay: String,
        /// Why, and what to do.
        why: String,
    },
    /// Fetching ahead has ended with an error that was handed out before.
    #[error("fetching ahead has ended; begin again from the own position")]
    Ended,
}

/// Why a relay refused, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token, or one that is not known.
    Unauthorized,
    /// The token does not allow it.
    Forbidden,
    /// The relay has no such source.
    UnknownSource,
    /// The relay carries another lineage.
    OtherLineage,
    /// The terminal's lineage ended, and the relay carries the one that succeeds it.
    Succeeded,
    /// The lineage is the same, the history at this position is not.
    OtherHistory,
    /// The position is below the horizon.
    Expired {
        /// The newest snapshot's position, where there is one.
        snapshot: Option<Lsn>,
    },
    /// Anything else.
    Other(ProblemKind),
}

impl Refusal {
    /// What a relay's problem means here.
    pub(super) fn of(problem: &Problem) -> Self {
        match problem.kind {
            ProblemKind::Unauthorized => Self::Unauthorized,
            ProblemKind::Forbidden => Self::Forbidden,
            ProblemKind::UnknownSource => Self::UnknownSource,
            ProblemKind::OtherLineage => Self::OtherLineage,
            ProblemKind::Succeeded => Self::Succeeded,
            ProblemKind::OtherHistory => Self::OtherHistory,
            ProblemKind::Expired => Self::Expired { snapshot: problem.lsn },
            kind => Self::Other(kind),
        }
    }

    fn advice(self) -> String {
        let text = match self {
            Self::Unauthorized => {
                "Give a token by TAILWATER_TOKEN or --token-file; `tailwater-relay token add NAME --role terminal` on the relay makes one"
            }
            Self::Forbidden => {
                "Use a token with the role terminal that covers these channels (`tailwater-relay token add NAME --role terminal --channels …`)"
            }
            Self::UnknownSource => "Check --source-name and --relay",
            Self::OtherLineage => {
                "This target follows another history of the source; nothing was applied. Check --relay and --source-name, or pull into a new target"
            }
            Self::Succeeded => "A pull loads the new history over what is here, in one transaction",
            Self::OtherHistory => {
                "This target and the relay have parted; nothing was applied. Find out which of the two was restored from a backup: if the relay is right, `tailwater-terminal reload` loads its newest snapshot over what is here, or pull into a new target"
            }
            Self::Expired { snapshot: Some(lsn) } => {
                return format!(
                    "The log no longer reaches back to this position; the snapshot at {lsn} leads on"
                );
            }
            Self::Expired { snapshot: None } => {
                "The log no longer reaches back to this position; a newer snapshot leads on"
            }
            Self::Other(_) => {
                "See the relay's log; terminal and relay may be of different versions"
            }
        };
        text.to_owned()
    }
}

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be made.
    #[error("cannot make a spool folder in {parent}: {source}; name a folder that can be written")]
    Create {
        /// Where.
        parent: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No room.
    #[error(
        "no room in the spool folder {folder} for {needed} more bytes ({source}): free some, or name a folder on a larger disk"
    )]
    Full {
        /// The folder.
        folder: PathBuf,
        /// Bytes that were still to be written.
        needed: u64,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write to the spool folder {folder}: {source}")]
    Write {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl FetchError {
    /// The process's exit code that goes with it: 3 refused, 4 not reachable or not ready, 1 the
    /// rest, a relay's damaged log among them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } => 3,
            // What is here may be had: by a flag.
            Self::Channels { loaded, allowed, .. } if allowed.covers(loaded) => 2,
            Self::Channels { .. } => 3,
            Self::Unreachable { failures, .. } if failures.iter().any(Failure::is_corrupt) => 1,
            Self::Unreachable { .. } | Self::Behind { .. } | Self::SnapshotGone { .. } => 4,
            Self::Damaged { .. } | Self::Spool(_) | Self::Setup { .. } | Self::Ended => 1,
        }
    }

    /// Why a relay refused.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(*refusal),
            _ => None,
        }
    }

    /// A refusal that no repetition helps.
    pub(super) fn refused(failure: &Failure) -> Option<Self> {
        if let FailureKind::Channels { loaded, allowed } = &failure.kind {
            let (relay, loaded, allowed) =
                (failure.relay.clone(), (**loaded).clone(), (**allowed).clone());
            return Some(Self::Channels { relay, loaded, allowed });
        }
        let problem = failure.problem()?;
        Some(Self::Refused {
            relay: failure.relay.clone(),
            doing: failure.doing.clone(),
            refusal: Refusal::of(problem),
            detail: problem.detail.clone(),
        })
    }
}

fn channels_advice(loaded: &ChannelSet, allowed: &ChannelSet) -> String {
    match loaded.names() {
        Some(names) if allowed.covers(loaded) => {
            let names: Vec<&str> = names.iter().map(ChannelName::as_str).collect();
            format!(
                "Rows of the others are not here: to go on with what is, give --channels {}; to have more, pull into an empty target",
                names.join(",")
            )
        }
        _ => "Changes of the others would be missing here for good: use the token that it was loaded with, or pull into an empty target with this one".into(),
    }
}

fn list(failures: &[Failure], tried_for: Duration) -> String {
    let tried = match tried_for.as_secs() {
        0 => String::new(),
        seconds => format!(" (tried for {seconds} s)"),
    };
    match failures {
        [] => format!("every relay asked to be left alone for a while{tried}: try again later"),
        [one] => format!("{one}{tried}"),
        all => all.iter().fold(format!("none of the relays can be used{tried}:"), |text, one| {
            format!("{text}\n- {one}")
        }),
    }
}
