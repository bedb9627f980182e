//! The report that a pull carries in its headers.

use axum::http::HeaderMap;
use wire::{ChannelName, Hash, Lineage, Lsn, TerminalName, TerminalReport, TerminalState, headers};

use crate::server::problem::Refused;

fn text<'a>(request: &'a HeaderMap, name: &str) -> Option<&'a str> {
    request.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

fn bad(name: &str, text: &str, error: impl std::fmt::Display) -> Refused {
    let text: String = text.chars().take(100).collect();
    Refused::bad_request(format!("the header {name}: '{text}': {error}"))
}

/// The lineage that the terminal follows.
pub(super) fn lineage(request: &HeaderMap) -> Result<Option<Lineage>, Refused> {
    let found = text(request, headers::LINEAGE);
    found.map(|text| text.parse().map_err(|error| bad(headers::LINEAGE, text, error))).transpose()
}

/// The terminal's hashes.
pub(super) fn hashes(request: &HeaderMap) -> Result<Vec<(ChannelName, Hash)>, Refused> {
    let Some(list) = text(request, headers::HASHES) else { return Ok(Vec::new()) };
    let pair = |pair: &str| {
        let (channel, hash) =
            pair.split_once('=').ok_or_else(|| bad(headers::HASHES, pair, "write channel=hash"))?;
        let channel =
            ChannelName::new(channel.trim()).map_err(|error| bad(headers::HASHES, pair, error))?;
        let hash = hash.trim().parse().map_err(|error| bad(headers::HASHES, pair, error))?;
        Ok((channel, hash))
    };
    list.split(',').map(|found| pair(found.trim())).collect()
}

/// What the terminal says of itself; none where it gives no name.
pub(super) fn report(
    request: &HeaderMap,
    lineage: Option<Lineage>,
) -> Result<Option<TerminalReport>, Refused> {
    let Some(name) = text(request, headers::TERMINAL) else { return Ok(None) };
    let terminal = TerminalName::new(name).map_err(|error| bad(headers::TERMINAL, name, error))?;
    let applied = text(request, headers::APPLIED);
    let applied = applied
        .map(|text| text.parse::<Lsn>().map_err(|error| bad(headers::APPLIED, text, error)))
        .transpose()?;
    let state = text(request, headers::STATE);
    let state = state
        .map(|text| {
            let value = serde_json::Value::String(text.to_owned());
            serde_json::from_value(value).map_err(|error| bad(headers::STATE, text, error))
        })
        .transpose()?;
    let error = request.get(headers::ERROR).map(|value| percent_decoded(value.as_bytes()));
    Ok(Some(TerminalReport {
        terminal,
        lineage,
        applied,
        state: state.unwrap_or(TerminalState::Ok),
        error: error.filter(|error| !error.is_empty()),
        transactions: 0,
        changes: 0,
        divergence: None,
    }))
}

/// An error's text comes as percent-encoded UTF-8 (RFC 3986, 2.1).
fn percent_decoded(text: &[u8]) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, digit(tail.first()), digit(tail.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).chars().take(4000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(percent_decoded(b"a%20b%C3%A4%"), "a bä%");
        assert_eq!(percent_decoded(b"100%zz%4"), "100%zz%4");
        assert_eq!(percent_decoded("ä".repeat(5000).as_bytes()).chars().count(), 4000);
    }
}
