use super::*;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// A watch, and a clock that is set forward by hand.
struct Case {
    watch: Watch,
    now: Instant,
}

impl Case {
    fn new() -> Self {
        Self { watch: Watch::default(), now: Instant::now() }
    }

    /// `seconds` later, of a limit of 8 GiB so much is left.
    fn left(&mut self, seconds: u64, room: u64) -> (Health, bool) {
        self.see(seconds, (8 * GIB).saturating_sub(room), Some(room), None)
    }

    fn see(
        &mut self,
        seconds: u64,
        retained: u64,
        room: Option<u64>,
        status: Option<&str>,
    ) -> (Health, bool) {
        self.now += Duration::from_secs(seconds);
        let (unreserved, extended) = (status == Some("unreserved"), status == Some("extended"));
        self.watch.see(Look { at: self.now, retained, room, unreserved, extended })
    }
}

#[test]
fn the_time_left_is_told_from_the_present_rate() {
    let mut case = Case::new();
    // 30 MiB a minute.
    let room = |minutes: u64| 3 * GIB - minutes * 30 * MIB;
    let (health, changed) = case.left(0, room(0));
    assert_eq!((health.severity, health.left, changed), (Severity::Fine, None, false));
    for minute in 1..=60 {
        case.left(60, room(minute));
    }
    let (health, _) = case.left(60, room(61));
    assert_eq!(health.severity, Severity::Warning);
    assert_eq!(health.left, Some(Duration::from_secs(1242 * 60 / 30)));
    let text = health.to_string();
    assert!(
        text.starts_with(
            "the master drops the slot's WAL in about 41 min at the present rate: 1.2 GiB left of max_slot_wal_keep_size. What"
        ),
        "{text}"
    );
}

#[test]
fn each_severity_is_said_once_and_taken_back_with_something_to_spare() {
    let mut case = Case::new();
    let mut said = Vec::new();
    let percent = |percent: u64| 8 * GIB / 100 * percent;
    for (seconds, room) in [
        (0, percent(90)),
        (60, percent(80)),
        // In four minutes, but more than half is left.
        (60, percent(60)),
        (60, percent(49)),
        (60, percent(40)),
        // Nothing is written any more. What is left is little, not short-lived.
        (600, percent(40)),
        (60, percent(40)),
        (60, percent(24)),
        // Not yet: it would come back at the next step.
        (600, percent(26)),
        (60, percent(26)),
        (60, percent(9)),
        (60, 0),
        // Capture is back.
        (60, percent(95)),
    ] {
        let (health, changed) = case.left(seconds, room);
        if changed {
            said.push((health.severity, room * 100 / (8 * GIB)));
        }
    }
    let expected = [
        (Severity::Warning, 48),
        (Severity::Fine, 39),
        (Severity::Critical, 23),
        (Severity::Warning, 25),
        (Severity::Critical, 8),
        (Severity::Due, 0),
        (Severity::Fine, 94),
    ];
    assert_eq!(said, expected);
}

#[test]
fn without_a_fall_there_is_no_time() {
    let mut case = Case::new();
    for _ in 0..30 {
        let (health, _) = case.left(10, GIB);
        assert_eq!((health.severity, health.left), (Severity::Warning, None));
        assert!(health.to_string().contains("once 1.0 GiB more are written"), "{health}");
    }
    // Nor is there a rate from a moment.
    let mut case = Case::new();
    case.left(0, 2 * GIB);
    assert_eq!(case.left(9, GIB).0.left, None);
    assert_eq!(case.left(1, GIB).0.left, Some(Duration::from_secs(10)));
}

/// The slot follows in steps of one or two minutes, as running servers do it; a little is used in between.
#[test]
fn a_slot_that_follows_is_not_warned_of() {
    let mut case = Case::new();
    for step in 0..600 {
        let used = (step % 30) * 60 * MIB;
        let (health, _) = case.left(2, 8 * GIB - used);
        assert_eq!(health.severity, Severity::Fine, "{step}: {health}");
        assert!(case.watch.looks.len() <= 121);
    }
}

#[test]
fn what_is_past_the_limit_goes_at_the_next_checkpoint() {
    let mut case = Case::new();
    let (health, changed) = case.see(0, 2 * GIB, Some(GIB), Some("unreserved"));
    assert_eq!((health.severity, changed), (Severity::Due, true));
    assert!(health.to_string().contains("at its next checkpoint"), "{health}");
    // max_slot_wal_keep_size = 0: the server says no number.
    assert_eq!(case.see(2, GIB, None, Some("unreserved")).0.severity, Severity::Due);
}

#[test]
fn without_a_limit_the_disk_is_the_limit() {
    let mut case = Case::new();
    assert_eq!(case.see(0, GIB, None, Some("reserved")).0.severity, Severity::Fine);
    let (health, changed) = case.see(2, 3 * GIB, None, Some("extended"));
    assert_eq!((health.severity, changed), (Severity::Warning, true));
    assert!(
        health
            .to_string()
            .starts_with("the slot holds back 3.0 GiB of WAL, more than max_wal_size")
    );
    // With a limit it is the limit that counts.
    assert_eq!(case.see(2, 3 * GIB, Some(40 * GIB), Some("extended")).0.severity, Severity::Fine);
}

#[test]
fn a_look_is_what_the_server_shows() {
    let slot = |extra: &str| -> SlotFacts {
        let text = format!(
            r#"{{"plugin":"pgoutput","database":"d","active_pid":1,"confirmed_flush_lsn":"0/300","restart_lsn":"0/100"{extra}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    let look = |extra: &str| Look::new(Instant::now(), Lsn::new(0x500), &slot(extra));
    let plain = look(r#","wal_status":"reserved""#);
    assert_eq!((plain.retained, plain.room), (0x400, None));
    assert!(!plain.unreserved && !plain.extended);
    assert_eq!(look(r#","safe_wal_size":-5"#).room, Some(0));
    assert!(look(r#","wal_status":"extended","safe_wal_size":7"#).extended);
    assert!(look(r#","wal_status":"unreserved""#).unreserved);
}
