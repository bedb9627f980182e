use std::{ffi::OsString, io::Write, time::Duration};

use clap::CommandFactory;

use super::{
    super::args::{Cli, Command, LogFormat, TokenCommand},
    LayerError, options, parse_with,
};

struct File(tempfile::NamedTempFile);

impl File {
    fn new(text: &str) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Self(file)
    }

    fn parse(&self, args: &[&str]) -> Result<Cli, LayerError> {
        let path = self.0.path().as_os_str().to_owned();
        parse_with(&line(args), Some(path))
    }

    fn error(&self) -> String {
        let path = self.0.path().display().to_string();
        let error = self.parse(&["serve"]).unwrap_err().to_string();
        assert!(error.contains(&path), "{error}");
        error
    }
}

fn line(args: &[&str]) -> Vec<OsString> {
    std::iter::once("tailwater-relay").chain(args.iter().copied()).map(OsString::from).collect()
}

fn serve(cli: Cli) -> super::super::serve_args::ServeArgs {
    match cli.command {
        Command::Serve(args) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_option_has_a_variable_of_its_name() {
    for option in options(&Cli::command()) {
        let long = option.get_long().unwrap();
        let expected = format!("TAILWATER_{}", long.to_uppercase().replace('-', "_"));
        assert_eq!(option.get_env(), Some(expected.as_ref()), "--{long}");
    }
}

#[test]
fn no_secret_is_an_option() {
    let all = options(&Cli::command());
    assert!(all.iter().all(|option| !matches!(option.get_long(), Some("token" | "password"))));
}

#[test]
fn the_file_stands_between_command_line_and_defaults() {
    let file = File::new(
        "data-dir = '/from/file'\nlisten = '127.0.0.1:1'\noffline-after = '2m'\nterminals-limit = 5\nlog-format = 'json'\n",
    );
    let cli = file.parse(&["serve", "--listen", "127.0.0.1:2"]).unwrap();
    assert_eq!(cli.log_format, LogFormat::Json);
    let args = serve(cli);
    assert_eq!(args.listen, "127.0.0.1:2");
    assert_eq!(args.data.data_dir.to_str(), Some("/from/file"));
    let limits = args.settings().fleet;
    assert_eq!(limits.offline_after, Duration::from_secs(120));
    assert_eq!(limits.terminals, 5);
    assert_eq!(limits.behind_after, Duration::from_secs(60));
}

#[test]
fn config_on_the_command_line_wins_over_the_variable() {
    let (one, other) = (File::new("data-dir = 'one'"), File::new("data-dir = 'other'"));
    let flag = format!("--config={}", other.0.path().display());
    for args in [vec!["serve", &flag], vec![&flag, "serve"]] {
        let args = serve(one.parse(&args).unwrap());
        assert_eq!(args.data.data_dir.to_str(), Some("other"));
    }
}

#[test]
fn lists_and_switches_can_stand_in_the_file() {
    let file = File::new("data-dir = 'd'\nrole = 'terminal'\nchannels = ['a', 'b']\njson = true\n");
    let Command::Token(TokenCommand::Add(args)) =
        file.parse(&["token", "add", "n"]).unwrap().command
    else {
        panic!()
    };
    let names: Vec<String> = args.channels.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "b"]);
    let Command::Token(TokenCommand::List(args)) = file.parse(&["token", "list"]).unwrap().command
    else {
        panic!()
    };
    assert!(args.form.json);
    let file = File::new("json = false\ndata-dir = 'd'");
    let Command::Token(TokenCommand::List(args)) = file.parse(&["token", "list"]).unwrap().command
    else {
        panic!()
    };
    assert!(!args.form.json);
}

#[test]
fn what_is_wrong_in_the_file_is_named() {
    let error = File::new("lisen = '1'").error();
    assert!(error.contains("no setting 'lisen'"), "{error}");
    assert!(error.contains("listen, log-format"), "{error}");
    let error = File::new("config = 'x'").error();
    assert!(error.contains("no setting 'config'"), "{error}");
    let error = File::new("data_dir = 'x'").error();
    assert!(error.contains("no setting 'data_dir'"), "{error}");
    let error = File::new("offline-after = 'soon'").error();
    assert!(error.contains("the setting 'offline-after': invalid value 'soon'"), "{error}");
    assert!(error.contains("write it like 500ms"), "{error}");
    let error = File::new("json = 'yes'").error();
    assert!(error.contains("true or false is wanted"), "{error}");
    let error = File::new("[listen]\na = 1").error();
    assert!(error.contains("a value of the type table"), "{error}");
    let error = File::new("listen = \n").error();
    assert!(error.contains("line 1"), "{error}");
    let error = File::new("role = 'boss'").error();
    assert!(error.contains("possible values: capture, terminal, ops"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named_unless_help_is_asked_for() {
    let missing = Some(OsString::from("/does/not/exist.toml"));
    let error = parse_with(&line(&["serve"]), missing.clone()).unwrap_err();
    assert!(matches!(error, LayerError::Unreadable { .. }), "{error}");
    let Err(LayerError::Arguments(help)) = parse_with(&line(&["serve", "--help"]), missing) else {
        panic!("help is not given")
    };
    assert_eq!(help.exit_code(), 0);
}

#[test]
fn required_options_are_required_still() {
    let file = File::new("listen = '127.0.0.1:1'");
    let Err(LayerError::Arguments(error)) = file.parse(&["serve"]) else { panic!() };
    assert!(error.to_string().contains("--data-dir"), "{error}");
    assert_eq!(error.exit_code(), 2);
}
