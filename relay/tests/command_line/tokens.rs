use std::{fs, path::Path};

use super::program::{finish, relay, run};

fn token(data: &Path, args: &[&str]) -> super::program::Said {
    let mut command = relay(&["token"]);
    command.args(args).arg("--data-dir").arg(data);
    finish(command)
}

#[test]
fn made_listed_and_revoked() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let made =
        token(data, &["add", "store-042", "--role", "terminal", "--channels", "sales,stock"]);
    assert_eq!(made.code, 0, "{made:?}");
    // One word on standard output, made to be piped into a file.
    let secret = made.out.strip_suffix('\n').unwrap();
    assert!(secret.starts_with("tw_") && secret.len() == 67, "{secret}");
    assert!(made.err.contains("not shown again"), "{}", made.err);
    assert_eq!(token(data, &["add", "ops", "--role", "ops"]).code, 0);

    let listed = token(data, &["list"]);
    let lines: Vec<Vec<&str>> =
        listed.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "ROLE", "CREATED", "CHANNELS"]);
    assert_eq!((lines[1][0], lines[1][1], lines[1][4]), ("ops", "ops", "-"));
    assert_eq!((lines[2][0], lines[2][4]), ("store-042", "sales,stock"));
    assert!(!listed.out.contains(secret));
    let json: serde_json::Value =
        serde_json::from_str(&token(data, &["list", "--json"]).out).unwrap();
    assert_eq!(json[1]["channels"], serde_json::json!(["sales", "stock"]));
    assert!(json[1].get("hash").is_none());

    let again = token(data, &["add", "ops", "--role", "ops"]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("there is a token 'ops' already"), "{}", again.err);
    assert_eq!(token(data, &["revoke", "ops"]).code, 0);
    let unknown = token(data, &["revoke", "ops"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("there is no token 'ops'"), "{}", unknown.err);
    let last = token(data, &["revoke", "store-042"]);
    assert!(last.err.contains("It was the last one"), "{}", last.err);
    assert_eq!(token(data, &["list"]).out, "");
}

#[test]
fn only_terminals_are_limited_to_channels() {
    let data = tempfile::tempdir().unwrap();
    let said = token(data.path(), &["add", "c", "--role", "capture", "--channels", "a"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--channels limits what a terminal may read"), "{}", said.err);
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn a_data_directory_that_cannot_be_is_1_and_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("data");
    let said = run(&["token", "add", "a", "--role", "ops", "--data-dir", path.to_str().unwrap()]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains(path.to_str().unwrap()), "{}", said.err);
}
