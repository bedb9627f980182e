//! `serve` itself: when it refuses to start, how it ends, how tokens change under it.

use std::path::Path;

use rustix::process::Signal;

use super::program::{Serving, finish, relay, run};

fn add(data: &Path, name: &str, role: &str) -> String {
    let data = data.to_str().unwrap();
    let said = run(&["token", "add", name, "--role", role, "--data-dir", data]);
    assert_eq!(said.code, 0, "{said:?}");
    said.out.trim().to_owned()
}

fn status(serving: &Serving, token: Option<&str>) -> i32 {
    let mut command = relay(&["status", "--relay", &serving.url]);
    if let Some(token) = token {
        command.env("TAILWATER_TOKEN", token);
    }
    finish(command).code
}

#[test]
fn off_loopback_without_tokens_it_refuses_and_says_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().to_str().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let said = run(&["serve", "--listen", listen, "--data-dir", path]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("without tokens"), "{}", said.err);
        assert!(
            said.err.contains(&format!("token add ops --role ops --data-dir {path}")),
            "{}",
            said.err
        );
    }
    // Also when all were revoked.
    add(data.path(), "a", "ops");
    run(&["token", "revoke", "a", "--data-dir", path]);
    let said = run(&["serve", "--listen", "0.0.0.0:0", "--data-dir", path]);
    assert_eq!(said.code, 2, "{said:?}");
}

#[test]
fn an_address_that_is_none_is_2_and_one_that_is_taken_is_1() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().to_str().unwrap();
    for listen in ["7070", "127.0.0.1", "nowhere.invalid:1", "127.0.0.1:99999"] {
        let said = run(&["serve", "--listen", listen, "--data-dir", path]);
        assert_eq!(said.code, 2, "{listen}: {said:?}");
        assert!(said.err.contains(listen), "{}", said.err);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let said = run(&["serve", "--listen", &listen, "--data-dir", path]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("another program listens there"), "{}", said.err);
}

#[test]
fn a_second_relay_on_the_same_data_is_2() {
    let data = tempfile::tempdir().unwrap();
    let _first = Serving::start(data.path(), &[]);
    let path = data.path().to_str().unwrap();
    let said = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", path]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("in use by another process"), "{}", said.err);
}

#[test]
fn sigterm_and_sigint_end_it_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let data = tempfile::tempdir().unwrap();
        let mut serving = Serving::start(data.path(), &[]);
        assert_eq!(status(&serving, None), 0);
        serving.signal(signal);
        assert_eq!(serving.ended(), 0);
        serving.line_with("stopped");
    }
}

#[test]
fn tokens_hold_and_are_revoked_while_it_runs() {
    let data = tempfile::tempdir().unwrap();
    let serving = Serving::start(data.path(), &[]);
    assert_eq!(status(&serving, None), 0, "open while there is no token");
    let ops = add(data.path(), "ops", "ops");
    assert_eq!(status(&serving, None), 3, "closed at once");
    assert_eq!(status(&serving, Some("tw_0")), 3);
    assert_eq!(status(&serving, Some(&ops)), 0);
    let capture = add(data.path(), "capture", "capture");
    let mut command = relay(&["status", "--relay", &serving.url]);
    command.env("TAILWATER_TOKEN", capture);
    let said = finish(command);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("needs a token with the role 'terminal' or 'ops'"), "{}", said.err);
    let path = data.path().to_str().unwrap();
    for name in ["ops", "capture"] {
        assert_eq!(run(&["token", "revoke", name, "--data-dir", path]).code, 0);
    }
    assert_eq!(status(&serving, Some(&ops)), 3);
    assert_eq!(status(&serving, None), 3, "revoking the last one opens nothing");
}
