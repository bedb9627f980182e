use tokio_util::sync::CancellationToken;

use super::{
    args::ReloadArgs,
    config::Configured,
    connection::source_name,
    failure::CliError,
    settings::{ONCE_PATIENCE, settings, target},
};
use crate::{
    progress::{Progress, shown_bytes},
    pull::{Bounds, Outcome, Policy, reload as run},
};

/// Runs `reload`; says at the end what was done.
pub(super) async fn reload(
    args: ReloadArgs,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let args = args.configured()?;
    let source = source_name(&args.relay)?;
    let target = target(args.target.as_deref())?;
    let patience = Some(args.relay.timeout.unwrap_or(ONCE_PATIENCE));
    let bounds = Bounds::default();
    let load_connections = args.load_connections.unwrap_or(bounds.load_connections);
    let bounds = Bounds { load_connections, ..bounds };
    let settings =
        settings(&args.relay, source, args.name, &target, patience, bounds, Policy::default())?;
    let outcome = run(&target, settings.clone(), progress, stop).await;
    progress.end();
    let received = shown_bytes(settings.relays.received());
    match outcome? {
        Outcome::AtHead { applied, .. } => {
            let source = &settings.source;
            progress.say(&format!(
                "{source} is loaded anew and stands at {applied}; pull next; {received} received"
            ));
            Ok(())
        }
        _ => Err(CliError::Stopped(format!(
            "{} is as it was, and the next reload or pull goes on with what was loaded; {received} received",
            settings.source
        ))),
    }
}
