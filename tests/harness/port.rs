//! Ports for servers that must come back on the same one after a restart.

use std::{collections::HashSet, net::TcpListener, sync::Mutex};

use anyhow::{Result, bail};

/// A port on loopback that nothing listens on, given out once in this process.
///
/// Taken from below the kernel's range for outgoing connections (32768 and up): a server that is
/// down for a moment must neither lose its port to somebody's outgoing connection, nor may a
/// client that keeps trying it be connected to itself.
pub fn free_port() -> Result<u16> {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    for _ in 0..1000 {
        let port = rand::random_range(12_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_err() {
            continue;
        }
        let mut given = GIVEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if given.get_or_insert_default().insert(port) {
            return Ok(port);
        }
    }
    bail!("no free port between 12000 and 32000 on 127.0.0.1")
}
