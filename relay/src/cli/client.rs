use std::{error::Error, time::Duration};

use reqwest::{Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use wire::{Lag, Problem, ProblemKind, SourceList, SourceName, TerminalName};

/// A relay over HTTP.
#[derive(Debug)]
pub(super) struct RelayClient {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// A relay that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("'{url}' is not the address of a relay: {reason}; write it like http://127.0.0.1:7070")]
    Url { url: String, reason: String },
    #[error("no HTTP client can be made: {}", causes(.0))]
    Client(#[source] reqwest::Error),
    #[error("the relay at {url} cannot be reached: {}; is it running, and is the address right?", causes(.source))]
    Unreachable { url: String, source: reqwest::Error },
    #[error("the relay at {url} refused: {}", problem.detail)]
    Refused { url: String, problem: Box<Problem> },
    #[error(
        "{url} answered {status} and not as a relay does; is this the address of a relay, or is a proxy between?"
    )]
    NoRelay { url: String, status: StatusCode },
    #[error("the answer of {url} cannot be read: {}; are the relay and this program of one version?", causes(.source))]
    Answer { url: String, source: reqwest::Error },
}

impl CallError {
    /// Whether trying later may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { problem, .. } => problem.kind == ProblemKind::Unavailable,
            Self::NoRelay { status, .. } => [
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ]
            .contains(status),
            Self::Url { .. } | Self::Client(_) | Self::Answer { .. } => false,
        }
    }

    /// Whether the relay knew what was wanted, and said no.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { problem, .. } => problem.status < 500,
            Self::NoRelay { status, .. } => {
                [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(status)
            }
            _ => false,
        }
    }

    /// Whether what was asked for is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem.kind == ProblemKind::NotFound)
    }
}

impl RelayClient {
    /// For the relay at `url`; `timeout` is for each of its answers.
    pub(super) fn new(
        url: &str,
        token: Option<String>,
        timeout: Duration,
    ) -> Result<Self, CallError> {
        let base = base_of(url).map_err(|reason| CallError::Url { url: url.to_owned(), reason })?;
        let mut builder = reqwest::Client::builder();
        if base.starts_with("http:") {
            // Else a system without trusted certificates, as small containers are, has no client at all.
            builder = builder.tls_certs_only([]);
        }
        let http = builder
            .user_agent(concat!("tailwater-relay/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .build()
            .map_err(CallError::Client)?;
        Ok(Self { base, token, http })
    }

    /// The sources it has.
    pub(super) async fn sources(&self) -> Result<Vec<SourceName>, CallError> {
        let list: SourceList = self.get("/v1/sources").await?;
        Ok(list.sources)
    }

    /// How far behind everyone is.
    pub(super) async fn lag(&self, source: &SourceName) -> Result<Lag, CallError> {
        self.get(&format!("/v1/{source}/lag")).await
    }

    /// Forgets a terminal.
    pub(super) async fn forget(
        &self,
        source: &SourceName,
        terminal: &TerminalName,
    ) -> Result<(), CallError> {
        self.call(Method::DELETE, &format!("/v1/{source}/terminals/{terminal}")).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let answer = self.call(Method::GET, path).await?;
        let url = answer.url().to_string();
        answer.json().await.map_err(|source| {
            if source.is_decode() {
                CallError::Answer { url, source }
            } else {
                CallError::Unreachable { url, source: source.without_url() }
            }
        })
    }

    async fn call(&self, method: Method, path: &str) -> Result<Response, CallError> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method, &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|source| CallError::Unreachable {
            url: self.base.clone(),
            source: source.without_url(),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        match answer.json::<Problem>().await {
            Ok(problem) => Err(CallError::Refused { url, problem: Box::new(problem) }),
            Err(_) => Err(CallError::NoRelay { url, status }),
        }
    }
}

fn base_of(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("it begins with '{}:', not with http: or https:", url.scheme()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "it has a user name or password; a token comes from TAILWATER_TOKEN or --token-file"
                .to_owned(),
        );
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// An error and what it came from: reqwest's own text leaves out the cause, e.g. "connection refused".
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for (text, base) in [
            ("http://127.0.0.1:7070", "http://127.0.0.1:7070"),
            ("http://relay:7070/", "http://relay:7070"),
            ("https://example.org/tailwater/", "https://example.org/tailwater"),
        ] {
            assert_eq!(base_of(text).as_deref(), Ok(base));
        }
        for text in [
            "",
            "relay:7070",
            "127.0.0.1:7070",
            "ftp://relay",
            "http://",
            "http://a?b",
            "http://u:p@a",
        ] {
            assert!(base_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn problems_are_sorted() {
        let refused = |kind| CallError::Refused {
            url: String::new(),
            problem: Box::new(Problem::new(kind, "")),
        };
        assert!(refused(ProblemKind::Unauthorized).is_refusal());
        assert!(refused(ProblemKind::UnknownSource).is_refusal());
        assert!(!refused(ProblemKind::Internal).is_refusal());
        assert!(refused(ProblemKind::Unavailable).is_passing());
        assert!(!refused(ProblemKind::Internal).is_passing());
        assert!(refused(ProblemKind::NotFound).is_missing());
        assert!(!refused(ProblemKind::UnknownSource).is_missing());
        let proxy = |status| CallError::NoRelay { url: String::new(), status };
        assert!(proxy(StatusCode::BAD_GATEWAY).is_passing());
        assert!(!proxy(StatusCode::NOT_FOUND).is_passing());
        assert!(proxy(StatusCode::FORBIDDEN).is_refusal());
    }
}
