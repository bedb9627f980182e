use std::fmt;

use reqwest::Url;

/// The text is no address of a relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{url}' is not the address of a relay ({why}): write http://HOST:PORT or https://HOST")]
pub struct AddressError {
    url: String,
    why: String,
}

/// Where a relay is: `http://HOST:PORT[/PREFIX]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddress(Url);

impl RelayAddress {
    /// Reads an address. Secrets have no place in it: addresses are printed.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let wrong =
            |why: &str| AddressError { url: text.chars().take(100).collect(), why: why.into() };
        let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            let why =
                "it holds a user or a password; tokens go into TAILWATER_TOKEN or --token-file";
            return Err(AddressError { url: "…@…".into(), why: why.into() });
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it does not begin with http:// or https://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has a query or a fragment"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }

    /// Whether TLS is spoken.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of a path of the interface, without a leading `/`.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path()));
        url
    }

    /// The URL that an answer of the relay names relative to its address; none where it leads
    /// anywhere else.
    pub(super) fn resolve(&self, relative: &str) -> Option<Url> {
        let path = relative.split(['?', '#']).next().unwrap_or_default();
        let elsewhere = path.contains(':') || path.contains('\\') || path.starts_with("//");
        if elsewhere || path.split('/').any(|part| part == "..") {
            return None;
        }
        Url::parse(&format!("{}{}", self.0, relative.trim_start_matches('/'))).ok()
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("http://127.0.0.1:7070", "http://127.0.0.1:7070"),
            (" https://relay.example/tw/ ", "https://relay.example/tw"),
        ] {
            assert_eq!(RelayAddress::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "relay:7070", "ftp://x", "http://x?y", "http://u:secret@x", "http://"] {
            let error = RelayAddress::parse(text).unwrap_err().to_string();
            assert!(error.contains("write http://") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn urls_below_the_address() {
        let relay = RelayAddress::parse("https://relay.example/tw").unwrap();
        assert_eq!(relay.at("v1/orders/log").as_str(), "https://relay.example/tw/v1/orders/log");
        for relative in ["/v1/orders/objects/ab?exp=1&sig=2", "v1/orders/objects/ab?exp=1&sig=2"] {
            assert_eq!(
                relay.resolve(relative).unwrap().as_str(),
                "https://relay.example/tw/v1/orders/objects/ab?exp=1&sig=2"
            );
        }
        for elsewhere in ["https://evil.example/x", "//evil.example/x", "/../x", "\\\\evil\\x"] {
            assert_eq!(relay.resolve(elsewhere), None, "{elsewhere}");
        }
    }
}
