//! A TCP proxy of our own, to stand between any two parts and misbehave on command.

mod connection;
mod mode;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::port::free_port;
use mode::Shared;
pub use mode::{Direction, Mode};

/// Listens on a port of loopback and carries bytes to a target and back; stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    mode: watch::Sender<Mode>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to `target`, in [`Mode::Pass`].
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let port = free_port()?;
        let (mode, current) = watch::channel(Mode::Pass);
        let shared = Arc::new(Shared::new(target, current));
        let listener = listen(port).await?;
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, mode, accepting })
    }

    /// A proxy to a port of loopback.
    pub async fn to_port(port: u16) -> Result<Self> {
        Self::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://…`, for a proxy before a relay.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How it behaves from now on, connections that are open included.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Resets all connections that are open now. New ones are taken.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Limits each direction to `bytes_per_second`, all connections together; `None`: no limit.
    pub fn limit(&self, bytes_per_second: Option<u64>) {
        self.shared.limit(bytes_per_second);
    }

    /// Bytes passed on in this direction since the start.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.shared.lane(direction).bytes()
    }

    /// Connections accepted since the start.
    pub fn connections(&self) -> u64 {
        self.shared.connections()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.cut();
    }
}

async fn listen(port: u16) -> Result<TcpListener> {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address)
        .await
        .with_context(|| format!("the proxy cannot listen on port {port}"))
}

/// Takes connections. While refusing there is no listener at all, so that clients get what they
/// get from a machine without the server: "connection refused".
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let port = listener.local_addr().map(|address| address.port());
    let mut listener = Some(listener);
    let mut mode = shared.mode();
    loop {
        let refuse = matches!(&*mode.borrow_and_update(), Mode::Refuse);
        match (&listener, refuse) {
            (Some(_), true) => listener = None,
            (Some(open), false) => {
                tokio::select! {
                    accepted = open.accept() => take(accepted, &shared),
                    changed = mode.changed() => if changed.is_err() { return },
                }
            }
            (None, true) => {
                if mode.changed().await.is_err() {
                    return;
                }
            }
            (None, false) => {
                if let Ok(port) = port {
                    listener = listen(port).await.ok();
                }
                if listener.is_none() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

fn take(accepted: io::Result<(TcpStream, SocketAddr)>, shared: &Arc<Shared>) {
    if let Ok((client, _)) = accepted {
        shared.count_connection();
        tokio::spawn(connection::carry(client, Arc::clone(shared)));
    }
}
