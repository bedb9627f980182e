use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::{ClientConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{certificate_hash::end_point, error::WalsenderError};
use crate::source::{Endpoint, Source, SslMode};

/// Sent bytes that stay without a TCP acknowledgement for so long break the connection.
const USER_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection on which nothing but the negotiation of TLS has been said.
pub(super) struct Socket {
    pub(super) reader: ReadHalf,
    pub(super) writer: WriteHalf,
    /// The server's certificate, hashed for channel binding.
    pub(super) end_point: Option<Vec<u8>>,
}

/// Connects to `endpoint`, with TLS where `source` asks for it.
pub(super) async fn open(source: &Source, endpoint: &Endpoint) -> Result<Socket, WalsenderError> {
    let place = endpoint.to_string();
    match endpoint {
        Endpoint::Unix { directory, port } => {
            let path = directory.join(format!(".s.PGSQL.{port}"));
            let stream = UnixStream::connect(path)
                .await
                .map_err(|source| WalsenderError::Connect { place, source })?;
            let (reader, writer) = stream.into_split();
            Ok(plain(reader, writer))
        }
        Endpoint::Tcp { host, address, port } => {
            let addresses = match address {
                Some(address) => vec![SocketAddr::new(*address, *port)],
                None => look_up(source, &place, host, *port).await?,
            };
            let stream = connect_any(source, &place, &addresses).await?;
            set_options(source, &stream)?;
            within(source, &place, "negotiating TLS", secure(source, host, place.clone(), stream))
                .await?
        }
    }
}

/// Gives `step` as long as the URL gives to connecting.
async fn within<T>(
    source: &Source,
    place: &str,
    doing: &'static str,
    step: impl Future<Output = T>,
) -> Result<T, WalsenderError> {
    let after = source.connect_timeout();
    let late = |_| WalsenderError::Timeout { place: place.to_owned(), doing, after };
    timeout(after, step).await.map_err(late)
}

async fn look_up(
    source: &Source,
    place: &str,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, WalsenderError> {
    let answer = within(source, place, "looking up the name", lookup_host((host, port))).await?;
    answer
        .map(Iterator::collect)
        .map_err(|source| WalsenderError::Connect { place: place.to_owned(), source })
}

fn plain(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> Socket {
    Socket { reader: Box::new(reader), writer: Box::new(writer), end_point: None }
}

async fn connect_any(
    source: &Source,
    place: &str,
    addresses: &[SocketAddr],
) -> Result<TcpStream, WalsenderError> {
    let no_address = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut failure = WalsenderError::Connect { place: place.to_owned(), source: no_address };
    for address in addresses {
        match within(source, place, "connecting", TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => {
                failure = WalsenderError::Connect { place: place.to_owned(), source };
            }
            Err(late) => failure = late,
        }
    }
    Err(failure)
}

/// So that a cut cable is noticed by the kernel, also while nobody reads.
fn set_options(source: &Source, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let config = source.config();
    if config.get_keepalives() {
        let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
        if let Some(interval) = config.get_keepalives_interval() {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(retries) = config.get_keepalives_retries() {
            keepalive = keepalive.with_retries(retries);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(
        config.get_tcp_user_timeout().copied().unwrap_or(USER_TIMEOUT),
    ))?;
    Ok(())
}

/// Asks for TLS and shakes hands (manual, 55.2.10 "SSL Session Encryption").
async fn secure(
    source: &Source,
    host: &str,
    place: String,
    mut stream: TcpStream,
) -> Result<Socket, WalsenderError> {
    let Some(config) = source.tls_config()? else {
        let (reader, writer) = stream.into_split();
        return Ok(plain(reader, writer));
    };
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await?;
    // One byte, unbuffered: whatever a man in the middle sends after it goes into the handshake and breaks it.
    match stream.read_u8().await? {
        b'S' => handshake(config, host, place, stream).await,
        b'N' if source.tls().mode == SslMode::Prefer => {
            let (reader, writer) = stream.into_split();
            Ok(plain(reader, writer))
        }
        b'N' => Err(WalsenderError::NoTls { place }),
        other => Err(WalsenderError::Unexpected {
            what: format!("'{}' instead of an answer about TLS", other.escape_ascii()),
            doing: "connecting",
        }),
    }
}

async fn handshake(
    config: Arc<ClientConfig>,
    host: &str,
    place: String,
    stream: TcpStream,
) -> Result<Socket, WalsenderError> {
    let failed = |source| WalsenderError::Handshake { place: place.clone(), source };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(failed)?;
    let certificates = stream.get_ref().1.peer_certificates();
    let end_point =
        certificates.and_then(|chain| chain.first()).and_then(|certificate| end_point(certificate));
    let (reader, writer) = tokio::io::split(stream);
    Ok(Socket { reader: Box::new(reader), writer: Box::new(writer), end_point })
}
