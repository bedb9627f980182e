//! Flags over environment over configuration file over defaults.

use std::time::Duration;

use wire::{ChannelName, ChannelRule, SourceName};

use super::{
    args::{MasterArgs, RunArgs, TableArgs},
    config::{Config, Number, OneOrMore},
    duration,
    failure::Failure,
};
use crate::{
    append::{RelayAddress, Token},
    settings::{
        ColumnPatterns, Keyless, OnLostSlot, Selection, Settings, TablePatterns, object_name,
    },
    source::Source,
};

const HEARTBEAT_EVERY: Duration = Duration::from_secs(60);
const START_WITHIN: Duration = Duration::from_secs(30);
const SLOT_WITHIN: Duration = Duration::from_secs(600);
const COPY_CONNECTIONS: usize = 4;
/// More would only cost the master: the relay takes three objects at a time.
const MOST_COPY_CONNECTIONS: usize = 16;
const SHORTEST_BETWEEN_SNAPSHOTS: Duration = Duration::from_secs(1);

/// The longest name PostgreSQL keeps.
const LONGEST_NAME: usize = 63;

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::usage(error.to_string())
}

/// The flag (or its variable), else the file's key. What is set to nothing counts as not set.
pub(super) fn given(flag: Option<String>, key: Option<String>) -> Option<String> {
    flag.filter(|text| !text.is_empty()).or(key.filter(|text| !text.is_empty()))
}

/// What all commands need.
pub(super) struct Common {
    pub(super) source: Source,
    pub(super) name: Option<SourceName>,
    pub(super) slot: Option<String>,
    pub(super) publication: Option<String>,
}

pub(super) fn common(args: MasterArgs, config: &mut Config) -> Result<Common, Failure> {
    let url = given(args.source, config.source.take()).ok_or_else(|| {
        Failure::usage("no master is named: give --source postgres://USER@HOST:PORT/DATABASE, or TAILWATER_SOURCE")
    })?;
    let source = Source::from_url(&url)
        .map_err(|error| Failure::usage(format!("--source cannot be used: {error}")))?;
    let name = given(args.name, config.name.take());
    let name = name.map(|name| SourceName::new(&name)).transpose().map_err(wrong)?;
    let slot = given(args.slot, config.slot.take());
    if let Some(slot) = &slot {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !(1..=LONGEST_NAME).contains(&slot.len()) || !slot.bytes().all(plain) {
            let text = format!(
                "'{slot}' cannot be the name of a slot: 1 to 63 of the characters a-z 0-9 _"
            );
            return Err(Failure::usage(text));
        }
    }
    let publication = given(args.publication, config.publication.take());
    if publication.as_ref().is_some_and(|name| name.len() > LONGEST_NAME) {
        return Err(Failure::usage("a publication's name has 1 to 63 bytes"));
    }
    Ok(Common { source, name, slot, publication })
}

pub(super) fn selection(args: TableArgs, config: &mut Config) -> Result<Selection, Failure> {
    Ok(Selection {
        tables: TablePatterns::new(patterns(args.tables, config.tables.take())).map_err(wrong)?,
        exclude: ColumnPatterns::new(patterns(args.exclude, config.exclude.take()))
            .map_err(wrong)?,
        keyless: args.keyless.or(config.keyless).map(Keyless::from).unwrap_or_default(),
    })
}

/// The flag (or its variable), else the file's key; empty ones are left out.
fn patterns(flag: Option<Vec<String>>, key: Option<OneOrMore>) -> Vec<String> {
    let flag = flag.filter(|given| given.iter().any(|pattern| !pattern.is_empty()));
    let given = flag.or_else(|| key.map(OneOrMore::list)).unwrap_or_default();
    given.into_iter().filter(|pattern| !pattern.is_empty()).collect()
}

/// What `run` is told.
pub(super) fn settings(args: RunArgs) -> Result<Settings, Failure> {
    let mut config = Config::read(args.master.config.as_deref())?;
    let Common { source, name, slot, publication } = common(args.master, &mut config)?;
    let name = name.ok_or_else(nameless)?;
    let selection = selection(args.tables, &mut config)?;
    let relays = relays(args.relay, &mut config)?;
    let time = |flag: Option<String>, key: Option<String>, default: Duration| {
        let text = given(flag, key);
        text.map_or(Ok(default), |text| duration::parse(&text).map_err(Failure::usage))
    };
    Ok(Settings {
        slot: slot.unwrap_or_else(|| object_name(&name)),
        publication: publication.unwrap_or_else(|| object_name(&name)),
        source,
        name,
        relays,
        token: token(args.token_file, &mut config)?,
        selection,
        on_lost_slot: args
            .on_lost_slot
            .or(config.on_lost_slot)
            .map(OnLostSlot::from)
            .unwrap_or_default(),
        ddl: args.ddl.ddl || config.ddl,
        failover: args.failover.failover || config.failover,
        heartbeat_every: time(
            args.heartbeat_every,
            config.heartbeat_every.take(),
            HEARTBEAT_EVERY,
        )?,
        start_within: time(args.start_within, config.start_within.take(), START_WITHIN)?,
        slot_within: time(args.slot_within, config.slot_within.take(), SLOT_WITHIN)?,
        copy_connections: copy_connections(given(
            args.copy_connections,
            config.copy_connections.take().map(Number::text),
        ))?,
        snapshot_every: snapshot_every(given(args.snapshot_every, config.snapshot_every.take()))?,
        channels: rules(config)?,
    })
}

pub(super) fn nameless() -> Failure {
    Failure::usage("the source has no name: give --name, e.g. --name orders")
}

pub(super) fn relays(
    flag: Option<Vec<String>>,
    config: &mut Config,
) -> Result<Vec<RelayAddress>, Failure> {
    let urls = flag.filter(|urls| urls.iter().any(|url| !url.is_empty()));
    let urls = urls.or_else(|| config.relay.take().map(OneOrMore::list)).unwrap_or_default();
    let urls = urls.iter().filter(|url| !url.is_empty());
    let relays: Vec<_> =
        urls.map(|url| RelayAddress::parse(url)).collect::<Result<_, _>>().map_err(wrong)?;
    if relays.is_empty() {
        return Err(Failure::usage("no relay is named: give --relay http://HOST:PORT"));
    }
    Ok(relays)
}

fn copy_connections(text: Option<String>) -> Result<usize, Failure> {
    let Some(text) = text else { return Ok(COPY_CONNECTIONS) };
    let number = text.parse().ok().filter(|number| (1..=MOST_COPY_CONNECTIONS).contains(number));
    number.ok_or_else(|| {
        Failure::usage(format!("--copy-connections is '{text}': give a number from 1 to 16"))
    })
}

fn snapshot_every(text: Option<String>) -> Result<Option<Duration>, Failure> {
    let every = text.map(|text| duration::parse(&text).map_err(Failure::usage)).transpose()?;
    if every.is_some_and(|every| every < SHORTEST_BETWEEN_SNAPSHOTS) {
        return Err(Failure::usage(
            "--snapshot-every must be 1s or longer: each snapshot copies all tables",
        ));
    }
    Ok(every)
}

pub(super) fn token(
    flag: Option<std::path::PathBuf>,
    config: &mut Config,
) -> Result<Option<Token>, Failure> {
    let flag = flag.filter(|file| !file.as_os_str().is_empty());
    let file = flag.or_else(|| config.token_file.take());
    if let Some(token) = std::env::var("TAILWATER_TOKEN").ok().and_then(|token| Token::new(&token))
    {
        return Ok(Some(token));
    }
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::usage(format!("the token file {} cannot be read: {error}", file.display()))
    })?;
    match Token::new(&text) {
        Some(token) => Ok(Some(token)),
        None => Err(Failure::usage(format!("the token file {} is empty", file.display()))),
    }
}

/// Rules in the order of the channels' names; `default` takes what no other names, so it comes last.
fn rules(config: Config) -> Result<Vec<ChannelRule>, Failure> {
    let mut rules = Vec::new();
    for (channel, of) in config.channels {
        if channel.is_control() {
            return Err(Failure::usage(
                "the channel 'control' is reserved: give channels.control another name",
            ));
        }
        of.tables
            .iter()
            .try_for_each(|pattern| ChannelRule::check_pattern(pattern))
            .map_err(wrong)?;
        rules.push(ChannelRule { channel, tables: of.tables });
    }
    rules.sort_by_key(|rule| rule.channel == ChannelName::default_channel());
    Ok(rules)
}
