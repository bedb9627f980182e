use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use wire::{ChannelName, ChannelRule, Lsn, SourceName, TerminalName};

use super::{
    duration::parse_duration, load_connections::parse_connections, logging::LogFormat,
    rate::parse_rate,
};
use crate::{
    pull::Window,
    target::{OnConflict, OnError},
};

/// Pulls a PostgreSQL master's committed changes from a relay into PostgreSQL or SQLite.
#[derive(Debug, Parser)]
#[command(
    name = "tailwater-terminal",
    version,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "Exit codes: 0 done, or as much as --window left time for, 2 usage or configuration, 3 the other side refused, 4 not reachable or not ready in the time given, 1 the rest, a run once that a signal ended before it was done among it. With --follow, --every and --cron a signal is the ordinary end: 0."
)]
pub(super) struct Cli {
    /// How log lines on standard error look; RUST_LOG says what is logged [default: text].
    #[arg(long, env = "TAILWATER_LOG_FORMAT", global = true, value_enum)]
    pub(super) log_format: Option<LogFormat>,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Pull what the target lacks: a first load where it is new, which goes on where an earlier run
    /// was interrupted, then the changes. Made for cron: without more flags it runs once, to the
    /// relay's head as it is at the start.
    Pull(Box<PullArgs>),
    /// Load the relay's newest snapshot anew into a target that was loaded before: the repair where its
    /// tables were damaged, or something else wrote to them. Rows are loaded beside the old ones, which
    /// readers see until all are exchanged in one transaction; both need room meanwhile. Interrupted, it
    /// is gone on with by the next reload or pull. The target stands at the snapshot afterwards; pull next.
    /// One that was never loaded is refused: `pull` does the first load.
    Reload(Box<ReloadArgs>),
    /// Try again to apply what is in the target's quarantine (`pull --on-error quarantine`), once what was in its
    /// way is put right. Needs no relay. Exit code 1 where some of it stays.
    Retry(Box<RetryArgs>),
    /// Compare a target that was loaded before with the master, row for row: it is taken to a snapshot of
    /// the relay's from its position on (where there is none, capture is asked for one), and its tables are
    /// compared with that, one at a time, in temporary tables. Readers are not disturbed, and nothing
    /// stays. Exits with 1 where rows differ, and names them; --repair writes exactly those.
    Verify(Box<VerifyArgs>),
    /// Where a target stands, when it last committed, where the relay's head is and how far behind that is, when
    /// the relay last heard of it, and what the next pull will do; with a --config file that says when `pull`
    /// runs, when that is. It changes nothing and reports nothing. Where a relay is named that does not tell, what
    /// the target tells is printed all the same, and the exit code is 3 or 4.
    Status(Box<StatusArgs>),
    /// Print changes as they come, one a line, until told to stop; needs no target.
    Tail(Box<TailArgs>),
}

/// Where to pull from. Each flag can also be a key of the --config file, or TAILWATER_… in the
/// environment; a flag goes before the environment, that before the file.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct RelayArgs {
    /// The relays, in order of preference, separated by commas, e.g. http://relay:7070.
    #[arg(long, env = "TAILWATER_RELAY", value_delimiter = ',', value_name = "URL")]
    pub(super) relay: Vec<String>,
    /// The source's name at the relay, as capture was given it by --name.
    #[arg(long, env = "TAILWATER_SOURCE_NAME", value_name = "NAME")]
    pub(super) source_name: Option<SourceName>,
    /// The channels, separated by commas [default: all that the token allows].
    #[arg(long, env = "TAILWATER_CHANNELS", value_delimiter = ',', value_name = "NAME")]
    pub(super) channels: Vec<ChannelName>,
    /// File with the token, for a relay that wants one (or TAILWATER_TOKEN in the environment).
    #[arg(long, env = "TAILWATER_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Give up after so long without any progress, e.g. 30s, 10m [default: 1m; for status 10s; with
    /// --follow, --every and --cron never].
    #[arg(long, env = "TAILWATER_TIMEOUT", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) timeout: Option<Duration>,
    /// Directory for fetched objects until they are applied; it needs room for the largest
    /// transaction [default: $TMPDIR or /var/tmp].
    #[arg(long, env = "TAILWATER_SPOOL_DIR", value_name = "DIR")]
    pub(super) spool_dir: Option<PathBuf>,
    /// Read at most so many bytes a second from the relays, headers and TLS aside, e.g. 500k, 2M; 64k at
    /// least [default: as fast as they come].
    #[arg(long, env = "TAILWATER_MAX_RATE", value_parser = parse_rate, value_name = "BYTES")]
    pub(super) max_rate: Option<NonZeroU64>,
    /// TOML file whose keys are these flags' names.
    #[arg(long, env = "TAILWATER_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl Command {
    /// The configuration file that was named.
    pub(super) fn config(&self) -> Option<&std::path::Path> {
        let relay = match self {
            Self::Pull(args) => &args.relay,
            Self::Reload(args) => &args.relay,
            Self::Retry(args) => return args.config.as_deref(),
            Self::Verify(args) => &args.relay,
            Self::Status(args) => &args.relay,
            Self::Tail(args) => &args.relay,
        };
        relay.config.as_deref()
    }

    /// Whether it shows progress, unless it is to be quiet.
    pub(super) fn shows_progress(&self) -> bool {
        matches!(self, Self::Pull(_) | Self::Reload(_) | Self::Verify(_))
    }

    /// Whether a flag, or the environment, says `quiet`.
    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Self::Pull(args) => args.quiet,
            Self::Reload(args) => args.quiet,
            Self::Verify(args) => args.quiet,
            Self::Retry(_) | Self::Status(_) | Self::Tail(_) => false,
        }
    }
}

/// Flags of `pull`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct PullArgs {
    #[command(flatten)]
    pub(super) relay: RelayArgs,
    /// The target: postgres://USER:PASSWORD@HOST:5432/DATABASE (the password rather by PGPASSWORD) or
    /// sqlite:FILE.
    #[arg(long, env = "TAILWATER_TARGET", value_name = "URL", hide_env_values = true)]
    pub(super) target: Option<String>,
    /// This terminal's name in the relay's lag table [default: this host and the target's database].
    #[arg(long, env = "TAILWATER_NAME", value_name = "NAME")]
    pub(super) name: Option<TerminalName>,
    /// Run once, to the relay's head as it is at the start (the default).
    #[arg(long, env = "TAILWATER_ONCE")]
    pub(super) once: bool,
    /// Run again and again, with this pause between, e.g. 30s.
    #[arg(long, env = "TAILWATER_EVERY", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) every: Option<Duration>,
    /// Run at the times of a crontab expression, local time, e.g. '*/5 * * * *'.
    #[arg(long, env = "TAILWATER_CRON", value_name = "EXPRESSION")]
    pub(super) cron: Option<String>,
    /// Run on and on, and apply changes as they come.
    #[arg(long, env = "TAILWATER_FOLLOW")]
    pub(super) follow: bool,
    /// Before each run wait a time up to this, by chance, so that many terminals with the same schedule
    /// do not come all at once, e.g. 2m [default: none].
    #[arg(long, env = "TAILWATER_JITTER", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) jitter: Option<Duration>,
    /// Pull only in these hours, local time, e.g. 22:00-06:00. Outside of them --every, --cron and --follow
    /// wait, and a run once ends at once with 0; what is under way when they end stops behind a whole
    /// transaction, and goes on the next time [default: at all hours].
    #[arg(long, env = "TAILWATER_WINDOW", value_name = "FROM-TO")]
    pub(super) window: Option<Window>,
    /// Commit at the target after so many changes, between two of the source's transactions
    /// [default: 20000].
    #[arg(long, env = "TAILWATER_COMMIT_CHANGES", value_name = "NUMBER")]
    pub(super) commit_changes: Option<u64>,
    /// Or after so long, while more is there to apply [default: 1s].
    #[arg(long, env = "TAILWATER_COMMIT_AFTER", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) commit_after: Option<Duration>,
    /// Where a change does not meet its row, because something else wrote to the table: `apply` brings about the
    /// row that the source has, and counts it (`status`); `stop` ends the pull before its transaction
    /// [default: apply].
    #[arg(long, env = "TAILWATER_ON_CONFLICT", value_name = "POLICY")]
    pub(super) on_conflict: Option<OnConflict>,
    /// Where a transaction cannot be applied: `stop` ends the pull before it; `quarantine` keeps it aside, with
    /// what comes later for the same rows, and goes on with everything else [default: stop].
    #[arg(long, env = "TAILWATER_ON_ERROR", value_name = "POLICY")]
    pub(super) on_error: Option<OnError>,
    /// Connections of a PostgreSQL target that a load writes with, 1 to 16 [default: 4].
    #[arg(long, env = "TAILWATER_LOAD_CONNECTIONS", value_name = "NUMBER", value_parser = parse_connections)]
    pub(super) load_connections: Option<usize>,
    /// Refuse other writers on the source's tables at the target, by triggers, from now on and on tables that
    /// come later; --guard=false takes that off again. Not given, it stays as it is. It guards against
    /// accidents: who means to can get round it.
    #[arg(long, env = "TAILWATER_GUARD", value_name = "true|false", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    pub(super) guard: Option<bool>,
    /// Say nothing when all is well: no progress, no log lines but of what needs a person (what cannot be made
    /// here and is left out, a run that failed). What passes by itself, such as a relay that is asked again, is
    /// not told; RUST_LOG goes before this.
    #[arg(long, short, env = "TAILWATER_QUIET")]
    pub(super) quiet: bool,
}

/// Flags of `reload`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    pub(super) relay: RelayArgs,
    /// The target, as `pull` was given it.
    #[arg(long, env = "TAILWATER_TARGET", value_name = "URL", hide_env_values = true)]
    pub(super) target: Option<String>,
    /// This terminal's name, as `pull` was given it.
    #[arg(long, env = "TAILWATER_NAME", value_name = "NAME")]
    pub(super) name: Option<TerminalName>,
    /// Connections of a PostgreSQL target that a load writes with, 1 to 16 [default: 4].
    #[arg(long, env = "TAILWATER_LOAD_CONNECTIONS", value_name = "NUMBER", value_parser = parse_connections)]
    pub(super) load_connections: Option<usize>,
    /// Say nothing when all is well: no progress, no log lines but of what needs a person (what cannot be made
    /// here and is left out, a run that failed). What passes by itself, such as a relay that is asked again, is
    /// not told; RUST_LOG goes before this.
    #[arg(long, short, env = "TAILWATER_QUIET")]
    pub(super) quiet: bool,
}

/// Flags of `retry`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct RetryArgs {
    /// The target, as `pull` was given it.
    #[arg(long, env = "TAILWATER_TARGET", value_name = "URL", hide_env_values = true)]
    pub(super) target: Option<String>,
    /// The source whose transactions are tried [default: all that the target has].
    #[arg(long, env = "TAILWATER_SOURCE_NAME", value_name = "NAME")]
    pub(super) source_name: Option<SourceName>,
    /// Where a change does not meet its row, as for `pull` [default: apply].
    #[arg(long, env = "TAILWATER_ON_CONFLICT", value_name = "POLICY")]
    pub(super) on_conflict: Option<OnConflict>,
    /// TOML file whose keys are these flags' names.
    #[arg(long, env = "TAILWATER_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Flags of `verify`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub(super) relay: RelayArgs,
    /// The target, as `pull` was given it.
    #[arg(long, env = "TAILWATER_TARGET", value_name = "URL", hide_env_values = true)]
    pub(super) target: Option<String>,
    /// This terminal's name, as `pull` was given it.
    #[arg(long, env = "TAILWATER_NAME", value_name = "NAME")]
    pub(super) name: Option<TerminalName>,
    /// Compare only these tables of the master's, as schema.table with * for any characters, e.g. public.order_*;
    /// several times, or separated by commas [default: all].
    #[arg(long, env = "TAILWATER_TABLES", value_delimiter = ',', value_name = "PATTERN", value_parser = parse_pattern)]
    pub(super) tables: Vec<String>,
    /// Name so many of the rows of a table that differ; all are counted [default: 20].
    #[arg(long, env = "TAILWATER_SHOW", value_name = "NUMBER")]
    pub(super) show: Option<usize>,
    /// Write the rows that differ as the snapshot has them, all in one transaction, and compare again.
    #[arg(long)]
    pub(super) repair: bool,
    /// On the way to the snapshot, as for `pull` [default: apply].
    #[arg(long, env = "TAILWATER_ON_CONFLICT", value_name = "POLICY")]
    pub(super) on_conflict: Option<OnConflict>,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Show no progress; the result and errors only.
    #[arg(long, short, env = "TAILWATER_QUIET")]
    pub(super) quiet: bool,
}

/// Flags of `status`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) relay: RelayArgs,
    /// The target, as `pull` was given it.
    #[arg(long, env = "TAILWATER_TARGET", value_name = "URL", hide_env_values = true)]
    pub(super) target: Option<String>,
    /// This terminal's name, as `pull` was given it: by it the relay knows when it was last heard of.
    #[arg(long, env = "TAILWATER_NAME", value_name = "NAME")]
    pub(super) name: Option<TerminalName>,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// What the --config file says of when `pull` runs.
    #[arg(skip)]
    pub(super) pull: PullArgs,
}

/// Flags of `tail`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct TailArgs {
    #[command(flatten)]
    pub(super) relay: RelayArgs,
    /// Begin behind this position, e.g. 16/B374D848 [default: the relay's head].
    #[arg(long, env = "TAILWATER_AFTER", value_name = "LSN")]
    pub(super) after: Option<Lsn>,
    /// Only changes of these tables, as schema.table with * for any characters, e.g. public.order_*; several
    /// times, or separated by commas. Schema changes of theirs are among them [default: all].
    #[arg(long, env = "TAILWATER_TABLES", value_delimiter = ',', value_name = "PATTERN", value_parser = parse_pattern)]
    pub(super) tables: Vec<String>,
    /// One JSON object per change and line.
    #[arg(long)]
    pub(super) json: bool,
}

/// A pattern as channels have them.
pub(super) fn parse_pattern(text: &str) -> Result<String, String> {
    let pattern = text.trim();
    ChannelRule::check_pattern(pattern).map_err(|error| error.to_string())?;
    Ok(pattern.to_owned())
}
