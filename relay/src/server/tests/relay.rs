//! A relay on a port of its own, and its clients.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder, Response};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use wire::{
    ChannelMap, Definitions, Facts, Hash, Lag, Lineage, Lsn, Manifest, Problem, ProblemKind,
    SessionAnswer, Slice, Snapshot, SnapshotList, headers, split_slice,
};

use crate::{
    feed::Feed,
    log::{LogSettings, StoreError},
    server::{App, OpenError, ServerSettings, serve},
};

/// A tail so small that a few slices fill it.
pub(in crate::server) fn small() -> ServerSettings {
    let log = LogSettings {
        tail_bytes: 64 << 10,
        ring_bytes: 32 << 10,
        object_bytes: 32 << 10,
        ..LogSettings::default()
    };
    ServerSettings { log, ..ServerSettings::default() }
}

pub(in crate::server) struct Relay {
    pub(in crate::server) address: SocketAddr,
    pub(in crate::server) client: Client,
    pub(in crate::server) token: Option<String>,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Relay {
    pub(in crate::server) async fn start(data_dir: &Path, settings: ServerSettings) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // What an earlier one was still writing in the background holds the folder a moment longer.
        let mut opened = App::open(data_dir, settings.clone());
        for _ in 0..100 {
            if !matches!(opened, Err(OpenError::Store(StoreError::Locked { .. }))) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            opened = App::open(data_dir, settings.clone());
        }
        let app = Arc::new(opened.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, app, shutdown.clone()));
        let client = Client::builder().no_proxy().build().unwrap();
        Self { address, client, token: None, shutdown, serving }
    }

    /// Stops it as SIGTERM would.
    pub(in crate::server) async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }

    pub(in crate::server) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(in crate::server) async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    pub(in crate::server) async fn session(&self, begin: bool) -> SessionAnswer {
        let body = serde_json::json!({"facts": facts(), "begin": begin});
        let request = self.ask(Method::POST, "/v1/orders/session").json(&body);
        ok(request.send().await.unwrap()).await.json().await.unwrap()
    }

    /// Begins a source at position 1000 with an empty snapshot; the feed goes on from there.
    pub(in crate::server) async fn begin(&self) -> (u64, Feed) {
        let answer = self.session(true).await;
        let (session, lineage) = (answer.session, answer.lineage.unwrap());
        let snapshot = empty_snapshot(lineage, 1000);
        ok(self.post_snapshot(session, &snapshot).await).await;
        (session, Feed::new(lineage, Lsn::new(1000), Default::default()))
    }

    /// Opens a session on a source that has begun; the feed goes on at its head.
    pub(in crate::server) async fn resume(&self) -> (u64, Feed) {
        let answer = self.session(false).await;
        let feed = Feed::new(answer.lineage.unwrap(), answer.head.unwrap(), answer.hashes);
        (answer.session, feed)
    }

    pub(in crate::server) async fn post_snapshot(
        &self,
        session: u64,
        snapshot: &Snapshot,
    ) -> Response {
        let request = self.ask(Method::POST, "/v1/orders/snapshot").json(snapshot);
        request.header(headers::SESSION, session).send().await.unwrap()
    }

    pub(in crate::server) async fn post_slice(&self, session: u64, slice: &Slice) -> Response {
        self.post_bytes("/v1/orders/log", session, slice.bytes().clone()).await
    }

    pub(in crate::server) async fn post_bytes(
        &self,
        path: &str,
        session: u64,
        bytes: Bytes,
    ) -> Response {
        let request = self.ask(Method::POST, path).header(headers::SESSION, session);
        request.body(bytes).send().await.unwrap()
    }

    pub(in crate::server) async fn append(&self, session: u64, slice: &Slice) -> Lsn {
        let answer = ok(self.post_slice(session, slice).await).await;
        answer.json::<wire::AppendAnswer>().await.unwrap().durable
    }

    pub(in crate::server) async fn pull(&self, after: Lsn, query: &str) -> Response {
        self.get(&format!("/v1/orders/log?after={after}{query}")).await
    }

    pub(in crate::server) async fn snapshots(&self, query: &str) -> SnapshotList {
        ok(self.get(&format!("/v1/orders/snapshot{query}")).await).await.json().await.unwrap()
    }

    pub(in crate::server) async fn lag(&self) -> Lag {
        ok(self.get("/v1/orders/lag").await).await.json().await.unwrap()
    }
}

pub(in crate::server) fn facts() -> Facts {
    Facts {
        system_identifier: "7000000000000000001".into(),
        database_oid: 5,
        database: "orders".into(),
        timeline: 1,
        slot: "tailwater_orders".into(),
    }
}

pub(in crate::server) fn empty_snapshot(lineage: Lineage, lsn: u64) -> Snapshot {
    Snapshot {
        lineage,
        lsn: Lsn::new(lsn),
        hashes: Default::default(),
        channel_map: ChannelMap::default(),
        definitions: Definitions::default(),
        tables: Vec::new(),
        created_at: "2026-11-21T00:00:00Z".into(),
    }
}

/// The answer, which must be a success.
pub(in crate::server) async fn ok(answer: Response) -> Response {
    if answer.status().is_success() {
        return answer;
    }
    panic!("{}: {}", answer.status(), answer.text().await.unwrap());
}

/// The problem, which the answer must be, of that kind.
pub(in crate::server) async fn problem(answer: Response, kind: ProblemKind) -> Problem {
    let status = answer.status().as_u16();
    let media = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let text = answer.text().await.unwrap();
    assert_eq!(media, wire::PROBLEM_TYPE, "{text}");
    let problem: Problem = serde_json::from_str(&text).unwrap();
    assert_eq!((problem.kind, status), (kind, kind.status()), "{text}");
    problem
}

pub(in crate::server) fn header_lsn(answer: &Response, name: &str) -> Lsn {
    answer.headers()[name].to_str().unwrap().parse().unwrap()
}

/// The slices of an answer, each checked.
pub(in crate::server) async fn slices(answer: Response) -> Vec<Slice> {
    let answer = ok(answer).await;
    assert_eq!(answer.headers()["content-type"], wire::SLICES_TYPE);
    let through = header_lsn(&answer, headers::THROUGH);
    let mut rest = answer.bytes().await.unwrap();
    let mut found: Vec<Slice> = Vec::new();
    while let Some((slice, left)) = split_slice(rest).unwrap() {
        slice.check().unwrap();
        if let Some(last) = found.last() {
            assert_eq!(last.header().through, slice.header().after);
        }
        found.push(slice);
        rest = left;
    }
    assert_eq!(found.last().unwrap().header().through, through);
    found
}

pub(in crate::server) async fn manifest(answer: Response) -> Manifest {
    let answer = ok(answer).await;
    assert_eq!(answer.headers()["content-type"], wire::MANIFEST_TYPE);
    answer.json().await.unwrap()
}

/// The hash of bytes that were fetched.
pub(in crate::server) async fn fetched(relay: &Relay, url: &str) -> (Hash, Bytes) {
    let bytes = ok(relay.get(url).await).await.bytes().await.unwrap();
    (Hash::of(&bytes), bytes)
}
