//! A newer session while a request of an older one is on its way.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wire::{ObjectKind, ProblemKind, headers};

use super::relay::{Relay, small};
use crate::feed::object;

const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_newer_session_has_overtaken_is_not_kept() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (old, feed) = relay.begin().await;
    let kind = ObjectKind::Transaction { session: old, xid: 1, part: 0 };
    let (_, part) = object(feed.lineage, "a", kind, b"rows");
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    let (session, len) = (headers::SESSION, part.len());
    let head = format!(
        "POST /v1/orders/objects HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nExpect: 100-continue\r\n\
         {session}: {old}\r\nContent-Length: {len}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The body is asked for, so the session was found to be the newest.
    let mut answer = [0; GO_ON.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, GO_ON);
    relay.resume().await;
    stream.write_all(&part).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = format!("HTTP/1.1 {} ", ProblemKind::Fenced.status());
    assert!(answer.starts_with(&status) && answer.contains("newest"), "{answer}");
}
