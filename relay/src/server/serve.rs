use std::{io, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{app::App, metrics::recorder, router::router, settings::ServerSettings, timed::Timed};

/// What one connection may keep of what it sends or receives, bytes.
const CONNECTION_BUFFER: usize = 64 << 10;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 64;
/// Terminals' positions are written down this often.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// Each connection is an open file, and an ordinary login begins with 1,024: asks for all that the system
/// permits.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::debug!(%error, ?limit, "the number of open files stays as it is");
    }
}

/// Serves until `shutdown`, then stops accepting, lets requests under way finish, and closes the
/// logs: everything that was acknowledged is on disk.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    allow_open_files();
    let graceful = GracefulShutdown::new();
    let service = TowerToHyperService::new(router(app.clone()));
    let saving = tokio::spawn(save_now_and_then(app.clone(), shutdown.clone()));
    loop {
        let permit = tokio::select! {
            permit = app.connections.clone().acquire_owned() => permit.map_err(io::Error::other)?,
            () = shutdown.cancelled() => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, or a client that is gone already.
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = shutdown.cancelled() => break,
        };
        let service = service.clone();
        let io = connection(stream, &app.settings);
        let builder = builder(&app.settings);
        let connection = builder.serve_connection(io, service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(permit);
        });
    }
    drop(listener);
    app.stopping.cancel();
    if tokio::time::timeout(app.settings.drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time; they are cut off");
    }
    let _ = saving.await;
    tokio::task::spawn_blocking(move || app.sources.close()).await.map_err(io::Error::other)
}

fn connection(stream: TcpStream, settings: &ServerSettings) -> TokioIo<Timed<TcpStream>> {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    TokioIo::new(Timed::new(stream, settings.write_timeout))
}

fn builder(settings: &ServerSettings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(CONNECTION_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(CONNECTION_BUFFER)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(settings.write_timeout);
    builder
}

async fn save_now_and_then(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SAVE_EVERY) => {}
            () = shutdown.cancelled() => return,
        }
        let app = app.clone();
        let saving = tokio::task::spawn_blocking(move || {
            app.sources.retry();
            app.sources.save();
            app.sources.want_snapshots_by(&app.settings.snapshots);
        });
        let _ = saving.await;
        if let Some(recorder) = recorder() {
            recorder.run_upkeep();
        }
    }
}
