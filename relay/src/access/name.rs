use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a token: also the name of its file, so kept to characters that are safe there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TokenName(String);

/// The text cannot be a token's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' cannot be the name of a token: use 1 to 63 of the characters A-Z a-z 0-9 _ . -, the first a letter or a digit"
)]
pub struct TokenNameError(String);

impl TokenName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = TokenNameError;

    fn from_str(name: &str) -> Result<Self, TokenNameError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let ok = name.len() <= 63
            && name.bytes().all(plain)
            && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if ok {
            Ok(Self(name.to_owned()))
        } else {
            Err(TokenNameError(name.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for TokenName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TokenName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_file_names() {
        for name in ["ops", "store-042", "A.b_c", &"x".repeat(63)] {
            assert!(name.parse::<TokenName>().is_ok(), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "-a", "a/b", "a b", "ä", "a\0", &"x".repeat(64)] {
            assert!(name.parse::<TokenName>().is_err(), "{name}");
        }
    }
}
