//! A relay for tests that answers as it is told, over a real socket.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use wire::{Problem, ProblemKind, SourceName};

use super::{Relay, RelayAddress};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// `log`, `objects`, …
    pub(super) what: String,
    pub(super) body: Vec<u8>,
}

/// What the relay does with it.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Json(String),
    Problem(ProblemKind),
    Html,
    /// The connection breaks.
    Hangup,
}

type Script = dyn FnMut(&Request) -> Answer + Send;

/// Serves until the test ends.
pub(super) async fn relay(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Arc<Relay> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, script.clone()));
        }
    });
    let address = RelayAddress::parse(&address).unwrap();
    Arc::new(Relay::new(address, SourceName::new("s").unwrap(), None).unwrap())
}

async fn serve(mut socket: TcpStream, script: Arc<Mutex<Box<Script>>>) {
    while let Some(request) = read(&mut socket).await {
        let answer = (script.lock().unwrap())(&request);
        let (status, kind, body) = match answer {
            Answer::Json(body) => (200, "application/json", body),
            Answer::Problem(kind) => {
                let problem = Problem::new(kind, "scripted");
                (kind.status(), wire::PROBLEM_TYPE, serde_json::to_string(&problem).unwrap())
            }
            Answer::Html => (502, "text/html", "<html>Bad <b>gateway</b></html>".to_owned()),
            Answer::Hangup => return,
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if socket.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(socket: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1)?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    socket.read_exact(&mut body).await.ok()?;
    Some(Request { what: path.rsplit('/').next()?.to_owned(), body })
}
