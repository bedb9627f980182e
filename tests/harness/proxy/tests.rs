use std::time::Duration;

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::{Direction, Mode, Proxy};
use crate::http;

/// A server that sends back what it gets, and a proxy before it.
async fn echo() -> Result<Proxy> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    Proxy::start(address).await
}

async fn connect(proxy: &Proxy) -> Result<TcpStream> {
    Ok(TcpStream::connect(("127.0.0.1", proxy.port())).await?)
}

async fn say(stream: &mut TcpStream, text: &str) -> Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8(answer)?)
}

const SOON: Duration = Duration::from_millis(200);

#[tokio::test]
async fn passes_stalls_and_goes_on() -> Result<()> {
    let proxy = echo().await?;
    let mut stream = connect(&proxy).await?;
    assert_eq!(say(&mut stream, "hello").await?, "hello");
    assert_eq!((proxy.bytes(Direction::ToTarget), proxy.bytes(Direction::ToClient)), (5, 5));

    proxy.set(Mode::Stall);
    assert!(timeout(SOON, say(&mut stream, "world")).await.is_err());
    proxy.set(Mode::Pass);
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"world");
    Ok(())
}

#[tokio::test]
async fn cuts_and_takes_new_connections() -> Result<()> {
    let proxy = echo().await?;
    let mut stream = connect(&proxy).await?;
    say(&mut stream, "hello").await?;
    proxy.cut();
    assert!(say(&mut stream, "again").await.is_err());
    assert_eq!(say(&mut connect(&proxy).await?, "anew").await?, "anew");
    assert_eq!(proxy.connections(), 2);
    Ok(())
}

#[tokio::test]
async fn refuses_and_listens_again() -> Result<()> {
    let proxy = echo().await?;
    let mut stream = connect(&proxy).await?;
    say(&mut stream, "hello").await?;
    proxy.set(Mode::Refuse);
    sleep(SOON).await;
    assert!(say(&mut stream, "again").await.is_err());
    assert!(connect(&proxy).await.is_err());
    proxy.set(Mode::Pass);
    sleep(SOON).await;
    assert_eq!(say(&mut connect(&proxy).await?, "anew").await?, "anew");
    Ok(())
}

#[tokio::test]
async fn truncates_answers() -> Result<()> {
    let proxy = echo().await?;
    proxy.set(Mode::Truncate(Direction::ToClient, 7));
    let mut stream = connect(&proxy).await?;
    stream.write_all(b"0123456789").await?;
    let mut answer = Vec::new();
    assert!(stream.read_to_end(&mut answer).await.is_err(), "a reset, not an end");
    assert_eq!(answer, b"0123456");
    Ok(())
}

#[tokio::test]
async fn swallows_everything() -> Result<()> {
    let proxy = echo().await?;
    proxy.set(Mode::Blackhole);
    let mut stream = connect(&proxy).await?;
    assert!(timeout(SOON, say(&mut stream, "hello")).await.is_err());
    Ok(())
}

#[tokio::test]
async fn answers_html() -> Result<()> {
    let proxy = echo().await?;
    for status in [200, 502] {
        proxy.set(Mode::Html(status));
        let answer = http::client()?.post(proxy.url()).body(vec![7; 100_000]).send().await?;
        assert_eq!(answer.status().as_u16(), status);
        assert!(answer.text().await?.starts_with("<!DOCTYPE html>"));
    }
    Ok(())
}

#[tokio::test]
async fn limits_the_rate() -> Result<()> {
    let proxy = echo().await?;
    proxy.limit(Some(100_000));
    let mut stream = connect(&proxy).await?;
    let started = std::time::Instant::now();
    say(&mut stream, &"x".repeat(50_000)).await?;
    assert!(started.elapsed() > Duration::from_millis(250), "{:?}", started.elapsed());
    Ok(())
}
