use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' cannot be the name of a {what}: use 1 to 63 of the characters A-Z a-z 0-9 _ . -, the first a letter or a digit"
)]
pub struct NameError {
    what: &'static str,
    name: String,
}

/// Names appear in URLs, file names and headers, so they are kept to characters that are safe in all.
fn check(what: &'static str, name: &str) -> Result<Arc<str>, NameError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let ok = (1..=63).contains(&name.len())
        && name.bytes().all(plain)
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if ok {
        Ok(name.into())
    } else {
        Err(NameError { what, name: name.chars().take(80).collect() })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the text: 1 to 63 of `A-Z a-z 0-9 _ . -`, the first a letter or a digit.
            pub fn new(name: &str) -> Result<Self, NameError> {
                check($what, name).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// One captured master database, by name.
    SourceName,
    "source"
);
name!(
    /// A named class of tables.
    ChannelName,
    "channel"
);
name!(
    /// A database that pulls and applies.
    TerminalName,
    "terminal"
);

impl ChannelName {
    /// The channel of every table that no rule names.
    pub fn default_channel() -> Self {
        Self("default".into())
    }

    /// The reserved channel that goes to everyone: channel map, definitions.
    pub fn control() -> Self {
        Self("control".into())
    }

    /// Whether this is the reserved channel.
    pub fn is_control(&self) -> bool {
        &*self.0 == "control"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths_and_headers() {
        for name in ["orders", "store-042", "a", "A.b_c", &"x".repeat(63)] {
            assert!(SourceName::new(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "-a", "_a", "a/b", "a b", "ä", "a\n", &"x".repeat(64)] {
            assert!(SourceName::new(name).is_err(), "{name}");
        }
    }
}
