//! Whatever clients do, others are served and memory stays bounded.

use std::time::{Duration, Instant};

use reqwest::{Body, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wire::{Lsn, ProblemKind, headers};

use super::{
    pulls::{fill, noise},
    relay::{Relay, problem, slices, small},
};
use crate::server::ServerSettings;

fn impatient() -> ServerSettings {
    ServerSettings {
        header_timeout: Duration::from_millis(300),
        write_timeout: Duration::from_millis(500),
        body_timeout: Duration::from_millis(300),
        ..small()
    }
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Reads until the other side closes; how many bytes came.
async fn read_to_end(stream: &mut TcpStream) -> u64 {
    let mut bytes = vec![0; 64 << 10];
    let mut count = 0;
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        count += read as u64;
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_cut_off() {
    let data = tempfile::tempdir().unwrap();
    let mut settings = impatient();
    settings.log.tail_bytes = 64 << 20;
    settings.log.ring_bytes = 32 << 20;
    let relay = Relay::start(data.path(), settings).await;
    let (session, mut feed) = relay.begin().await;
    for n in 0..40 {
        relay.append(session, &feed.one(&[("a", &noise(n, 400_000))])).await;
    }
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(relay.address).await.unwrap();
    let request = "GET /v1/orders/log?after=0/3E8&limit=67108864 HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // Others were served meanwhile, and what it left behind is not held for it.
    assert_eq!(slices(relay.pull(Lsn::new(1000), "&limit=1").await).await.len(), 1);
    let came = read_to_end(&mut stream).await;
    assert!(came < 14 << 20, "{came} bytes, though nobody read");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_is_given_up() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), impatient()).await;
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    stream.write_all(b"GET /healthz HT").await.unwrap();
    let began = Instant::now();
    read_to_end(&mut stream).await;
    assert!(began.elapsed() < Duration::from_secs(5));

    let (session, mut feed) = relay.begin().await;
    let slice = feed.one(&[("a", &noise(1, 50_000))]);
    let half = slice.bytes().slice(..20_000);
    let stalled = futures_util::stream::unfold(Some(half), async |half| match half {
        Some(half) => Some((Ok::<_, std::io::Error>(half), None)),
        None => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            None
        }
    });
    let request = relay.ask(Method::POST, "/v1/orders/log").header(headers::SESSION, session);
    let began = Instant::now();
    let answer = request.body(Body::wrap_stream(stalled)).send().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    if let Ok(answer) = answer {
        problem(answer, ProblemKind::BadRequest).await;
    }
    relay.append(session, &slice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_refused_before_it_is_taken() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, _) = relay.begin().await;
    for (path, claimed) in [
        ("/v1/orders/log", (64_u64 << 20) + 1),
        ("/v1/orders/objects", 2 << 30),
        ("/v1/orders/snapshot", 1 << 30),
        ("/v1/orders/report", 1 << 20),
    ] {
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nTailwater-Session: {session}\r\nContent-Length: {claimed}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 200];
        let read = stream.read(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(text.starts_with("HTTP/1.1 413"), "{path}: {text}");
    }
}

/// PITFALLS 42.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_long_polls_are_cheap() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path(), small()).await;
    let (session, mut feed) = relay.begin().await;
    fill(&relay, session, &mut feed, 5).await;
    let after = Lsn::new(feed.at);
    let before = resident();
    let url = format!("http://{}/v1/orders/log?after={after}&wait=60", relay.address);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\n\r\n",
        url.split_once("/v1").map(|(_, p)| format!("/v1{p}")).unwrap()
    );
    let mut polls = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        polls.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{} KiB for a thousand polls", grown >> 10);
    let began = Instant::now();
    relay.append(session, &feed.one(&[("a", b"news")])).await;
    for stream in &mut polls {
        let mut answer = [0; 400];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

async fn healthy(stream: &mut TcpStream) -> bool {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 1000];
    let read = stream.read(&mut answer).await.unwrap();
    answer[..read].starts_with(b"HTTP/1.1 200")
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_allowed_wait_for_one_to_end() {
    let data = tempfile::tempdir().unwrap();
    let settings = ServerSettings { max_connections: 2, ..small() };
    let relay = Relay::start(data.path(), settings).await;
    let mut first = TcpStream::connect(relay.address).await.unwrap();
    let mut second = TcpStream::connect(relay.address).await.unwrap();
    assert!(healthy(&mut first).await && healthy(&mut second).await);
    let mut third = TcpStream::connect(relay.address).await.unwrap();
    let served = healthy(&mut third);
    let mut served = std::pin::pin!(served);
    for _ in 0..100 {
        tokio::select! {
            biased;
            _ = &mut served => panic!("a third is served while two are open"),
            healthy = healthy(&mut first) => assert!(healthy),
        }
    }
    drop(first);
    assert!(served.await);
}
