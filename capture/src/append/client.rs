use std::{fmt, time::Duration};

use bytes::Bytes;
use reqwest::{Body, Client, Method, RequestBuilder, Response, Url, header};
use serde::de::DeserializeOwned;
use wire::{
    AppendAnswer, CaptureReport, Problem, Report, SLICES_TYPE, SessionAnswer, SessionRequest,
    Snapshot, SourceName, UploadAnswer, headers,
};

use super::error::RelayError;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take: a relay waits up to 10 s for an append's turn, and disks stall.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Added for each MiB sent, so that a slow line is not taken for a dead one.
const PER_MIB: Duration = Duration::from_secs(10);
/// No answer of a relay is longer; more is not read, whoever sends it: 32 MiB, the bound of a relay's
/// own documents.
const LONGEST_ANSWER: usize = 32 << 20;
/// Longest part of a foreign answer that is shown.
const EXCERPT: usize = 120;

/// The text is no address of a relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{url}' is not the address of a relay ({why}): write http://HOST:PORT or https://HOST")]
pub struct RelayUrlError {
    url: String,
    why: String,
}

/// Where a relay is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddress(Url);

impl RelayAddress {
    /// Reads `http://HOST:PORT[/PREFIX]`.
    pub fn parse(text: &str) -> Result<Self, RelayUrlError> {
        let wrong = |why: String| RelayUrlError { url: text.chars().take(100).collect(), why };
        let mut url = Url::parse(text.trim()).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it does not begin with http:// or https://".into()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has a query or a fragment".into()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let why = "tokens go into TAILWATER_TOKEN or --token-file";
            return Err(RelayUrlError { url: "…@…".into(), why: why.into() });
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// A secret that is never printed.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// From its text, surrounding white space left out; none from an empty text.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// One relay, as capture talks to it about one source.
#[derive(Debug, Clone)]
pub struct Relay {
    http: Client,
    address: RelayAddress,
    source: SourceName,
    token: Option<Token>,
}

impl Relay {
    /// A client for the relay at `address`; connects when first used.
    pub fn new(
        address: RelayAddress,
        source: SourceName,
        token: Option<Token>,
    ) -> Result<Self, RelayError> {
        let mut builder = Client::builder();
        if address.0.scheme() == "http" {
            // Else a system without trusted certificates, as small containers are, has no client at all.
            builder = builder.tls_certs_only([]);
        }
        let http = builder
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("tailwater-capture/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| unreachable(&address, source))?;
        Ok(Self { http, address, source, token })
    }

    /// Where it is.
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// Opens a session: asks what the relay has, and fences older captures.
    pub async fn session(&self, request: &SessionRequest) -> Result<SessionAnswer, RelayError> {
        self.answer("the session", self.post("session").json(request)).await
    }

    /// Appends one slice.
    pub async fn append(&self, session: u64, slice: Bytes) -> Result<AppendAnswer, RelayError> {
        let request = self.post("log").header(header::CONTENT_TYPE, SLICES_TYPE);
        self.answer("an append", self.with_body(request, session, slice)).await
    }

    /// Brings one object.
    pub async fn object(&self, session: u64, object: Bytes) -> Result<UploadAnswer, RelayError> {
        let request = self.post("objects").header(header::CONTENT_TYPE, "application/octet-stream");
        self.answer("an object", self.with_body(request, session, object)).await
    }

    /// Brings the list of a complete snapshot.
    pub async fn snapshot(&self, session: u64, snapshot: &Snapshot) -> Result<(), RelayError> {
        let request = self.post("snapshot").header(headers::SESSION, session).json(snapshot);
        self.send("the snapshot", request).await.map(drop)
    }

    /// Says how capture is.
    pub async fn report(&self, report: CaptureReport) -> Result<(), RelayError> {
        let request = self.post("report").json(&Report::Capture(report));
        self.send("a report", request.timeout(CONNECT_TIMEOUT)).await.map(drop)
    }

    /// Whether a relay answers at the address.
    pub async fn is_alive(&self) -> bool {
        let Ok(url) = self.address.0.join("healthz") else { return false };
        let answer = self.http.get(url).timeout(CONNECT_TIMEOUT).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    pub(super) fn post(&self, what: &str) -> RequestBuilder {
        self.request(Method::POST, what)
    }

    pub(super) fn get(&self, what: &str) -> RequestBuilder {
        self.request(Method::GET, what)
    }

    fn request(&self, method: Method, what: &str) -> RequestBuilder {
        let mut url = self.address.0.clone();
        // Source names are plain, see `wire::SourceName`.
        url.set_path(&format!("{}v1/{}/{what}", url.path(), self.source));
        let request = self.http.request(method, url);
        match &self.token {
            Some(Token(token)) => request.bearer_auth(token),
            None => request,
        }
    }

    fn with_body(&self, request: RequestBuilder, session: u64, body: Bytes) -> RequestBuilder {
        let mib = u32::try_from(body.len() >> 20).unwrap_or(u32::MAX);
        request
            .header(headers::SESSION, session)
            .timeout(ANSWER_TIMEOUT + PER_MIB.saturating_mul(mib))
            .body(Body::from(body))
    }

    pub(super) async fn answer<T: DeserializeOwned>(
        &self,
        doing: &'static str,
        request: RequestBuilder,
    ) -> Result<T, RelayError> {
        let answer = self.send(doing, request).await?;
        self.read(doing, answer).await
    }

    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        doing: &'static str,
        answer: Response,
    ) -> Result<T, RelayError> {
        let bytes = self.body(answer).await?;
        serde_json::from_slice(&bytes).map_err(|source| {
            let url = self.address.to_string();
            RelayError::Answer { url, doing, source }
        })
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, RelayError> {
        let mut body = Vec::new();
        let broken = |source| unreachable(&self.address, source);
        while body.len() <= LONGEST_ANSWER
            && let Some(piece) = answer.chunk().await.map_err(broken)?
        {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    pub(super) async fn send(
        &self,
        doing: &'static str,
        request: RequestBuilder,
    ) -> Result<Response, RelayError> {
        let answer = request.send().await.map_err(|source| unreachable(&self.address, source))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let url = self.address.to_string();
        let body = self.body(answer).await?;
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => RelayError::Refused { url, doing, problem: Box::new(problem) },
            Err(_) => {
                let text = String::from_utf8_lossy(&body);
                let excerpt = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let excerpt = excerpt.chars().take(EXCERPT).collect();
                RelayError::Foreign { url, doing, status, excerpt }
            }
        })
    }
}

fn unreachable(address: &RelayAddress, source: reqwest::Error) -> RelayError {
    let what = if source.is_timeout() {
        "no answer in time"
    } else if source.is_connect() {
        "no connection"
    } else if source.is_body() || source.is_decode() {
        "the answer broke off"
    } else {
        "the connection broke"
    };
    let (url, what) = (address.to_string(), what.to_owned());
    RelayError::Unreachable { url, what, source: source.without_url() }
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
}
