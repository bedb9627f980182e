mod json;
mod text;

use std::io::Write;

use tokio_util::sync::CancellationToken;

use super::{
    args::VerifyArgs,
    config::Configured,
    connection::source_name,
    failure::CliError,
    settings::{ONCE_PATIENCE, settings, target},
};
use crate::{
    progress::Progress,
    pull::{Bounds, CompareOptions, Policy, Verdict, Verified, verify as run},
};

/// Differing rows of a table that are named where nothing else is said.
const SHOW: usize = 20;

/// Runs `verify`; says what was found.
pub(super) async fn verify(
    args: VerifyArgs,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let args = args.configured()?;
    let source = source_name(&args.relay)?;
    let target = target(args.target.as_deref())?;
    let patience = Some(args.relay.timeout.unwrap_or(ONCE_PATIENCE));
    let policy = Policy { on_conflict: args.on_conflict.unwrap_or_default(), ..Policy::default() };
    let settings =
        settings(&args.relay, source, args.name, &target, patience, Bounds::default(), policy)?;
    let show = args.show.unwrap_or(SHOW);
    let options = CompareOptions { tables: args.tables, show, repair: args.repair };
    let found = run(&target, settings.clone(), &options, progress, stop).await;
    progress.end();
    let Some(found) = found? else {
        let left = "it was not compared to the end, and nothing was repaired; the next pull goes on as ever";
        return Err(CliError::Stopped(left.into()));
    };
    let text = match args.json {
        true => json::shown(&settings.source, &found)
            .map_err(|error| CliError::Usage(error.to_string()))?,
        false => text::shown(&settings.source, &found),
    };
    let written = writeln!(std::io::stdout(), "{}", text.trim_end());
    written.map_err(|error| CliError::Io { doing: "write to standard output", error })?;
    if found.same() { Ok(()) } else { Err(CliError::Differs(advice(&found))) }
}

fn advice(found: &Verified) -> String {
    let unlike = found.tables.iter().any(|of| matches!(of.verdict, Verdict::Unlike(_)));
    let tables = found.tables.iter().filter(|of| of.verdict != Verdict::Same).count();
    let tables = match tables {
        1 => "1 table is not as the master's".to_owned(),
        tables => format!("{tables} tables are not as the master's"),
    };
    let lsn = found.lsn;
    match (unlike, found.repaired) {
        (true, _) => format!(
            "at {lsn} {tables}, not in shape either: `tailwater-terminal reload` loads all tables anew"
        ),
        (false, None) => format!(
            "at {lsn} {tables}: see above which rows; --repair writes exactly those, `tailwater-terminal reload` loads all tables anew"
        ),
        (false, Some(_)) => format!(
            "at {lsn} {tables}, also after the repair: something here writes to the rows, a trigger or another program. End that, and try again"
        ),
    }
}
