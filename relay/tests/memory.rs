//! The relay's program under load, its resident memory measured: at most 256 MB whatever comes.
//!
//! `TAILWATER_TEST_HUGE_MIB` sets the size of the huge transaction (default 512).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails; clippy's own exception ends at helper functions"
)]

#[path = "../src/feed.rs"]
#[allow(dead_code, reason = "shared with the crate's own tests, which use all of it")]
mod feed;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use feed::{Feed, object};
use reqwest::{Client, RequestBuilder};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use wire::{Lsn, ObjectKind, SessionAnswer, Slice, headers};

const BOUND: u64 = 256_000_000;
const MIB: usize = 1 << 20;

struct Relay {
    child: Child,
    address: String,
    client: Client,
    session: u64,
    _data: tempfile::TempDir,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Relay {
    async fn start() -> (Self, Feed) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tailwater-relay"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
            .arg(data.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the relay serves").unwrap();
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = event["address"].as_str() {
                break address.to_owned();
            }
        };
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| eprintln!("{line}"))
        });
        let client = Client::builder().no_proxy().build().unwrap();
        let mut relay = Self { child, address, client, session: 0, _data: data };
        let feed = relay.begin().await;
        (relay, feed)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        let url = format!("http://{}/v1/orders/{path}", self.address);
        self.client.post(url).header(headers::SESSION, self.session)
    }

    async fn begin(&mut self) -> Feed {
        let facts = json!({"system_identifier": "1", "database_oid": 1, "database": "d", "timeline": 1, "slot": "s"});
        let body = json!({"facts": facts, "begin": true});
        let answer = self.post("session").json(&body).send().await.unwrap();
        let answer: SessionAnswer = answer.json().await.unwrap();
        self.session = answer.session;
        let lineage = answer.lineage.unwrap();
        let snapshot = json!({
            "lineage": lineage, "lsn": "0/3E8", "hashes": {}, "created_at": "",
            "channel_map": {"rules": [], "tables": {}}, "tables": [],
            "definitions": {"extensions": [], "schemas": [], "types": [], "tables": []}
        });
        let answer = self.post("snapshot").json(&snapshot).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        Feed::new(lineage, Lsn::new(1000), Default::default())
    }

    async fn append(&self, slice: &Slice) {
        let answer = self.post("log").body(slice.bytes().clone()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    async fn upload(&self, bytes: Bytes) {
        let answer = self.post("objects").body(bytes).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    /// Prints what the phase took, and fails where it took too much.
    fn measure(&self, phase: &str, since: Instant) {
        let (peak, now) = (self.memory("VmHWM:"), self.memory("VmRSS:"));
        eprintln!(
            "{phase}: {:.1} s, resident {} MiB, peak so far {} MiB",
            since.elapsed().as_secs_f64(),
            now >> 20,
            peak >> 20
        );
        assert!(peak <= BOUND, "{phase}: {} MiB", peak >> 20);
    }

    /// Asks for the log and never reads the answer.
    async fn stall(&self, after: Lsn) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(self.address.parse().unwrap()).await.unwrap();
        let request = format!(
            "GET /v1/orders/log?after={after}&limit=67108864&wait=60 HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

fn noise(n: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&n.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Half of it compresses.
fn row(n: u64, len: usize) -> Vec<u8> {
    let mut row = noise(n, len / 2);
    row.resize(len, b'x');
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_256_mb_whatever_comes() {
    // A thousand long polls are a thousand files here too.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).unwrap();
    let (relay, mut feed) = Relay::start().await;
    relay.measure("started", Instant::now());

    let began = Instant::now();
    for n in 0..3000_u64 {
        let row = row(n, 100);
        relay.append(&feed.one(&[("a", &row)])).await;
    }
    relay.measure("3,000 small slices", began);

    let began = Instant::now();
    for n in 0..150_u64 {
        for part in 0..10 {
            feed.commit(&[
                ("a", &row(n * 100 + part, 100 << 10)),
                ("b", &row(n * 100 + part + 50, 50 << 10)),
            ]);
        }
        relay.append(&feed.slice()).await;
    }
    relay.measure("150 slices of 1.5 MiB, with sealing", began);

    let stalled_from = Lsn::new(feed.at);
    let began = Instant::now();
    for n in 0..4_u64 {
        for part in 0..4 {
            let row = noise(n * 4 + part, 15 * MIB);
            feed.commit(&[("a", &row)]);
        }
        relay.append(&feed.slice()).await;
    }
    relay.measure("4 slices of 60 MiB that do not compress", began);

    let began = Instant::now();
    let mut stalled = Vec::new();
    for n in 0..200 {
        let after = if n % 2 == 0 { stalled_from } else { Lsn::new(1000) };
        stalled.push(relay.stall(after).await);
    }
    for _ in 0..1000 {
        stalled.push(relay.stall(Lsn::new(feed.at)).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    relay.measure("200 readers that never read, 1,000 long polls", began);
    for n in 0..20_u64 {
        feed.commit(&[("a", &noise(n, 2 * MIB))]);
        relay.append(&feed.slice()).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    relay.measure("20 slices of 2 MiB to 1,000 that never read", began);
    drop(stalled);

    let mib = std::env::var("TAILWATER_TEST_HUGE_MIB").ok().and_then(|n| n.parse().ok());
    huge(&relay, &mut feed, mib.unwrap_or(512)).await;
}

/// A huge transaction: uploaded in parts of 16 MiB, four at once, closed, and fetched again.
async fn huge(relay: &Relay, feed: &mut Feed, mib: usize) {
    let began = Instant::now();
    let parts: Vec<u32> = (0..u32::try_from(mib / 16).unwrap()).collect();
    for four in parts.chunks(4) {
        let uploads = four.iter().map(|part| {
            let kind = ObjectKind::Transaction { session: relay.session, xid: 1, part: *part };
            let content = noise(u64::from(*part), 16 * MIB);
            relay.upload(object(feed.lineage, "a", kind, &content).1)
        });
        futures_util::future::join_all(uploads).await;
    }
    // One object as large as the rows of a table can be.
    let kind = ObjectKind::Snapshot { lsn: Lsn::new(1000), table: 1, part: 0, rows: 1 };
    relay.upload(object(feed.lineage, "a", kind, &noise(7, mib.min(1024) * MIB / 4)).1).await;
    let (slice, objects) = feed.huge("a", &row(1, 10 * MIB), relay.session);
    for (_, bytes) in objects {
        relay.upload(bytes).await;
    }
    relay.append(&slice).await;
    relay.measure(&format!("{mib} MiB in parts"), began);

    let began = Instant::now();
    let after = slice.header().after;
    let url = format!("http://{}/v1/orders/log?after={after}", relay.address);
    let manifest: wire::Manifest =
        relay.client.get(url).send().await.unwrap().json().await.unwrap();
    let parts = &manifest.ranges[0].channels[0].parts;
    let fetches = (0..20).map(|_| async {
        let url = format!("http://{}{}", relay.address, parts[0].url);
        let bytes = relay.client.get(url).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(wire::Hash::of(&bytes), parts[0].name);
    });
    futures_util::future::join_all(fetches).await;
    relay.measure("20 fetches at once", began);
}
