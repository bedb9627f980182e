use wire::{CaptureReport, CaptureState, CopyProgress, Lsn};

use super::{capture, lag_of, log};
use crate::fleet::{
    capture::SlotRoom,
    clock::made::MadeClock,
    commits::headers::header,
    limits::FleetLimits,
    roster::{Fleet, LogFacts},
};

#[test]
fn a_silent_capture_is_offline_but_one_with_a_reason_keeps_it() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    let state = |fleet: &Fleet, now| lag_of(fleet, &log(100, 50), now).capture.state;
    assert_eq!(state(&fleet, clock.pass(9_999)), CaptureState::Unknown);
    fleet.capture_contact(clock.0);
    assert_eq!(state(&fleet, clock.0), CaptureState::Starting);
    fleet.appended(&header(50, 100, None), clock.0);
    assert_eq!(state(&fleet, clock.0), CaptureState::Streaming);
    let known = LogFacts { slot: Some("of_the_log".to_owned()), ..log(100, 50) };
    assert_eq!(lag_of(&fleet, &known, clock.0).capture.slot.as_deref(), Some("of_the_log"));
    fleet.capture_report(&capture(CaptureState::Streaming, 100), clock.0);
    assert_eq!(state(&fleet, clock.pass(60)), CaptureState::Streaming);
    assert_eq!(state(&fleet, clock.pass(1)), CaptureState::Offline);
    fleet.capture_contact(clock.0);
    assert_eq!(state(&fleet, clock.pass(60)), CaptureState::Streaming);

    let mut lost = capture(CaptureState::SlotLost, 100);
    lost.error = Some("the slot is lost".to_owned());
    fleet.capture_report(&lost, clock.0);
    let lag = lag_of(&fleet, &log(100, 50), clock.pass(86_400)).capture;
    assert_eq!(lag.state, CaptureState::SlotLost);
    assert_eq!(lag.error.as_deref(), Some("the slot is lost"));
    assert_eq!((lag.slot.as_deref(), lag.retained_bytes), (Some("tailwater"), 7));
}

#[test]
fn the_slots_room_is_told_while_it_is_no_old_news() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    assert_eq!(fleet.slot_room(clock.0), SlotRoom::default());
    fleet.capture_report(&capture(CaptureState::Streaming, 100), clock.0);
    let known = SlotRoom { safe_wal_bytes: Some(9), time_left_seconds: Some(11) };
    assert_eq!(fleet.slot_room(clock.pass(60)), known);
    assert_eq!(fleet.slot_room(clock.pass(1)), SlotRoom::default());
    // It does not come nearer any more.
    let mut calm = capture(CaptureState::Streaming, 100);
    calm.slot_time_left_seconds = None;
    fleet.capture_report(&calm, clock.0);
    assert_eq!(fleet.slot_room(clock.0), SlotRoom { time_left_seconds: None, ..known });
}

#[test]
fn a_copy_is_told_while_it_is_under_way() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    let copy = |fleet: &Fleet, now| lag_of(fleet, &log(100, 50), now).capture.copy;
    let progress = CopyProgress {
        what: "snapshot".to_owned(),
        bytes_done: 1,
        bytes_total: 4,
        rows: 9,
        percent: 25,
        seconds_left: None,
    };
    let told = |state, copy| CaptureReport { copy, ..capture(state, 100) };
    fleet.capture_report(&told(CaptureState::Streaming, Some(progress.clone())), clock.0);
    assert_eq!(copy(&fleet, clock.pass(60)), Some(progress.clone()));
    assert_eq!(copy(&fleet, clock.pass(1)), None, "old news");
    fleet.capture_report(&told(CaptureState::Streaming, None), clock.0);
    assert_eq!(copy(&fleet, clock.0), None, "it is over");
    fleet.capture_report(&told(CaptureState::SlotLost, Some(progress)), clock.0);
    assert_eq!(copy(&fleet, clock.0), None, "nobody copies");
}

#[test]
fn a_fenced_capture_is_not_listened_to() {
    let clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    let mut newer = capture(CaptureState::Streaming, 100);
    newer.session = 2;
    assert!(fleet.capture_report(&newer, clock.0));
    assert!(!fleet.capture_report(&capture(CaptureState::Error, 90), clock.0));
    assert_eq!(lag_of(&fleet, &log(100, 50), clock.0).capture.state, CaptureState::Streaming);
    // One without a session may have the reason why there is none.
    newer.session = 0;
    assert!(fleet.capture_report(&newer, clock.0));
}

#[test]
fn one_that_waits_does_not_speak_for_the_one_at_work() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    let state = |fleet: &Fleet, now| lag_of(fleet, &log(100, 50), now).capture.state;
    let mut waiting = capture(CaptureState::WaitingForSlot, 100);
    waiting.session = 0;
    assert!(fleet.capture_report(&waiting, clock.0));
    assert_eq!(state(&fleet, clock.0), CaptureState::WaitingForSlot);
    fleet.capture_report(&capture(CaptureState::Streaming, 100), clock.pass(1));
    assert!(fleet.capture_report(&waiting, clock.pass(9)));
    assert_eq!(state(&fleet, clock.0), CaptureState::Streaming);
    // Its reason to give up is heard, and so is the one who takes over.
    let mut stopped = waiting.clone();
    stopped.state = CaptureState::SlotLost;
    fleet.capture_report(&stopped, clock.0);
    assert_eq!(state(&fleet, clock.0), CaptureState::SlotLost);
    fleet.capture_report(&capture(CaptureState::Streaming, 100), clock.0);
    assert!(fleet.capture_report(&waiting, clock.pass(11)));
    assert_eq!(state(&fleet, clock.0), CaptureState::WaitingForSlot);
}

#[test]
fn the_relays_lag_is_how_long_the_master_has_been_ahead() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    fleet.appended(&header(50, 100, None), clock.0);
    let relay = |fleet: &Fleet, head, now| {
        let lag = lag_of(fleet, &log(head, 50), now).relay;
        (lag.lag_bytes, lag.lag_seconds)
    };
    assert_eq!(relay(&fleet, 100, clock.0), (0, 0.0));
    fleet.capture_report(&capture(CaptureState::Streaming, 100), clock.pass(5));
    assert_eq!(relay(&fleet, 100, clock.pass(5)), (0, 0.0));
    fleet.capture_report(&capture(CaptureState::Streaming, 150), clock.pass(5));
    fleet.capture_report(&capture(CaptureState::Streaming, 180), clock.pass(5));
    assert_eq!(relay(&fleet, 100, clock.pass(2)), (80, 7.0));
    fleet.appended(&header(100, 150, None), clock.0);
    assert_eq!(relay(&fleet, 150, clock.pass(0)), (30, 2.0));
    fleet.appended(&header(150, 190, None), clock.0);
    assert_eq!(relay(&fleet, 190, clock.pass(9)), (0, 0.0));
    let lag = lag_of(&fleet, &log(190, 50), clock.0);
    assert_eq!(lag.master.lsn, Some(Lsn::new(180)));
    assert!(lag.master.seen_at.unwrap().ends_with('Z'));
    let unbegun = LogFacts { head: None, horizon: None, ..log(0, 0) };
    assert_eq!(lag_of(&fleet, &unbegun, clock.0).relay.lag_bytes, 0);
}
