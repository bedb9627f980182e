use jiff::SignedDuration;
use wire::{CaptureState, Lineage, TerminalState};

use super::{MIB, capture, commit, lag_of, log, name, one, report, state};
use crate::fleet::{
    clock::{Moment, made::MadeClock},
    commits::headers::header,
    limits::FleetLimits,
    roster::Fleet,
};

#[test]
fn a_terminals_lag_is_the_age_of_the_oldest_commit_it_lacks() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    commit(&mut fleet, 100, 200, clock.pass(0));
    commit(&mut fleet, 200, 300, clock.pass(10));
    commit(&mut fleet, 300, 400, clock.pass(10));
    let now = clock.pass(5);
    for (terminal, applied) in [("head", 400), ("one", 300), ("two", 200), ("ahead", 500)] {
        fleet.terminal_report(&report(terminal, Some(applied), TerminalState::Ok), now).unwrap();
    }
    let lag = lag_of(&fleet, &log(400, 100), now);
    let early = report("early", Some(60), TerminalState::Ok);
    fleet.terminal_report(&early, now).unwrap();
    let of_log = one(&lag_of(&fleet, &log(400, 50), now), "early");
    assert_eq!((of_log.lag_bytes, of_log.lag_seconds), (340, 7.0), "told by the log");
    let told = |terminal| {
        let found = one(&lag, terminal);
        (found.lag_bytes, found.lag_seconds, found.state)
    };
    assert_eq!(told("head"), (0, 0.0, TerminalState::Ok));
    assert_eq!(told("one"), (100, 5.0, TerminalState::Ok));
    assert_eq!(told("two"), (200, 15.0, TerminalState::Ok));
    assert_eq!(told("ahead"), (0, 0.0, TerminalState::Ok));
    let names: Vec<&str> = lag.terminals.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(names, ["ahead", "head", "one", "two"]);
}

#[test]
fn progress_without_commits_is_no_lag_in_time() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    commit(&mut fleet, 100, 200, clock.pass(0));
    fleet.appended(&header(200, 300, None), clock.0);
    let now = clock.pass(30);
    fleet.terminal_report(&report("t", Some(200), TerminalState::Ok), now).unwrap();
    let lag = one(&lag_of(&fleet, &log(300, 100), now), "t");
    assert_eq!((lag.lag_bytes, lag.lag_seconds), (100, 0.0));
}

#[test]
fn behind_by_time_or_by_bytes() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    commit(&mut fleet, 100, 200, clock.pass(0));
    let now = clock.pass(60);
    fleet.terminal_report(&report("t", Some(100), TerminalState::Ok), now).unwrap();
    assert_eq!(state(&fleet, &log(200, 100), now), TerminalState::Ok);
    assert_eq!(state(&fleet, &log(200, 100), clock.pass(1)), TerminalState::Behind);

    let now = clock.0;
    fleet.terminal_report(&report("t", Some(200), TerminalState::Ok), now).unwrap();
    assert_eq!(state(&fleet, &log(200 + 64 * MIB, 100), now), TerminalState::Ok);
    assert_eq!(state(&fleet, &log(201 + 64 * MIB, 100), now), TerminalState::Behind);
}

#[test]
fn silence_makes_offline_and_the_horizon_makes_expired() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    fleet.terminal_report(&report("t", Some(100), TerminalState::Ok), clock.0).unwrap();
    assert_eq!(state(&fleet, &log(100, 100), clock.pass(600)), TerminalState::Ok);
    assert_eq!(state(&fleet, &log(100, 100), clock.pass(1)), TerminalState::Offline);
    assert_eq!(state(&fleet, &log(200, 101), clock.0), TerminalState::Expired);
    assert_eq!(state(&fleet, &log(100, 100), clock.0), TerminalState::Offline);
    fleet.terminal_report(&report("t", Some(100), TerminalState::Ok), clock.0).unwrap();
    assert_eq!(state(&fleet, &log(100, 100), clock.0), TerminalState::Ok);
}

#[test]
fn what_a_terminal_says_of_itself_stays() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    fleet.terminal_report(&report("t", None, TerminalState::Loading), clock.0).unwrap();
    assert_eq!(state(&fleet, &log(100, 50), clock.pass(3600)), TerminalState::Loading);
    let mut failed = report("t", Some(10), TerminalState::Error);
    failed.error = Some("x".repeat(5000));
    fleet.terminal_report(&failed, clock.0).unwrap();
    let lag = one(&lag_of(&fleet, &log(100, 50), clock.pass(3600)), "t");
    assert_eq!(lag.state, TerminalState::Error);
    assert_eq!(lag.error.unwrap().len(), 2000);
    // What it leaves out stays, unless it loads anew.
    fleet.terminal_report(&report("t", None, TerminalState::Ok), clock.0).unwrap();
    assert_eq!(state(&fleet, &log(100, 5), clock.0), TerminalState::Ok);
    fleet.terminal_report(&report("t", None, TerminalState::Loading), clock.0).unwrap();
    // No position and no word about it: it has not finished its first load.
    fleet.terminal_report(&report("t", None, TerminalState::Ok), clock.0).unwrap();
    assert_eq!(state(&fleet, &log(100, 50), clock.0), TerminalState::Loading);
}

#[test]
fn a_terminal_of_another_lineage_is_an_error_that_says_so() {
    let clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    let mut foreign = report("t", Some(100), TerminalState::Ok);
    foreign.lineage = Some(Lineage::from_bytes([2; 16]));
    fleet.terminal_report(&foreign, clock.0).unwrap();
    let lag = one(&lag_of(&fleet, &log(100, 50), clock.0), "t");
    assert_eq!((lag.state, lag.lag_bytes), (TerminalState::Error, 50));
    assert!(lag.error.unwrap().contains("follows the lineage 0202"));
}

#[test]
fn a_wall_clock_that_jumps_changes_no_state() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    commit(&mut fleet, 100, 200, clock.0);
    fleet.terminal_report(&report("t", Some(200), TerminalState::Ok), clock.0).unwrap();
    fleet.terminal_report(&report("late", Some(100), TerminalState::Ok), clock.0).unwrap();
    fleet.capture_report(&capture(CaptureState::Streaming, 200), clock.0);

    let now = clock.jump(-86_400);
    let lag = lag_of(&fleet, &log(200, 100), now);
    assert_eq!(one(&lag, "t").state, TerminalState::Ok);
    assert_eq!(one(&lag, "late").lag_seconds, 0.0, "never negative");
    assert_eq!(lag.capture.state, CaptureState::Streaming);
    // Silence counts on, although the wall clock is a day back.
    let lag = lag_of(&fleet, &log(200, 100), clock.pass(601));
    assert_eq!(one(&lag, "t").state, TerminalState::Offline);
    assert_eq!(lag.capture.state, CaptureState::Offline);

    fleet.terminal_report(&report("t", Some(200), TerminalState::Ok), clock.0).unwrap();
    let lag = lag_of(&fleet, &log(200, 100), clock.jump(2 * 86_400));
    assert_eq!(one(&lag, "t").state, TerminalState::Ok, "a jump ahead is no silence");
}

#[test]
fn comes_back_from_its_records() {
    let mut clock = MadeClock::new();
    let mut fleet = Fleet::new(FleetLimits::default());
    fleet.terminal_report(&report("t", Some(100), TerminalState::Ok), clock.0).unwrap();
    fleet.terminal_report(&report("gone", Some(1), TerminalState::Ok), clock.0).unwrap();
    fleet.capture_report(&capture(CaptureState::Streaming, 100), clock.0);
    assert_eq!(fleet.take_unsaved().len(), 2);
    assert!(fleet.take_unsaved().is_empty());
    fleet.keep_unsaved([name("t")]);
    assert_eq!(fleet.take_unsaved().len(), 1);
    assert!(fleet.forget(&name("gone")));
    assert!(!fleet.forget(&name("gone")));
    assert_eq!(fleet.take_unsaved(), [(name("gone"), None)]);
    let seen = clock.pass(5);
    fleet.terminal_report(&report("t", Some(120), TerminalState::Ok), seen).unwrap();
    let record = fleet.take_unsaved().remove(0).1.unwrap();
    let kept = fleet.take_unsaved_capture().unwrap();
    assert!(fleet.take_unsaved_capture().is_none());

    let text = serde_json::to_string(&(record, kept)).unwrap();
    let (record, kept) = serde_json::from_str(&text).unwrap();
    // A new process: its steady clock begins at zero.
    let restart = Moment { steady: SignedDuration::ZERO, ..clock.pass(300) };
    let again = Fleet::restored(FleetLimits::default(), [(name("t"), record)], Some(kept), restart);
    let lag = lag_of(&again, &log(120, 50), restart);
    assert_eq!(one(&lag, "t").state, TerminalState::Ok);
    assert_eq!(lag.capture.state, CaptureState::Offline);
    let later = Moment { steady: SignedDuration::from_secs(301), ..clock.pass(301) };
    assert_eq!(one(&lag_of(&again, &log(120, 50), later), "t").state, TerminalState::Offline);
}

#[test]
fn more_terminals_than_the_limit_are_refused_by_name() {
    let clock = MadeClock::new();
    let limits = FleetLimits { terminals: 1, ..FleetLimits::default() };
    let mut fleet = Fleet::new(limits);
    fleet.terminal_report(&report("a", None, TerminalState::Loading), clock.0).unwrap();
    fleet.terminal_report(&report("a", Some(1), TerminalState::Ok), clock.0).unwrap();
    let full = fleet.terminal_report(&report("b", None, TerminalState::Loading), clock.0);
    assert!(full.unwrap_err().to_string().contains("'b' is not kept"));
    assert!(fleet.forget(&name("a")));
    fleet.terminal_report(&report("b", None, TerminalState::Loading), clock.0).unwrap();
}
