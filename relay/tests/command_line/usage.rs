use std::fs;

use super::program::{finish, relay, run};

#[test]
fn help_goes_to_standard_output_and_names_every_command() {
    let said = run(&["--help"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.is_empty(), "{said:?}");
    for word in ["serve", "token", "terminal", "status", "Exit codes:"] {
        assert!(said.out.contains(word), "{word}: {}", said.out);
    }
}

#[test]
fn help_of_serve_gives_each_setting_with_default_and_variable() {
    let said = run(&["serve", "--help"]);
    assert_eq!(said.code, 0);
    for word in [
        "--listen <ADDRESS:PORT>",
        "[default: 127.0.0.1:7070]",
        "TAILWATER_DATA_DIR",
        "--offline-after",
        "[default: 10m]",
        "--config <FILE>",
    ] {
        assert!(said.out.contains(word), "{word}: {}", said.out);
    }
}

#[test]
fn the_version_is_told() {
    let said = run(&["--version"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, concat!("tailwater-relay ", env!("CARGO_PKG_VERSION"), "\n"))
    );
}

#[test]
fn a_wrong_command_line_is_2_and_says_what_is_wrong() {
    for (args, says) in [
        (vec![], "Usage:"),
        (vec!["serv"], "unrecognized subcommand 'serv'"),
        (vec!["serve"], "--data-dir <DIR>"),
        (vec!["serve", "--data-dir", "d", "--lisen", "x"], "unexpected argument '--lisen'"),
        (
            vec!["serve", "--data-dir", "d", "--offline-after", "soon"],
            "write it like 500ms, 30s, 10m",
        ),
        (vec!["serve", "--data-dir", "d", "--tail-size", "much"], "write it like 500000, 64KiB"),
        (
            vec!["token", "add", "a/b", "--data-dir", "d", "--role", "ops"],
            "cannot be the name of a token",
        ),
        (
            vec!["token", "add", "a", "--data-dir", "d", "--role", "boss"],
            "[possible values: capture, terminal, ops]",
        ),
        (vec!["status"], "--relay <URL>"),
        (vec!["status", "--relay", "relay:7070"], "is not the address of a relay"),
        (vec!["status", "--relay", "http://x", "--token", "tw_1"], "unexpected argument '--token'"),
        (vec!["terminal", "forget", "--relay", "http://x"], "<NAME>"),
    ] {
        let said = run(&args);
        assert_eq!(said.code, 2, "{args:?}: {said:?}");
        assert!(said.err.contains(says), "{args:?}: {}", said.err);
        assert!(said.out.is_empty(), "{said:?}");
    }
}

#[test]
fn a_wrong_file_is_2_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    let file = path.to_str().unwrap();
    for (text, says) in [
        ("lisen = '127.0.0.1:1'", "there is no setting 'lisen'; the settings are: behind-after"),
        ("listen = ", "relay.toml: TOML parse error at line 1"),
        ("offline-after = 'soon'", "the setting 'offline-after': invalid value 'soon'"),
        ("json = 'yes'", "the setting 'json': true or false is wanted"),
    ] {
        fs::write(&path, text).unwrap();
        let said = run(&["serve", "--data-dir", "d", "--config", file]);
        assert_eq!(said.code, 2, "{text}: {said:?}");
        assert!(said.err.contains(says), "{text}: {}", said.err);
        assert!(said.err.contains(file), "{text}: {}", said.err);
    }
    let said = run(&["serve", "--config", "/does/not/exist"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("/does/not/exist: No such file"), "{}", said.err);
}

#[test]
fn flag_over_environment_over_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, token) in
        [("file", "in_file"), ("environment", "in_environment"), ("flag", "in_flag")]
    {
        let said = run(&["token", "add", token, "--role", "ops", "--data-dir", &at(name)]);
        assert_eq!(said.code, 0, "{said:?}");
    }
    let config = at("relay.toml");
    fs::write(&config, format!("data-dir = '{}'\n", at("file"))).unwrap();
    let list = |flag: bool, environment: bool| {
        let mut command = relay(&["token", "list"]);
        command.env("TAILWATER_CONFIG", &config);
        if environment {
            command.env("TAILWATER_DATA_DIR", at("environment"));
        }
        if flag {
            command.args(["--data-dir", &at("flag")]);
        }
        finish(command).out
    };
    assert!(list(false, false).contains("in_file"));
    assert!(list(false, true).contains("in_environment"));
    assert!(list(true, true).contains("in_flag"));
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = relay(&["token", "list", "--data-dir", folder.path().to_str().unwrap()]);
    for name in ["CONFIG", "LOG_FORMAT", "JSON", "DATA_DIR"] {
        command.env(format!("TAILWATER_{name}"), "");
    }
    let said = finish(command);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_wrong_rust_log_is_2() {
    let mut command = relay(&["token", "list", "--data-dir", "d"]);
    command.env("RUST_LOG", "relay=loud=very");
    let said = finish(command);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("RUST_LOG"), "{}", said.err);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let program = env!("CARGO_BIN_EXE_tailwater-relay");
    let script = format!("set -o pipefail; {program} serve --help | true");
    let status = std::process::Command::new("bash").args(["-c", &script]).status().unwrap();
    assert_eq!(status.code(), Some(0));
}
