use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{
    args::{
        PullArgs, RelayArgs, ReloadArgs, RetryArgs, StatusArgs, TailArgs, VerifyArgs, parse_pattern,
    },
    duration::parse_duration,
    failure::CliError,
    load_connections::parse_connections,
    logging::LogFormat,
    rate::parse_rate,
};

/// The keys of a --config file: the names of the flags of all commands, so that one file serves them
/// all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct ConfigFile {
    relay: Option<OneOrMany>,
    source_name: Option<String>,
    channels: Option<OneOrMany>,
    token_file: Option<PathBuf>,
    timeout: Option<String>,
    spool_dir: Option<PathBuf>,
    max_rate: Option<String>,
    target: Option<String>,
    name: Option<String>,
    once: Option<bool>,
    every: Option<String>,
    cron: Option<String>,
    follow: Option<bool>,
    jitter: Option<String>,
    window: Option<String>,
    guard: Option<bool>,
    quiet: Option<bool>,
    on_conflict: Option<String>,
    on_error: Option<String>,
    commit_changes: Option<u64>,
    load_connections: Option<usize>,
    commit_after: Option<String>,
    after: Option<String>,
    tables: Option<OneOrMany>,
    show: Option<usize>,
    json: Option<bool>,
    log_format: Option<LogFormat>,
}

/// `"a,b"` or `["a", "b"]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn words(&self) -> Vec<&str> {
        match self {
            Self::One(text) => text.split(',').map(str::trim).collect(),
            Self::Many(texts) => texts.iter().map(String::as_str).collect(),
        }
    }
}

impl ConfigFile {
    fn tables(&self, into: &mut Vec<String>) -> Result<(), String> {
        if let (Some(patterns), true) = (&self.tables, into.is_empty()) {
            let patterns = patterns.words().into_iter().map(parse_pattern);
            *into = patterns.collect::<Result<_, _>>().map_err(|why| format!("tables: {why}"))?;
        }
        Ok(())
    }

    fn load_connections(&self, into: &mut Option<usize>) -> Result<(), String> {
        let text = self.load_connections.map(|number| number.to_string());
        one("load-connections", text.as_ref(), into, parse_connections)
    }
}

/// Reads the file and takes from it what flags and environment left open.
pub(super) trait Configured: Sized {
    fn relay_args(&mut self) -> &mut RelayArgs;
    fn take(&mut self, file: &ConfigFile) -> Result<(), String>;

    fn configured(mut self) -> Result<Self, CliError> {
        let Some(path) = self.relay_args().config.clone() else { return Ok(self) };
        let file = read(&path)?;
        take_relay(self.relay_args(), &file)
            .and_then(|()| self.take(&file))
            .map_err(|why| CliError::Config { path, why })?;
        Ok(self)
    }
}

/// How the file wants log lines to look, and whether few of them. A file that cannot be read is complained
/// of later.
pub(super) fn log_lines(path: &Path) -> (Option<LogFormat>, bool) {
    let file = read(path).unwrap_or_default();
    (file.log_format, file.quiet.unwrap_or(false))
}

fn read(path: &Path) -> Result<ConfigFile, CliError> {
    let failed = |why: String| CliError::Config { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.to_string().trim().to_owned()))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    key: &str,
    text: &str,
) -> Result<T, String> {
    text.parse().map_err(|error| format!("{key}: {error}"))
}

fn all<T: std::str::FromStr<Err: std::fmt::Display>>(
    key: &str,
    texts: Option<&OneOrMany>,
    into: &mut Vec<T>,
) -> Result<(), String> {
    if let (Some(texts), true) = (texts, into.is_empty()) {
        *into =
            texts.words().into_iter().map(|text| parsed(key, text)).collect::<Result<_, _>>()?;
    }
    Ok(())
}

fn one<T>(
    key: &str,
    text: Option<&String>,
    into: &mut Option<T>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<(), String> {
    if let (Some(text), None) = (text, &into) {
        *into = Some(parse(text).map_err(|why| format!("{key}: {why}"))?);
    }
    Ok(())
}

fn plain<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn take_relay(args: &mut RelayArgs, file: &ConfigFile) -> Result<(), String> {
    all("relay", file.relay.as_ref(), &mut args.relay)?;
    all("channels", file.channels.as_ref(), &mut args.channels)?;
    one("source-name", file.source_name.as_ref(), &mut args.source_name, plain)?;
    one("timeout", file.timeout.as_ref(), &mut args.timeout, parse_duration)?;
    one("max-rate", file.max_rate.as_ref(), &mut args.max_rate, parse_rate)?;
    args.token_file = args.token_file.take().or_else(|| file.token_file.clone());
    args.spool_dir = args.spool_dir.take().or_else(|| file.spool_dir.clone());
    Ok(())
}

impl Configured for PullArgs {
    fn relay_args(&mut self) -> &mut RelayArgs {
        &mut self.relay
    }

    fn take(&mut self, file: &ConfigFile) -> Result<(), String> {
        self.target = self.target.take().or_else(|| file.target.clone());
        one("name", file.name.as_ref(), &mut self.name, plain)?;
        self.quiet |= file.quiet.unwrap_or(false);
        self.guard = self.guard.or(file.guard);
        self.commit_changes = self.commit_changes.or(file.commit_changes);
        file.load_connections(&mut self.load_connections)?;
        one("on-conflict", file.on_conflict.as_ref(), &mut self.on_conflict, plain)?;
        one("on-error", file.on_error.as_ref(), &mut self.on_error, plain)?;
        one("window", file.window.as_ref(), &mut self.window, plain)?;
        one("jitter", file.jitter.as_ref(), &mut self.jitter, parse_duration)?;
        one("commit-after", file.commit_after.as_ref(), &mut self.commit_after, parse_duration)?;
        // A schedule that was given replaces the file's, whatever kind it is.
        if self.once || self.follow || self.every.is_some() || self.cron.is_some() {
            return Ok(());
        }
        self.once = file.once.unwrap_or(false);
        self.follow = file.follow.unwrap_or(false);
        self.cron.clone_from(&file.cron);
        one("every", file.every.as_ref(), &mut self.every, parse_duration)
    }
}

impl Configured for ReloadArgs {
    fn relay_args(&mut self) -> &mut RelayArgs {
        &mut self.relay
    }

    fn take(&mut self, file: &ConfigFile) -> Result<(), String> {
        self.target = self.target.take().or_else(|| file.target.clone());
        self.quiet |= file.quiet.unwrap_or(false);
        file.load_connections(&mut self.load_connections)?;
        one("name", file.name.as_ref(), &mut self.name, plain)
    }
}

impl RetryArgs {
    pub(super) fn configured(mut self) -> Result<Self, CliError> {
        let Some(path) = self.config.clone() else { return Ok(self) };
        let file = read(&path)?;
        self.target = self.target.take().or_else(|| file.target.clone());
        one("source-name", file.source_name.as_ref(), &mut self.source_name, plain)
            .and_then(|()| {
                one("on-conflict", file.on_conflict.as_ref(), &mut self.on_conflict, plain)
            })
            .map_err(|why| CliError::Config { path, why })?;
        Ok(self)
    }
}

impl Configured for VerifyArgs {
    fn relay_args(&mut self) -> &mut RelayArgs {
        &mut self.relay
    }

    fn take(&mut self, file: &ConfigFile) -> Result<(), String> {
        self.target = self.target.take().or_else(|| file.target.clone());
        self.quiet |= file.quiet.unwrap_or(false);
        self.json |= file.json.unwrap_or(false);
        one("on-conflict", file.on_conflict.as_ref(), &mut self.on_conflict, plain)?;
        self.show = self.show.or(file.show);
        file.tables(&mut self.tables)?;
        one("name", file.name.as_ref(), &mut self.name, plain)
    }
}

impl Configured for StatusArgs {
    fn relay_args(&mut self) -> &mut RelayArgs {
        &mut self.relay
    }

    fn take(&mut self, file: &ConfigFile) -> Result<(), String> {
        self.target = self.target.take().or_else(|| file.target.clone());
        self.json |= file.json.unwrap_or(false);
        one("name", file.name.as_ref(), &mut self.name, plain)?;
        self.pull.take(file)
    }
}

impl Configured for TailArgs {
    fn relay_args(&mut self) -> &mut RelayArgs {
        &mut self.relay
    }

    fn take(&mut self, file: &ConfigFile) -> Result<(), String> {
        one("after", file.after.as_ref(), &mut self.after, plain)?;
        file.tables(&mut self.tables)?;
        self.json |= file.json.unwrap_or(false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(toml: &str, mut args: PullArgs) -> Result<PullArgs, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        args.relay.config = Some(file.path().to_owned());
        args.configured().map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_fills_what_flags_left_open() {
        let given = PullArgs { target: Some("sqlite:flag.db".into()), ..PullArgs::default() };
        let toml = "relay = \"http://a, http://b\"\nsource-name = \"orders\"\nchannels = [\"x\", \"y\"]\n\
            target = \"sqlite:file.db\"\nevery = \"30s\"\njitter = \"7s\"\nwindow = \"22:00-6:00\"\nmax-rate = \"2M\"\ntimeout = \"5m\"\n";
        let args = pull(toml, given).unwrap();
        assert_eq!(args.relay.relay.len(), 2);
        assert_eq!(args.relay.channels.len(), 2);
        assert_eq!(args.relay.source_name.unwrap().as_str(), "orders");
        assert_eq!(args.target.as_deref(), Some("sqlite:flag.db"));
        assert_eq!(args.every.unwrap().as_secs(), 30);
        assert_eq!(args.relay.max_rate.unwrap().get(), 2_000_000);
        assert_eq!(args.window.unwrap().to_string(), "22:00-06:00");
        assert_eq!(args.jitter.unwrap().as_secs(), 7);
        assert_eq!(args.relay.timeout.unwrap().as_secs(), 300);
    }

    #[test]
    fn a_schedule_given_replaces_the_files() {
        let args = pull("follow = true", PullArgs { once: true, ..PullArgs::default() }).unwrap();
        assert!(args.once && !args.follow);
    }

    #[test]
    fn mistakes_are_named() {
        for (toml, expected) in [
            ("relai = \"http://a\"", "relai"),
            ("source-name = \"a b\"", "source-name: 'a b'"),
            ("every = \"soon\"", "every: 'soon'"),
            ("name = 3", "name"),
            ("window = \"22:00\"", "window: '22:00'"),
            ("max-rate = \"1k\"", "max-rate: 1k"),
            ("on-conflict = \"ignore\"", "on-conflict: 'ignore' is neither"),
            ("on-error = \"skip\"", "on-error: 'skip' is neither"),
            ("load-connections = 17", "load-connections: 17"),
            ("load-connections = 0", "load-connections: 0"),
            ("x", "config"),
        ] {
            let error = pull(toml, PullArgs::default()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
