use std::io::Write;

use super::{args::RetryArgs, failure::CliError, settings::target};
use crate::{
    postgres::PostgresTarget,
    progress::counted,
    pull::{Bounds, PullError, TargetAddress, retry as run},
    sqlite::SqliteTarget,
    target::{StoredState, Target},
};

/// Runs `retry`; prints what was applied and what was not.
pub(super) async fn retry(args: RetryArgs) -> Result<(), CliError> {
    let args = args.configured()?;
    match target(args.target.as_deref())? {
        TargetAddress::Postgres(server) => with(PostgresTarget::open(&server).await?, &args).await,
        TargetAddress::Sqlite(mut file) => {
            file.create = false;
            with(SqliteTarget::open(&file).await?, &args).await
        }
    }
}

async fn with<T: Target>(mut target: T, args: &RetryArgs) -> Result<(), CliError> {
    let sources = match &args.source_name {
        Some(source) => vec![source.clone()],
        None => target.sources().await?,
    };
    let (mut lines, mut left) = (Vec::new(), 0);
    for source in sources {
        let Some(stored) = target.stored(&source).await? else {
            let target = target.name().to_owned();
            return Err(PullError::NeverLoaded { target, source_name: source }.into());
        };
        if stored.state != StoredState::Ready {
            continue;
        }
        if !target.lock(&source, Bounds::default().lock_wait).await? {
            return Err(PullError::InUse { source_name: source }.into());
        }
        target.on_conflict(args.on_conflict.unwrap_or_default()).await?;
        // It may have moved until the lock was had.
        let Some(stored) = target.stored(&source).await? else { continue };
        let retried = run(&mut target, &source, &stored).await?;
        let applied = counted(retried.applied, "transaction");
        lines.push(format!("{source}: {applied} applied, {} in quarantine", retried.left.len()));
        lines.extend(retried.left.iter().map(|(lsn, why)| format!("  {lsn}: {why}")));
        left += retried.left.len();
    }
    target.close().await;
    let written = writeln!(std::io::stdout(), "{}", lines.join("\n"));
    written.map_err(|error| CliError::Io { doing: "write to standard output", error })?;
    if left > 0 { Err(CliError::Held { left }) } else { Ok(()) }
}
