use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;
use wire::{Problem, ProblemKind};

use crate::fetch::RelayAddress;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Where a `Range` begins.
    pub(crate) fn range(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }
}

/// The bytes to answer with; the connection is closed behind them, or left open for ever.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    stalls: bool,
}

impl Reply {
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), stalls: false }
    }

    /// With a right `Content-Length`, unless the headers give one.
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut head = format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\n");
        let bodiless = status == 204;
        if !bodiless && !headers.iter().any(|(name, _)| *name == "Content-Length") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Self::raw([head.as_bytes(), body].concat())
    }

    pub(crate) fn html(status: u16) -> Self {
        let body = b"<html><body>Please log in to the\n  hotel's network</body></html>";
        Self::new(status, &[("Content-Type", "text/html; charset=utf-8")], body)
    }

    pub(crate) fn json(body: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap();
        Self::new(200, &[("Content-Type", "application/json")], &body)
    }

    pub(crate) fn problem(problem: &Problem) -> Self {
        let body = serde_json::to_vec(problem).unwrap();
        Self::new(problem.status, &[("Content-Type", wire::PROBLEM_TYPE)], &body)
    }

    pub(crate) fn problem_of(kind: ProblemKind) -> Self {
        Self::problem(&Problem::new(kind, format!("words of the relay about {kind:?}")))
    }

    /// Without its last bytes.
    pub(crate) fn without_last(mut self, bytes: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - bytes);
        self
    }

    /// The connection stays open behind the bytes.
    pub(crate) fn stalling(mut self) -> Self {
        self.stalls = true;
        self
    }

    /// With another header.
    pub(crate) fn with(mut self, header: &str) -> Self {
        let at = self.bytes.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
        let line = format!("{header}\r\n");
        self.bytes.splice(at..at, line.into_bytes());
        self
    }
}

/// A relay that does what a test says. Each connection carries one request.
pub(crate) struct FakeRelay {
    url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    _task: AbortOnDropHandle<()>,
}

type Script = dyn Fn(&Request, usize) -> Reply + Send + Sync;

impl FakeRelay {
    /// Answers by a function of the request and of how many came for its path before.
    pub(crate) async fn start(
        script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, Arc::new(script), seen.clone()));
        Self { url, seen, _task: AbortOnDropHandle::new(task) }
    }

    /// Answers in this order; with the last for ever.
    pub(crate) async fn scripted(replies: Vec<Reply>) -> Self {
        let at = Mutex::new(0);
        Self::start(move |_, _| {
            let mut at = at.lock().unwrap();
            let reply = replies[*at].clone();
            *at = (*at + 1).min(replies.len() - 1);
            reply
        })
        .await
    }

    pub(crate) fn address(&self) -> RelayAddress {
        RelayAddress::parse(&self.url).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> RelayAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    RelayAddress::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
}

async fn serve(listener: TcpListener, script: Arc<Script>, seen: Arc<Mutex<Vec<Request>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, script.clone(), seen.clone()));
    }
}

async fn connection(mut stream: TcpStream, script: Arc<Script>, seen: Arc<Mutex<Vec<Request>>>) {
    let Some(request) = read(&mut stream).await else { return };
    let before = {
        let mut seen = seen.lock().unwrap();
        let before = seen.iter().filter(|other| other.path == request.path).count();
        seen.push(request.clone());
        before
    };
    let reply = script(&request, before);
    let _ = stream.write_all(&reply.bytes).await;
    if reply.stalls {
        std::future::pending::<()>().await;
    }
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    while bytes.len() < end + len {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let (path, query) = (path.to_owned(), query.to_owned());
    Some(Request { method, path, query, headers, body: bytes[end..].to_vec(), at: Instant::now() })
}
