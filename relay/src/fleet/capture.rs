use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use wire::{CaptureLag, CaptureReport, CaptureState, CopyProgress, Lsn, MasterLag};

use super::{
    clock::{Moment, rfc3339, signed},
    limits::FleetLimits,
};

/// A capture with a session reports every 3 s or sooner; one that was heard of within so many seconds
/// is at work.
const AT_WORK: SignedDuration = SignedDuration::from_secs(10);

/// The capture's last word, as it may be kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureRecord {
    /// Its state.
    pub state: CaptureState,
    /// The slot's name; none if it has not said it yet.
    pub slot: Option<String>,
    /// WAL that the slot holds back, bytes.
    pub retained_bytes: u64,
    /// WAL that may still be written before the master drops some of that, bytes.
    #[serde(default)]
    pub safe_wal_bytes: Option<u64>,
    /// Seconds until then.
    #[serde(default)]
    pub slot_time_left_seconds: Option<u64>,
    /// How far a copy is. Not kept: the next report says it again.
    #[serde(skip)]
    pub copy: Option<CopyProgress>,
    /// What is wrong.
    pub error: Option<String>,
    /// The master's position, and when it was seen.
    pub master: Option<(Lsn, Timestamp)>,
    /// When it was last heard of: a report, a session, an append.
    pub last_contact: Option<Timestamp>,
}

/// How near the slot is to being lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotRoom {
    /// WAL that may still be written; none where the master sets no limit, or it is not known.
    pub safe_wal_bytes: Option<u64>,
    /// Seconds until that is written; none where it does not come nearer.
    pub time_left_seconds: Option<u64>,
}

impl Default for CaptureRecord {
    /// Not heard of yet.
    fn default() -> Self {
        Self {
            state: CaptureState::Unknown,
            slot: None,
            retained_bytes: 0,
            safe_wal_bytes: None,
            slot_time_left_seconds: None,
            copy: None,
            error: None,
            master: None,
            last_contact: None,
        }
    }
}

/// The capture.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    pub(super) record: CaptureRecord,
    /// The newest session heard of.
    session: u64,
    /// When it was last heard of, as steady time.
    contact: Option<SignedDuration>,
    /// When one with a session was last at work, as steady time.
    at_work: Option<SignedDuration>,
}

impl Capture {
    pub(super) fn restored(record: CaptureRecord, now: Moment) -> Self {
        let contact = record.last_contact.map(|wall| now.steady_at(wall));
        Self { record, contact, ..Self::default() }
    }

    /// It asked, uploaded or opened a session.
    pub(super) fn contact(&mut self, now: Moment) {
        self.seen(CaptureState::Starting, now);
    }

    /// It appended.
    pub(super) fn appended(&mut self, now: Moment) {
        self.seen(CaptureState::Streaming, now);
        self.at_work = Some(now.steady);
    }

    /// What it does shows its state until it says it.
    fn seen(&mut self, state: CaptureState, now: Moment) {
        self.record.last_contact = Some(now.wall);
        self.contact = Some(now.steady);
        let told = self.record.state;
        if told == CaptureState::Unknown || told == CaptureState::Starting {
            self.record.state = state;
        }
    }

    /// Takes a report; `false` where it comes from a session that a newer one has fenced off. One that
    /// waits its turn beside a capture at work does not speak for the source yet, and is passed over.
    pub(super) fn report(&mut self, report: &CaptureReport, now: Moment) -> bool {
        let has_session = report.session != 0;
        if has_session && report.session < self.session {
            return false;
        }
        let rival = self.at_work.is_some_and(|heard| now.since(heard) <= AT_WORK);
        if !has_session && waits(report.state) && rival {
            return true;
        }
        self.at_work = (has_session && is_alive(report.state)).then_some(now.steady);
        self.session = self.session.max(report.session);
        self.seen(report.state, now);
        let record = &mut self.record;
        record.state = report.state;
        record.copy = report.copy.clone().filter(|_| is_alive(report.state));
        record.error = report.error.clone().filter(|error| !error.is_empty());
        // What it cannot ask the master just now stays as it was.
        record.retained_bytes = report.retained_bytes.unwrap_or(record.retained_bytes);
        record.safe_wal_bytes = report.safe_wal_bytes;
        record.slot_time_left_seconds = report.slot_time_left_seconds;
        if !report.slot.is_empty() {
            record.slot = Some(report.slot.clone());
        }
        if let Some(master) = report.master {
            record.master = Some((master, now.wall));
        }
        true
    }

    /// `slot` is that of the log, for a capture that has not told its own yet.
    pub(super) fn lag(&self, limits: &FleetLimits, slot: Option<&str>, now: Moment) -> CaptureLag {
        let silent = self.contact.map(|contact| now.since(contact));
        let is_silent = silent.is_some_and(|time| time > signed(limits.capture_offline_after));
        let record = &self.record;
        let is_offline = is_silent && is_alive(record.state);
        CaptureLag {
            state: if is_offline { CaptureState::Offline } else { record.state },
            slot: record.slot.clone().or_else(|| slot.map(str::to_owned)),
            retained_bytes: record.retained_bytes,
            last_contact: record.last_contact.map(rfc3339),
            copy: record.copy.clone().filter(|_| !is_offline),
            error: record.error.clone(),
        }
    }

    /// How near its slot is to being lost, as far as that is known and no old news.
    pub(super) fn slot_room(&self, limits: &FleetLimits, now: Moment) -> SlotRoom {
        match self.lag(limits, None, now).state {
            CaptureState::Offline => SlotRoom::default(),
            _ => SlotRoom {
                safe_wal_bytes: self.record.safe_wal_bytes,
                time_left_seconds: self.record.slot_time_left_seconds,
            },
        }
    }

    pub(super) fn master(&self) -> MasterLag {
        let (lsn, seen_at) = self.record.master.unzip();
        MasterLag { lsn, seen_at: seen_at.map(rfc3339) }
    }
}

const fn waits(state: CaptureState) -> bool {
    matches!(state, CaptureState::Starting | CaptureState::WaitingForSlot)
}

/// Whether a capture in that state goes on reporting. From one that stopped with a reason, silence
/// is to be expected, and the reason is worth more than the silence.
const fn is_alive(state: CaptureState) -> bool {
    match state {
        CaptureState::Unknown
        | CaptureState::Starting
        | CaptureState::WaitingForSlot
        | CaptureState::Copying
        | CaptureState::Streaming
        | CaptureState::Unproved
        | CaptureState::Offline => true,
        CaptureState::SlotMissing
        | CaptureState::SlotLost
        | CaptureState::RelayBehindSlot
        | CaptureState::MasterBehindRelay
        | CaptureState::OtherHistory
        | CaptureState::OtherMaster
        | CaptureState::PublicationChanged
        | CaptureState::ValueTooLarge
        | CaptureState::Error => false,
    }
}
