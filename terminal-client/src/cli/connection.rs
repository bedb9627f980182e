use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use wire::SourceName;

use super::{args::RelayArgs, failure::CliError};
use crate::fetch::{FetchSettings, RelayAddress, Relays, Token};

/// The source's name that was given.
pub(super) fn source_name(args: &RelayArgs) -> Result<SourceName, CliError> {
    let missing = CliError::Missing { flag: "source-name", variable: "TAILWATER_SOURCE_NAME" };
    args.source_name.clone().ok_or(missing)
}

/// The relays that were given, to be asked for as long as `patience` says.
pub(super) fn relays(
    args: &RelayArgs,
    source: &SourceName,
    patience: Option<Duration>,
) -> Result<Arc<Relays>, CliError> {
    if args.relay.is_empty() {
        return Err(CliError::Missing { flag: "relay", variable: "TAILWATER_RELAY" });
    }
    let addresses = args.relay.iter().map(|text| RelayAddress::parse(text));
    let addresses: Vec<_> = addresses
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::Usage(format!("--relay: {error}")))?;
    let variable = env::var("TAILWATER_TOKEN").ok();
    let token = Token::find(variable.as_deref(), args.token_file.as_deref())?;
    let relays = Relays::new(addresses, source, token.as_ref(), settings(args, patience))?;
    Ok(Arc::new(relays))
}

/// Where objects lie until they are applied. `/tmp` is memory on many systems, and a huge transaction
/// must not be.
pub(super) fn spool_dir(args: &RelayArgs) -> PathBuf {
    match (&args.spool_dir, env::var_os("TMPDIR")) {
        (Some(directory), _) => directory.clone(),
        (None, Some(directory)) => directory.into(),
        (None, None) if Path::new("/var/tmp").is_dir() => "/var/tmp".into(),
        (None, None) => env::temp_dir(),
    }
}

/// No single step takes longer than the patience for all.
fn settings(args: &RelayArgs, patience: Option<Duration>) -> FetchSettings {
    let default = FetchSettings::default();
    let patience = patience.unwrap_or(Duration::MAX);
    let step = |default: Duration| default.min(patience.max(Duration::from_secs(1)));
    FetchSettings {
        patience,
        connect_timeout: step(default.connect_timeout),
        answer_timeout: step(default.answer_timeout),
        stall_timeout: step(default.stall_timeout),
        max_rate: args.max_rate,
        ..default
    }
}
