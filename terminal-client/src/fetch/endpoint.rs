use std::{sync::Arc, time::Duration};

use reqwest::{Client, RequestBuilder, Url, header, redirect};
use tokio::time::timeout;
use wire::SourceName;

use super::{
    address::RelayAddress,
    answer::Answer,
    error::FetchError,
    failure::{Failure, FailureKind},
    flow::Flow,
    settings::FetchSettings,
    tls,
    token::Token,
};

/// One relay, as it is asked about one source.
#[derive(Debug)]
pub(super) struct Endpoint {
    http: Client,
    address: RelayAddress,
    source: SourceName,
    token: Option<Token>,
    settings: Arc<FetchSettings>,
    flow: Arc<Flow>,
}

impl Endpoint {
    /// One for each address. Nothing connects before it is used.
    pub(super) fn all(
        addresses: Vec<RelayAddress>,
        source: &SourceName,
        token: Option<&Token>,
        settings: &Arc<FetchSettings>,
        flow: &Arc<Flow>,
    ) -> Result<Vec<Self>, FetchError> {
        let first = addresses.first().ok_or_else(|| FetchError::Setup {
            relay: "the relay".into(),
            why: "no address was given: name at least one by --relay".into(),
        })?;
        let setup = |why| FetchError::Setup { relay: first.to_string(), why };
        let tls =
            tls::client_config(addresses.iter().any(RelayAddress::is_https)).map_err(setup)?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(settings.connect_timeout)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(30))
            // A redirect is a portal's or a proxy's, and the token goes nowhere it was not meant for.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tailwater-terminal/", env!("CARGO_PKG_VERSION")));
        if !settings.system_proxy {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| setup(error.to_string()))?;
        let endpoint = |address| Self {
            http: http.clone(),
            address,
            source: source.clone(),
            token: token.cloned(),
            settings: Arc::clone(settings),
            flow: Arc::clone(flow),
        };
        Ok(addresses.into_iter().map(endpoint).collect())
    }

    pub(super) fn address(&self) -> &RelayAddress {
        &self.address
    }

    pub(super) fn source(&self) -> &SourceName {
        &self.source
    }

    pub(super) fn settings(&self) -> &FetchSettings {
        &self.settings
    }

    /// A request about the source.
    pub(super) fn get(&self, what: &str) -> RequestBuilder {
        // Source names are plain, see `wire::SourceName`.
        self.authorized(self.http.get(self.address.at(&format!("v1/{}/{what}", self.source))))
    }

    /// A message about the source.
    pub(super) fn post(&self, what: &str) -> RequestBuilder {
        self.authorized(self.http.post(self.address.at(&format!("v1/{}/{what}", self.source))))
    }

    /// A request about the relay.
    pub(super) fn get_general(&self, path: &str) -> RequestBuilder {
        self.authorized(self.http.get(self.address.at(path)))
    }

    /// An object by its signed URL, without the token: the signature is the right, and caches keep
    /// nothing that was asked for with a token (RFC 9111, 3.5).
    pub(super) fn get_object(&self, url: Url) -> RequestBuilder {
        self.http.get(url)
    }

    /// Sends a request and waits until its answer begins, `wait` longer than for others.
    pub(super) async fn send(
        &self,
        doing: impl Into<String>,
        request: RequestBuilder,
        wait: Duration,
    ) -> Result<Answer, Failure> {
        let doing = doing.into();
        let waited = self.settings.answer_timeout.saturating_add(wait);
        let request = request.header(header::ACCEPT_ENCODING, "identity");
        let kind = match timeout(waited, request.send()).await {
            Ok(Ok(response)) => {
                let stall = self.settings.stall_timeout;
                let (relay, flow) = (self.address.to_string(), Arc::clone(&self.flow));
                return Ok(Answer::new(relay, doing, response, stall, flow));
            }
            Ok(Err(error)) if error.is_connect() => {
                FailureKind::Connect { error: error.without_url() }
            }
            Ok(Err(error)) => FailureKind::Broken { error: error.without_url() },
            Err(_) => FailureKind::Silent { what: "no answer", waited },
        };
        Err(self.failure(doing, kind))
    }

    /// An answer of this relay that was read and found wrong.
    pub(super) fn malformed(&self, doing: &str, why: String) -> Failure {
        self.failure(doing.to_owned(), FailureKind::Malformed { why })
    }

    pub(super) fn failure(&self, doing: String, kind: FailureKind) -> Failure {
        Failure { relay: self.address.to_string(), doing, kind, retry_after: None }
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        // Answers about the source are private and change: no cache may stand between.
        let request = request.header(header::CACHE_CONTROL, "no-store");
        match &self.token {
            Some(token) => request.header(header::AUTHORIZATION, token.authorization()),
            None => request,
        }
    }
}
