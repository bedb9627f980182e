//! The lag JSON of DESIGN's "Interfaces", read by types of our own on purpose: were these the
//! relay's, a changed shape would change both sides at once and no test would see it.
//!
//! Every field must be there; more may come.

use serde::{Deserialize, Deserializer};

use wire::Lsn;

#[derive(Debug, Clone, Deserialize)]
pub struct Lag {
    pub source: String,
    pub lineage: String,
    pub master: MasterLag,
    pub relay: RelayLag,
    pub capture: CaptureLag,
    pub terminals: Vec<TerminalLag>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct MasterLag {
    #[serde(deserialize_with = "present")]
    pub lsn: Option<Lsn>,
    #[serde(deserialize_with = "present")]
    pub seen_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct RelayLag {
    pub head: Lsn,
    pub horizon: Lsn,
    pub lag_bytes: u64,
    pub lag_seconds: f64,
    pub log_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CaptureLag {
    pub state: String,
    #[serde(deserialize_with = "present")]
    pub slot: Option<String>,
    #[serde(deserialize_with = "present")]
    pub retained_bytes: Option<u64>,
    #[serde(deserialize_with = "present")]
    pub last_contact: Option<String>,
    #[serde(deserialize_with = "present")]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct TerminalLag {
    pub name: String,
    #[serde(deserialize_with = "present")]
    pub applied: Option<Lsn>,
    #[serde(deserialize_with = "present")]
    pub lag_bytes: Option<u64>,
    #[serde(deserialize_with = "present")]
    pub lag_seconds: Option<f64>,
    #[serde(deserialize_with = "present")]
    pub last_seen: Option<String>,
    /// `loading`, `ok`, `behind`, `offline`, `error` or `expired`.
    pub state: String,
    #[serde(deserialize_with = "present")]
    pub error: Option<String>,
    #[serde(default)]
    pub divergence: Divergence,
}

/// Where a terminal is otherwise than the source.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Divergence {
    pub row_missing: u64,
    pub row_present: u64,
    pub quarantined: u64,
}

impl Lag {
    pub fn terminal(&self, name: &str) -> Option<&TerminalLag> {
        self.terminals.iter().find(|terminal| terminal.name == name)
    }
}

/// `null` is a value; a field that is left out is an error (serde's own rule for `Option` is milder).
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{"source":"orders","lineage":"5f0c",
     "master":{"lsn":"0/1A2B3C4","seen_at":"2026-01-02T03:04:05Z"},
     "relay":{"head":"0/1A2B3C4","horizon":"0/10","lag_bytes":0,"lag_seconds":0.0,"log_bytes":0},
     "capture":{"state":"streaming","slot":"s","retained_bytes":0,"last_contact":"2026-01-02T03:04:05Z","error":null},
     "terminals":[{"name":"store-042","applied":"0/1A2B3C4","lag_bytes":0,"lag_seconds":0.0,"last_seen":"2026-01-02T03:04:05Z","state":"ok","error":null}]}"#;

    #[test]
    fn reads_the_example() {
        let lag: Lag = serde_json::from_str(EXAMPLE).unwrap();
        assert_eq!(lag.terminal("store-042").unwrap().applied, Some("0/1A2B3C4".parse().unwrap()));
        assert!(lag.terminal("store-043").is_none());
    }

    #[test]
    fn misses_what_is_left_out() {
        let without = EXAMPLE.replace(r#","error":null}]"#, "}]");
        let error = serde_json::from_str::<Lag>(&without).unwrap_err().to_string();
        assert!(error.contains("missing field `error`"), "{error}");
    }
}
