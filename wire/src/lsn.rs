use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A position in the master's write-ahead log, in bytes since its beginning; the only position type.
///
/// *At L* means: every commit whose **end** is ≤ L is in, no other. Printed as PostgreSQL prints
/// `pg_lsn`, e.g. `16/B374D848` (PostgreSQL manual, 8.20 "pg_lsn Type").
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// Before every commit.
    pub const ZERO: Lsn = Lsn(0);
    /// Behind every commit.
    pub const MAX: Lsn = Lsn(u64::MAX);

    /// The position `bytes` into the log.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The position in bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Bytes from `earlier` to here; 0 where `earlier` is not earlier.
    pub const fn bytes_since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a position: write it as PostgreSQL does, two hexadecimal numbers of at most 8 digits, e.g. 16/B374D848"
)]
pub struct ParseLsnError(String);

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let half = |digits: &str| {
            let plain =
                (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Lsn(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| ParseLsnError(text.chars().take(64).collect()))
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_and_read_as_postgresql_does() {
        for text in ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF", "0/1A2B3C4"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        assert_eq!("16/b374d848".parse::<Lsn>().unwrap().get(), 0x16_B374_D848);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "0", "/", "0/", "/0", "0/123456789", "+1/0", "0x1/0", "g/0", "1/2/3", " 0/0"]
        {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }
}
