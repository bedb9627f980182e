use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use wire::ChannelName;

use super::{
    args::{KeylessArg, OnLostSlotArg},
    failure::Failure,
};

/// The configuration file: flags by their names, and the channels.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Config {
    pub(super) source: Option<String>,
    pub(super) name: Option<String>,
    pub(super) slot: Option<String>,
    pub(super) publication: Option<String>,
    pub(super) tables: Option<OneOrMore>,
    pub(super) exclude: Option<OneOrMore>,
    pub(super) keyless: Option<KeylessArg>,
    #[serde(default)]
    pub(super) failover: bool,
    #[serde(default)]
    pub(super) ddl: bool,
    pub(super) on_lost_slot: Option<OnLostSlotArg>,
    pub(super) relay: Option<OneOrMore>,
    pub(super) token_file: Option<std::path::PathBuf>,
    pub(super) heartbeat_every: Option<String>,
    pub(super) start_within: Option<String>,
    pub(super) slot_within: Option<String>,
    pub(super) copy_connections: Option<Number>,
    pub(super) snapshot_every: Option<String>,
    #[serde(default)]
    pub(super) channels: BTreeMap<ChannelName, Channel>,
}

/// A channel of the configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Channel {
    pub(super) tables: Vec<String>,
}

/// `"a,b"` or `["a", "b"]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// `4` or `"4"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Number(i64),
    Text(String),
}

impl Number {
    pub(super) fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

impl OneOrMore {
    pub(super) fn list(self) -> Vec<String> {
        match self {
            Self::One(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            Self::More(list) => list,
        }
    }
}

impl Config {
    /// Reads the file; without one, everything is left to flags and environment.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("the configuration {} cannot be read: {error}", path.display()))
        })?;
        toml::from_str(&text).map_err(|error| {
            Failure::usage(format!(
                "the configuration {} is wrong: {}",
                path.display(),
                error.to_string().trim_end()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_what_is_unknown_refused() {
        let config: Config = toml::from_str(
            r#"
            source = "postgres://h/d"
            relay = ["http://a", "http://b"]
            tables = "public.*, sales.*"
            keyless = "full"
            heartbeat-every = "10s"
            copy-connections = 2
            [channels.sales]
            tables = ["sales.*"]
            "#,
        )
        .unwrap();
        assert_eq!(config.tables.unwrap().list(), ["public.*", "sales.*"]);
        assert_eq!(config.copy_connections.unwrap().text(), "2");
        assert_eq!(config.relay.unwrap().list().len(), 2);
        assert_eq!(config.channels[&ChannelName::new("sales").unwrap()].tables, ["sales.*"]);
        for wrong in [
            "sorce = 'x'",
            "[channels.a]\ntable = []",
            "[channels.\"a b\"]\ntables = []",
            "token = 'x'",
        ] {
            assert!(toml::from_str::<Config>(wrong).is_err(), "{wrong}");
        }
    }
}
