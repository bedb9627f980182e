use std::{str::FromStr, sync::Arc, time::Duration};

use wire::{SourceName, TerminalName};

use super::{
    args::RelayArgs,
    connection::{relays, spool_dir},
    failure::CliError,
};
use crate::pull::{Bounds, Policy, Settings, TargetAddress};

/// How long a run that ends by itself goes on without progress where nothing else is said.
pub(super) const ONCE_PATIENCE: Duration = Duration::from_secs(60);

/// The target that was given.
pub(super) fn target(text: Option<&str>) -> Result<TargetAddress, CliError> {
    let missing = CliError::Missing { flag: "target", variable: "TAILWATER_TARGET" };
    Ok(TargetAddress::from_str(text.ok_or(missing)?)?)
}

/// What a pull or a reload needs to know.
pub(super) fn settings(
    args: &RelayArgs,
    source: SourceName,
    name: Option<TerminalName>,
    target: &TargetAddress,
    patience: Option<Duration>,
    bounds: Bounds,
    policy: Policy,
) -> Result<Arc<Settings>, CliError> {
    let relays = relays(args, &source, patience)?;
    Ok(Arc::new(Settings {
        source,
        terminal: name.unwrap_or_else(|| default_name(target)),
        spool_dir: Some(spool_dir(args)),
        channels: args.channels.clone(),
        relays,
        patience,
        bounds,
        policy,
    }))
}

/// This host and the target's database, as far as a name can hold them.
fn default_name(target: &TargetAddress) -> TerminalName {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.split('.').next().unwrap_or_default().trim();
    let text = format!("{host}-{}", target.database());
    let safe = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let name: String = text.chars().map(safe).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let name = name.get(..name.len().min(63)).unwrap_or("terminal");
    TerminalName::new(name)
        .or_else(|_| TerminalName::new("terminal"))
        .unwrap_or_else(|_| unreachable!())
}
