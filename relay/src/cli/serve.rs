use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::net::{TcpListener, lookup_host};

use super::{failure::Failure, serve_args::ServeArgs, signals::on_signal};
use crate::{
    access::Tokens,
    server::{self, App, ServerSettings},
};

/// `serve`: until a signal, then until all is finished, flushed and closed.
pub(super) async fn serve(args: ServeArgs) -> Result<(), Failure> {
    let data_dir = args.data.data_dir.clone();
    let address = address(&args.listen).await?;
    let is_local = address.ip().to_canonical().is_loopback();
    if !is_local && Tokens::open(&data_dir)?.is_empty()? {
        return Err(Failure::NoTokens { address, data_dir });
    }
    let settings = ServerSettings { tokens_required: !is_local, ..args.settings() };
    // Before the port, so that a second relay is told of the data directory and not of the port.
    let app = open(data_dir.clone(), settings).await?;
    let listener =
        TcpListener::bind(address).await.map_err(|source| Failure::Listen { address, source })?;
    let address = listener.local_addr().map_err(Failure::Runtime)?;
    let stop = on_signal().map_err(Failure::Runtime)?;
    tracing::info!(%address, data_dir = %data_dir.display(), "serving");
    server::serve(listener, Arc::new(app), stop).await.map_err(Failure::Serve)?;
    tracing::info!("stopped");
    Ok(())
}

async fn address(listen: &str) -> Result<SocketAddr, Failure> {
    let failure = |source| Failure::Address { listen: listen.to_owned(), source };
    let mut found = lookup_host(listen).await.map_err(failure)?;
    found.next().ok_or_else(|| failure(std::io::Error::other("the name stands for no address")))
}

/// Looks through the data directory, which takes a while where there is much in it.
async fn open(data_dir: PathBuf, settings: ServerSettings) -> Result<App, Failure> {
    let opening = tokio::task::spawn_blocking(move || App::open(&data_dir, settings));
    Ok(opening.await.map_err(|error| Failure::Serve(error.into()))??)
}
