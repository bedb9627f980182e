//! What compose/terminal shows is what the program takes.

use clap::Parser;

use super::{
    args::{Cli, Command, PullArgs},
    config::Configured,
};

const FLAGS: &str = include_str!("../../../compose/terminal/terminal.toml");

/// The one line of a file that runs the program, as its words.
fn pull<'a>(file: &'a str, unquoted: impl Fn(&'a str) -> Vec<&'a str>) -> PullArgs {
    let runs = |line: &&str| line.contains("tailwater-terminal") && line.contains("pull");
    let mut lines = file.lines().filter(|line| !line.starts_with('#')).filter(runs);
    let words = unquoted(lines.next().unwrap());
    assert!(lines.next().is_none());
    let program = words.iter().position(|word| word.ends_with("tailwater-terminal")).unwrap();
    match Cli::try_parse_from(&words[program..]).unwrap().command {
        Command::Pull(args) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_flags_of_the_service_and_of_cron() {
    let words = |line: &'static str| line.split([' ', '=']).collect();
    let service = include_str!("../../../compose/terminal/tailwater-terminal.service");
    let service = pull(service, words);
    let cron = pull(include_str!("../../../compose/terminal/crontab"), words);
    assert!(cron.quiet && !service.quiet);
    for args in [service, cron] {
        assert_eq!(args.relay.config.unwrap().to_str(), Some("/etc/tailwater/terminal.toml"));
    }
    // What is commented out is meant to be used.
    let all = FLAGS.replace("# max-rate", "max-rate").replace("# window", "window");
    for text in [FLAGS, &all] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut args = PullArgs::default();
        args.relay.config = Some(file.path().to_owned());
        let args = args.configured().unwrap();
        assert_eq!(args.target.as_deref(), Some("sqlite:/var/lib/tailwater/shop.db"));
        assert_eq!(args.relay.max_rate.is_some() && args.window.is_some(), text != FLAGS);
    }
}

#[test]
fn the_flags_of_the_cronjob() {
    let file = include_str!("../../../compose/terminal/cronjob.yaml");
    let args = pull(file, |line| {
        let list = line.trim().strip_prefix("command: ").unwrap();
        serde_json::from_str(list).unwrap()
    });
    assert_eq!(args.relay.source_name.unwrap().as_str(), "shop");
    assert_eq!(args.jitter.unwrap().as_secs(), 60);
}
