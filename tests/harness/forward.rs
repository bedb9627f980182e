//! A forwarding HTTP proxy as companies have them: requests in absolute form (RFC 9112, 3.2.2), tunnels by
//! CONNECT (RFC 9110, 9.3.6).

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const PAGE: &str = "<html><body>Bad Gateway: the upstream is having a bad day</body></html>";
/// Longest head of a request.
const HEAD: usize = 64 << 10;

/// Forwards what clients send it; stops when dropped.
#[derive(Debug)]
pub struct ForwardProxy {
    url: String,
    shared: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<String>,
    failing: usize,
}

impl ForwardProxy {
    /// Starts one on a port of loopback.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Mutex::new(State::default()));
        let state = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&state)));
            }
        });
        Ok(Self { url, shared, accepting })
    }

    /// What a client's `HTTP_PROXY` says.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests that came so far: method and target.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared).requests.clone()
    }

    /// Answers the next so many requests by 502 and a page of HTML.
    pub fn fail(&self, requests: usize) {
        lock(&self.shared).failing = requests;
    }

    /// How many are still to be answered so.
    pub fn still_failing(&self) -> usize {
        lock(&self.shared).failing
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(mut client: TcpStream, state: Arc<Mutex<State>>) -> io::Result<()> {
    let (head, rest) = read_head(&mut client).await?;
    let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let failing = {
        let mut state = lock(&state);
        state.requests.push(format!("{method} {target}"));
        let failing = state.failing > 0;
        state.failing = state.failing.saturating_sub(1);
        failing
    };
    if failing {
        let len = PAGE.len();
        let head = format!(
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n"
        );
        client.write_all(format!("{head}{PAGE}").as_bytes()).await?;
        client.shutdown().await?;
        // A body that is still coming shall not make a reset of the answer.
        return tokio::io::copy(&mut client, &mut tokio::io::sink()).await.map(drop);
    }
    if method == "CONNECT" {
        let mut server = TcpStream::connect(target).await?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        server.write_all(&rest).await?;
        return copy_bidirectional(&mut client, &mut server).await.map(drop);
    }
    let Some((authority, path)) = target.strip_prefix("http://").and_then(|it| it.split_once('/'))
    else {
        let none = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(none.as_bytes()).await;
    };
    // One request on each connection: the next may be for another server.
    let mut forward = format!("{method} /{path} HTTP/1.1\r\nConnection: close\r\n");
    for header in headers.split("\r\n").filter(|header| !header.is_empty()) {
        let name = header.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if !["connection", "proxy-connection", "proxy-authorization"].contains(&name.as_str()) {
            forward.push_str(header);
            forward.push_str("\r\n");
        }
    }
    forward.push_str("\r\n");
    let mut server = TcpStream::connect(authority).await?;
    server.write_all(forward.as_bytes()).await?;
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// The head of a request without the empty line, and what came behind it.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            bytes.truncate(end);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if bytes.len() > HEAD || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
