use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wire::{ChannelName, Hash};

use super::{name::TokenName, role::Role};

/// A token as it is kept: everything but the token.
///
/// A field that this version does not know could be a restriction, so a file with one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRecord {
    /// Its name, also that of its file.
    pub name: TokenName,
    /// The blake3 of the token. The token is 256 random bits: there is nothing to guess, so no salt.
    pub hash: Hash,
    /// What its holder is.
    pub role: Role,
    /// The channels it is limited to, `control` aside; none for all.
    #[serde(default)]
    pub channels: Option<BTreeSet<ChannelName>>,
    /// When it was made (RFC 3339, UTC).
    pub created_at: Timestamp,
}
