use reqwest::RequestBuilder;
use wire::{ChannelHashes, Lineage, Lsn, TerminalName, TerminalState, headers};

/// Longest error that a header carries, bytes of UTF-8.
const ERROR_BYTES: usize = 1000;

/// What a terminal says of itself with each pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullReport {
    /// Its name; none for a reader that is not kept track of (`tail`).
    pub terminal: Option<TerminalName>,
    /// The position that its database has flushed.
    pub applied: Option<Lsn>,
    /// Its state.
    pub state: Option<TerminalState>,
    /// Its last error.
    pub error: Option<String>,
}

/// The request headers of a pull.
pub(super) fn with_report(
    mut request: RequestBuilder,
    report: &PullReport,
    lineage: Option<Lineage>,
    hashes: Option<&ChannelHashes>,
) -> RequestBuilder {
    if let Some(terminal) = &report.terminal {
        request = request.header(headers::TERMINAL, terminal.as_str());
    }
    if let Some(lineage) = lineage {
        request = request.header(headers::LINEAGE, lineage.to_string());
    }
    if let Some(applied) = report.applied {
        request = request.header(headers::APPLIED, applied.to_string());
    }
    if let Some(state) = report.state {
        // The name that JSON gives it.
        let name = serde_json::to_value(state).unwrap_or_default();
        request = request.header(headers::STATE, name.as_str().unwrap_or_default());
    }
    if let Some(error) = &report.error {
        request = request.header(headers::ERROR, percent_encoded(error));
    }
    let hashes: Vec<String> = hashes
        .into_iter()
        .flat_map(ChannelHashes::iter)
        .map(|(channel, hash)| format!("{channel}={hash}"))
        .collect();
    if !hashes.is_empty() {
        request = request.header(headers::HASHES, hashes.join(","));
    }
    request
}

/// All but letters, digits and `-._~` as `%XX` (RFC 3986, 2.1), cut to what a header should hold.
fn percent_encoded(text: &str) -> String {
    let ends = text.char_indices().map(|(at, char)| at + char.len_utf8());
    let cut = ends.take_while(|end| *end <= ERROR_BYTES).last().unwrap_or(0);
    text.bytes().take(cut).fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_safe_in_a_header() {
        assert_eq!(percent_encoded("Größe 5%\r\nX: y"), "Gr%C3%B6%C3%9Fe%205%25%0D%0AX%3A%20y");
        assert_eq!(percent_encoded(&"ä".repeat(900)), "%C3%A4".repeat(500));
    }
}
