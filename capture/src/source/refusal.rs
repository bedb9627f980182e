use super::server_error::ServerError;

/// Why a server said no, as far as it decides what happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// 28P01: the password is wrong, or the role does not exist.
    WrongPassword,
    /// 28000: no line of `pg_hba.conf` lets this role in from here, or the role may not log in.
    NotLetIn,
    /// 42501: the role lacks a right.
    NoRights,
    /// 3D000: there is no such database.
    NoDatabase,
    /// 55006: another connection uses the slot.
    SlotActive { pid: Option<u32> },
    /// 42704: there is no such slot.
    SlotMissing,
    /// 42710: a slot of that name exists.
    SlotExists,
    /// 55000: the slot exists, but the log it needs is gone.
    SlotLost,
    /// 53400: all of `max_replication_slots` are taken.
    NoFreeSlot,
    /// 55000: `wal_level` is not `logical`.
    WalLevel,
    /// 42704: there is no such publication.
    NoPublication,
    /// 53300: all connections (or all of `max_wal_senders`) are taken.
    TooManyConnections,
    /// 55P03: somebody has a lock, or waits for one, and there was no waiting, or only so long.
    Locked,
    /// 57P01, 57P02, 57P03: the server is starting, stopping or recovering.
    NotServing,
    /// 58P01: a WAL segment the slot needs is not there.
    WalMissing,
    /// 54000: a change is larger than the server itself can print.
    ValueTooLarge,
    /// Anything else; the server's words say it.
    Other,
}

impl Refusal {
    /// Reads the reason from the code and, where several share one code, from the routine.
    pub fn of(error: &ServerError) -> Self {
        let routine = error.routine.as_deref().unwrap_or_default();
        match error.code.as_str() {
            "28P01" => Self::WrongPassword,
            "28000" => Self::NotLetIn,
            "42501" => Self::NoRights,
            "3D000" => Self::NoDatabase,
            "55006" => Self::SlotActive { pid: last_number(&error.message) },
            "42710" => Self::SlotExists,
            "42704" if routine.contains("publication") => Self::NoPublication,
            "42704" if routine.contains("Slot") => Self::SlotMissing,
            "53400" => Self::NoFreeSlot,
            "53300" => Self::TooManyConnections,
            "55P03" => Self::Locked,
            "57P01" | "57P02" | "57P03" => Self::NotServing,
            "58P01" => Self::WalMissing,
            "54000" => Self::ValueTooLarge,
            "55000" => Self::of_wrong_state(error, routine),
            // "invalid memory alloc request size": palloc above 1 GiB, from a value whose text is longer.
            "XX000"
                if matches!(
                    routine,
                    "MemoryContextAlloc" | "palloc" | "repalloc" | "MemoryContextSizeFailure"
                ) =>
            {
                Self::ValueTooLarge
            }
            _ => Self::Other,
        }
    }

    fn of_wrong_state(error: &ServerError, routine: &str) -> Self {
        match routine {
            "CheckLogicalDecodingRequirements" => Self::WalLevel,
            "CheckSlotRequirements" | "CreateReplicationSlot" | "StartReplication" => Self::Other,
            "RaiseSlotInvalidationError" | "ReplicationSlotAcquire" => Self::SlotLost,
            // Until 17 the decoding context refuses a lost slot, and says why only in the detail.
            "StartLogicalReplication" | "CreateDecodingContext" if error.detail.is_some() => {
                Self::SlotLost
            }
            _ => Self::Other,
        }
    }

    /// What the operator can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::WrongPassword => "check user and password of the source URL (or PGPASSWORD)",
            Self::NotLetIn => {
                "let this role in: ALTER ROLE … LOGIN REPLICATION, and a line for it and this host in pg_hba.conf"
            }
            Self::NoRights => {
                "give the role the right: ALTER ROLE … REPLICATION; `tailwater-capture check` lists all that is missing"
            }
            Self::NoDatabase => "check the database of the source URL",
            Self::SlotActive { .. } => {
                "another capture (or a connection that is not yet known to be dead) holds the slot; it is free once that one ends \
                 or the server's wal_sender_timeout has passed"
            }
            Self::SlotMissing => {
                "the slot was dropped: what came since is lost to it; start anew with a new slot and a new snapshot"
            }
            Self::SlotExists => {
                "choose another name with --slot, or drop it with `tailwater-capture remove`"
            }
            Self::SlotLost => {
                "the server has removed WAL the slot needed (max_slot_wal_keep_size, idle_replication_slot_timeout); \
                 drop it with `tailwater-capture remove` and start anew"
            }
            Self::NoFreeSlot => {
                "raise max_replication_slots and restart the server, or drop a slot nobody uses (pg_replication_slots)"
            }
            Self::WalLevel => "ALTER SYSTEM SET wal_level = 'logical', and restart the server",
            Self::NoPublication => {
                "create the publication; a slot that is already past changes made before it existed cannot read them"
            }
            Self::TooManyConnections => {
                "raise max_connections or max_wal_senders, or end connections nobody uses"
            }
            Self::Locked => {
                "see who locks the table (pg_locks, pg_blocking_pids), and let that end"
            }
            Self::NotServing => "the server is starting or stopping: it is tried again",
            Self::WalMissing => {
                "the server lost WAL the slot needs; restore it, or start anew with a new slot"
            }
            Self::ValueTooLarge => {
                "a value is longer as text than a server can hold in one piece (1 GiB): make it smaller, or leave its column out"
            }
            Self::Other => "see the server's log",
        }
    }
}

/// The last number in a message that may be translated ("… is active for PID 4711").
fn last_number(message: &str) -> Option<u32> {
    message.split(|c: char| !c.is_ascii_digit()).rfind(|digits| !digits.is_empty())?.parse().ok()
}
