//! One connection through the proxy.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

use super::mode::{Direction, Mode, Shared};

const BUFFER: usize = 16 * 1024;

/// Carries `client`'s bytes as the mode of the moment wants it, until one side ends.
pub(super) async fn carry(mut client: TcpStream, shared: Arc<Shared>) {
    let cut = shared.until_cut();
    let mode = shared.mode();
    let _ = client.set_nodelay(true);
    let orderly = tokio::select! {
        () = cut.cancelled() => false,
        ended = serve(&mut client, &shared, mode) => ended.is_ok(),
    };
    if !orderly {
        // The client shall see a reset, not an end.
        let _ = client.set_zero_linger();
    }
}

async fn serve(
    client: &mut TcpStream,
    shared: &Shared,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let at_start = mode.borrow_and_update().clone();
    match at_start {
        Mode::Html(status) => return answer_html(client, status).await,
        Mode::Blackhole => return swallow(client, mode).await,
        Mode::Pass | Mode::Stall | Mode::Refuse | Mode::Truncate(..) => {}
    }
    let mut target = TcpStream::connect(shared.target()).await?;
    target.set_nodelay(true)?;
    let (client_in, client_out) = client.split();
    let (target_in, target_out) = target.split();
    let both_ways = async {
        tokio::try_join!(
            lane(client_in, target_out, Direction::ToTarget, shared, mode.clone()),
            lane(target_in, client_out, Direction::ToClient, shared, mode.clone()),
        )
    };
    tokio::select! {
        ended = both_ways => ended.map(drop),
        () = until_reset(mode.clone()) => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

/// Until a mode comes that open connections do not survive.
async fn until_reset(mut mode: watch::Receiver<Mode>) {
    // An error means that the proxy is gone: end, too.
    let _ = mode.wait_for(|mode| matches!(mode, Mode::Refuse | Mode::Html(_))).await;
}

async fn lane(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut passed: u64 = 0;
    loop {
        let count = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return to.shutdown().await;
        };
        let bytes = match wait_for_passage(&mut mode).await? {
            Mode::Truncate(cut, after) if cut == direction => {
                let left = usize::try_from(after.saturating_sub(passed)).unwrap_or(usize::MAX);
                bytes.get(..left.min(count)).unwrap_or(bytes)
            }
            _ => bytes,
        };
        to.write_all(bytes).await?;
        passed += bytes.len() as u64;
        if bytes.len() < count {
            // What was passed shall arrive before the reset discards it.
            to.flush().await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let pause = shared.lane(direction).pass(bytes.len() as u64);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

/// The mode, once it is one that lets bytes through.
async fn wait_for_passage(mode: &mut watch::Receiver<Mode>) -> io::Result<Mode> {
    let passing = mode.wait_for(|mode| matches!(mode, Mode::Pass | Mode::Truncate(..))).await;
    Ok(passing.map_err(io::Error::other)?.clone())
}

/// Reads and forgets, until the mode changes; then the connection is reset.
async fn swallow(client: &mut TcpStream, mut mode: watch::Receiver<Mode>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        tokio::select! {
            count = client.read(&mut buffer) => if count? == 0 { return Ok(()) },
            changed = mode.changed() => return changed.map_err(io::Error::other),
        }
    }
}

async fn answer_html(client: &mut TcpStream, status: u16) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = vec![0; BUFFER];
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    let page = "<!DOCTYPE html>\n<html><head><title>Please sign in</title></head><body>Free WiFi</body></html>\n";
    let answer = format!(
        "HTTP/1.1 {status} Something\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    // Take the rest of a body that is being sent, or the reset would overtake the answer.
    let drain = async { while client.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), drain).await;
    Ok(())
}
