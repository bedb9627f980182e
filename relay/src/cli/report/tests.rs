use wire::{
    CaptureLag, CaptureState, CopyProgress, Divergence, Lag, Lineage, Lsn, MasterLag, RelayLag,
    SourceName, TerminalLag, TerminalName, TerminalState,
};

use super::{describe, terminals};

fn terminal(name: &str, state: TerminalState, lag_seconds: f64, lag_bytes: u64) -> TerminalLag {
    TerminalLag {
        name: TerminalName::new(name).unwrap(),
        applied: Some(Lsn::new(0x16_B374_D848 - lag_bytes)),
        lag_bytes,
        lag_seconds,
        last_seen: Some("2026-11-21T09:59:58Z".to_owned()),
        state,
        error: None,
        divergence: Divergence::default(),
    }
}

fn lag(terminals: Vec<TerminalLag>) -> Lag {
    Lag {
        source: SourceName::new("orders").unwrap(),
        lineage: Lineage::from_bytes([0xAB; 16]),
        master: MasterLag {
            lsn: Some(Lsn::new(0x16_B374_D948)),
            seen_at: Some("2026-11-21T09:59:57.5Z".to_owned()),
        },
        relay: RelayLag {
            head: Some(Lsn::new(0x16_B374_D848)),
            horizon: Some(Lsn::new(0x16_0000_0000)),
            lag_bytes: 256,
            lag_seconds: 0.25,
            log_bytes: 3 << 29,
        },
        capture: CaptureLag {
            state: CaptureState::Streaming,
            slot: Some("tailwater_orders".to_owned()),
            retained_bytes: 12 << 20,
            last_contact: Some("2026-11-21T09:59:59Z".to_owned()),
            copy: None,
            error: None,
        },
        terminals,
    }
}

fn now() -> jiff::Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

#[test]
fn a_source_at_a_glance() {
    let mut failed = terminal("store-7", TerminalState::Error, 90.0, 4096);
    failed.error = Some("duplicate key\nDETAIL: \u{1b}[2J".to_owned());
    let mut new = terminal("new", TerminalState::Loading, 0.0, 0);
    new.applied = None;
    let mut odd = terminal("odd", TerminalState::Ok, 0.0, 0);
    odd.divergence = Divergence { row_missing: 1, row_present: 2, quarantined: 4 };
    let all = vec![
        terminal("a", TerminalState::Ok, 0.0, 0),
        terminal("b", TerminalState::Ok, 1.5, 1 << 20),
        new,
        terminal("gone", TerminalState::Offline, 200_000.0, 5 << 20),
        failed,
        odd,
    ];
    let text = describe(&lag(all), now());
    let expected = "\
orders   lineage abababababababababababababababab
  master   at 16/B374D948, seen 2.5 s ago
  relay    at 16/B374D848, 256 B behind for 0.2 s; log 1.5 GiB from 16/0
  capture  streaming, heard 1.0 s ago; slot tailwater_orders holds back 12.0 MiB

  TERMINAL  STATE           LAG   BEHIND      APPLIED       SEEN  TROUBLE
  store-7   error    1 min 30 s  4.0 KiB  16/B374C848  2.0 s ago  duplicate key DETAIL: [2J
  gone      offline     2 d 7 h  5.0 MiB  16/B324D848  2.0 s ago
  new       loading         0 s      0 B            -  2.0 s ago
  b         ok            1.5 s  1.0 MiB  16/B364D848  2.0 s ago
  a         ok              0 s      0 B  16/B374D848  2.0 s ago
  odd       ok              0 s      0 B  16/B374D848  2.0 s ago  4 in quarantine; 3 met no row as it should have been
";
    assert_eq!(text, expected);
}

#[test]
fn a_copy_under_way() {
    let mut lag = lag(Vec::new());
    lag.capture.state = CaptureState::Copying;
    let copy = CopyProgress {
        what: "first copy".to_owned(),
        bytes_done: 3 << 29,
        bytes_total: 3 << 30,
        rows: 1_234_567,
        percent: 50,
        seconds_left: Some(95),
    };
    lag.capture.copy = Some(copy.clone());
    let text = describe(&lag, now());
    let expected = "12.0 MiB; first copy at 50% of 3.0 GiB, 1234567 rows, about 1 min 35 s left\n";
    assert!(text.contains(expected), "{text}");
    lag.capture.copy = Some(CopyProgress { seconds_left: None, ..copy });
    assert!(describe(&lag, now()).contains("of 3.0 GiB, 1234567 rows\n"));
}

#[test]
fn a_source_that_has_just_begun() {
    let mut lag = lag(Vec::new());
    lag.relay =
        RelayLag { head: None, horizon: None, lag_bytes: 0, lag_seconds: 0.0, log_bytes: 0 };
    lag.master = MasterLag { lsn: None, seen_at: None };
    lag.capture.state = CaptureState::Unknown;
    let text = describe(&lag, now());
    let expected = "\
orders   lineage abababababababababababababababab
  master   not seen yet
  relay    waits for the first copy of the source; log 0 B
  capture  not heard of yet
  no terminal has reported yet
";
    assert_eq!(text, expected);
}

#[test]
fn a_captures_error_is_shown() {
    let mut lag = lag(Vec::new());
    lag.capture.state = CaptureState::SlotLost;
    lag.capture.error = Some("the slot is lost".to_owned());
    let text = describe(&lag, now());
    assert!(text.contains("  capture  slot-lost, heard"), "{text}");
    assert!(text.contains("\n           the slot is lost\n"), "{text}");
}

#[test]
fn the_worst_terminal_of_all_sources_is_first() {
    let mut second = lag(vec![terminal("z", TerminalState::Expired, 1.0, 1)]);
    second.source = SourceName::new("wages").unwrap();
    let first = lag(vec![
        terminal("m", TerminalState::Behind, 61.0, 1),
        terminal("n", TerminalState::Behind, 3600.0, 1),
    ]);
    let text = terminals(&[first, second], now());
    let names: Vec<&str> =
        text.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(names, ["TERMINAL", "z", "n", "m"]);
    assert!(text.lines().nth(1).unwrap().starts_with("wages"), "{text}");
}
