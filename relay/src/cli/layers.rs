//! Where a setting comes from: the command line, else the environment, else the file given by
//! `--config`, else its default.
//!
//! The file's values become clap's defaults before the command line is read. So there is one
//! list of settings, one parser for each, and each flag is a key of the file without further ado.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches, builder::Resettable};
use toml::{Table, Value};

use super::args::Cli;

/// What is not an option of the file, because it names the file.
const CONFIG: &str = "config";
const CONFIG_ENV: &str = "TAILWATER_CONFIG";

/// A command line or a file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayerError {
    /// The command line or the environment, or a request for help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    #[error("the configuration file {path}: {source}; --config (or TAILWATER_CONFIG) names it")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the configuration file {path}: {source}")]
    Syntax { path: PathBuf, source: Box<toml::de::Error> },
    #[error(
        "the configuration file {path}: there is no setting '{key}'; the settings are: {known}"
    )]
    UnknownKey { path: PathBuf, key: String, known: String },
    #[error("the configuration file {path}: the setting '{key}': {reason}")]
    Value { path: PathBuf, key: String, reason: String },
}

/// Reads all layers.
pub(super) fn parse(args: &[OsString]) -> Result<Cli, LayerError> {
    let environment = std::env::var_os(CONFIG_ENV).filter(|path| !path.is_empty());
    parse_with(args, environment)
}

fn parse_with(args: &[OsString], environment: Option<OsString>) -> Result<Cli, LayerError> {
    let command = without_empty_variables(Cli::command());
    let plain = command.clone().try_get_matches_from(args);
    // Help is given also where the file is broken.
    if let Err(error) = &plain
        && !error.use_stderr()
    {
        return plain.map_err(LayerError::from).and_then(|found| read(&found));
    }
    let Some(path) = config_path(args).or(environment).map(PathBuf::from) else {
        return read(&plain?);
    };
    let command = with_file(command, &path)?;
    read(&command.try_get_matches_from(args)?)
}

fn read(found: &clap::ArgMatches) -> Result<Cli, LayerError> {
    Ok(Cli::from_arg_matches(found)?)
}

/// Looked for before clap reads the line, because what it names takes part in that.
fn config_path(args: &[OsString]) -> Option<OsString> {
    let mut args = args.iter().skip(1).take_while(|arg| *arg != "--");
    let mut found = None;
    while let Some(arg) = args.next() {
        if arg == "--config" {
            found = args.next().cloned();
        } else if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            found = Some(OsStr::new(path).to_owned());
        }
    }
    found
}

/// A variable that is set to nothing, as `VAR=` in a service's or container's definition, is not set.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| {
        if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg }
    });
    command.mut_subcommands(without_empty_variables)
}

fn with_file(mut command: Command, path: &Path) -> Result<Command, LayerError> {
    let path = path.to_owned();
    let text = std::fs::read_to_string(&path)
        .map_err(|source| LayerError::Unreadable { path: path.clone(), source })?;
    let table: Table = text
        .parse()
        .map_err(|source| LayerError::Syntax { path: path.clone(), source: Box::new(source) })?;
    for (key, value) in table {
        let options = options(&command);
        let Some(option) = options.iter().find(|option| option.get_long() == Some(key.as_str()))
        else {
            let mut known: Vec<&str> = options.iter().filter_map(|it| it.get_long()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(LayerError::UnknownKey { path, key, known: known.join(", ") });
        };
        match default_of(option, value) {
            Ok(values) => command = with_default(command, &key, &values),
            Err(reason) => return Err(LayerError::Value { path, key, reason }),
        }
    }
    Ok(command)
}

/// The options of a command and of all below it.
fn options(command: &Command) -> Vec<Arg> {
    let own = command.get_arguments().filter(|arg| {
        !matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        ) && arg.get_long().is_some_and(|long| long != CONFIG)
    });
    own.cloned().chain(command.get_subcommands().flat_map(options)).collect()
}

/// The values as they would stand on the command line, checked by the option's own parser.
fn default_of(option: &Arg, value: Value) -> Result<Vec<&'static str>, String> {
    if matches!(option.get_action(), ArgAction::SetTrue) {
        return match value {
            Value::Boolean(true) => Ok(vec!["true"]),
            Value::Boolean(false) => Ok(Vec::new()),
            other => Err(format!("true or false is wanted, not {}", kind(&other))),
        };
    }
    let texts: Vec<String> = match value {
        Value::Array(values) => values.into_iter().map(scalar).collect::<Result<_, _>>()?,
        other => vec![scalar(other)?],
    };
    let long = option.get_long().unwrap_or_default();
    let line = texts.iter().map(|text| format!("--{long}={text}"));
    let alone = Command::new("file").no_binary_name(true).arg(option.clone().required(false));
    alone.try_get_matches_from(line).map_err(|error| first_paragraph(&error.to_string()))?;
    // clap keeps defaults for as long as the process lives.
    Ok(texts.into_iter().map(|text| &*Box::leak(text.into_boxed_str())).collect())
}

fn scalar(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(flag) => Ok(flag.to_string()),
        Value::Datetime(time) => Ok(time.to_string()),
        other => Err(format!("a single value is wanted, not {}", kind(&other))),
    }
}

fn kind(value: &Value) -> String {
    format!("a value of the type {}", value.type_str())
}

/// clap's message without its heading and its advice.
fn first_paragraph(message: &str) -> String {
    let lines = message.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    let text = lines.collect::<Vec<_>>().join(" ");
    text.strip_prefix("error: ").map_or(text.clone(), str::to_owned)
}

fn with_default(command: Command, key: &str, values: &[&'static str]) -> Command {
    if values.is_empty() {
        return command;
    }
    let is_it = |arg: &Arg| arg.get_long() == Some(key);
    let command = command.mut_args(|arg| {
        if is_it(&arg) { arg.required(false).default_values(values.to_vec()) } else { arg }
    });
    command.mut_subcommands(|below| with_default(below, key, values))
}

#[cfg(test)]
mod tests;
