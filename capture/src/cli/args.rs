use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::{Keyless, OnLostSlot};

/// Captures one PostgreSQL master's committed changes and appends them to a relay.
#[derive(Debug, Parser)]
#[command(
    name = "tailwater-capture",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 2 usage or configuration, 3 the other side refused, 4 not reachable or not ready in the time given, 1 the rest."
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t, env = "TAILWATER_LOG_FORMAT")]
    pub(super) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows what is missing on the master, and the SQL that puts it right.
    Check(CheckArgs),
    /// Captures until it is told to stop (SIGTERM, SIGINT).
    Run(Box<RunArgs>),
    /// Asks the running capture, through the relay, for a new snapshot.
    Snapshot(SnapshotArgs),
    /// The operator's word that a history which cannot go on begins anew from this master: shows what does not
    /// fit; with --yes, `run` begins with a new copy, and all terminals load it over what they have.
    Adopt(AdoptArgs),
    /// Drops the replication slot, the publication and the event triggers that capture made.
    Remove(RemoveArgs),
}

/// Which master, and what things on it are called.
#[derive(Debug, Args)]
pub(super) struct MasterArgs {
    /// The master database: postgres://USER@HOST:PORT/DATABASE?sslmode=…. The password may come from PGPASSWORD.
    #[arg(long, value_name = "URL", env = "TAILWATER_SOURCE", hide_env_values = true)]
    pub(super) source: Option<String>,
    /// The source's name at the relay.
    #[arg(long, env = "TAILWATER_NAME")]
    pub(super) name: Option<String>,
    /// The replication slot. Default: tailwater_NAME.
    #[arg(long, env = "TAILWATER_SLOT")]
    pub(super) slot: Option<String>,
    /// The publication. Default: tailwater_NAME.
    #[arg(long, env = "TAILWATER_PUBLICATION")]
    pub(super) publication: Option<String>,
    /// A TOML file: each flag is a key of it. Channels are given there only: [channels.NAME] tables = ["schema.table", …].
    #[arg(long, value_name = "FILE", env = "TAILWATER_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

/// Which tables.
#[derive(Debug, Args)]
pub(super) struct TableArgs {
    /// The tables to capture: schema.table, where * stands for any characters. Default: all.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',', env = "TAILWATER_TABLES")]
    pub(super) tables: Option<Vec<String>>,
    /// Columns that never leave the master: schema.table.column, where * stands for any characters.
    /// Needs PostgreSQL 15 or later.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',', env = "TAILWATER_EXCLUDE")]
    pub(super) exclude: Option<Vec<String>>,
    /// What becomes of tables without a usable replica identity. Default: refuse.
    #[arg(long, value_enum, env = "TAILWATER_KEYLESS")]
    pub(super) keyless: Option<KeylessArg>,
}

/// What becomes of the slot when a standby is promoted.
#[derive(Debug, Args)]
pub(super) struct FailoverArgs {
    /// Standbys get the slot, so that capture can go on from one that was promoted. Needs PostgreSQL 17 or
    /// later. Where synchronized_standby_slots is set, capture then waits for those standbys.
    #[arg(long, env = "TAILWATER_FAILOVER")]
    pub(super) failover: bool,
}

/// Whether schema changes are carried.
#[derive(Debug, Args)]
pub(super) struct DdlArgs {
    /// Carry schema changes (ALTER TABLE and the like) to the terminals: capture installs event triggers on the
    /// master, which needs a superuser there.
    #[arg(long, env = "TAILWATER_DDL")]
    pub(super) ddl: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KeylessArg {
    /// Stop, with the list and the SQL.
    Refuse,
    /// Set them to REPLICA IDENTITY FULL.
    Full,
    /// Leave them out.
    Skip,
}

impl From<KeylessArg> for Keyless {
    fn from(arg: KeylessArg) -> Self {
        match arg {
            KeylessArg::Refuse => Self::Refuse,
            KeylessArg::Full => Self::Full,
            KeylessArg::Skip => Self::Skip,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnLostSlotArg {
    /// Stop, and say why.
    Stop,
    /// Begin the history anew: a new slot and a new copy, which all terminals load over what they have.
    Resnapshot,
}

impl From<OnLostSlotArg> for OnLostSlot {
    fn from(arg: OnLostSlotArg) -> Self {
        match arg {
            OnLostSlotArg::Stop => Self::Stop,
            OnLostSlotArg::Resnapshot => Self::Resnapshot,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) master: MasterArgs,
    #[command(flatten)]
    pub(super) tables: TableArgs,
    #[command(flatten)]
    pub(super) failover: FailoverArgs,
    #[command(flatten)]
    pub(super) ddl: DdlArgs,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) master: MasterArgs,
    #[command(flatten)]
    pub(super) tables: TableArgs,
    #[command(flatten)]
    pub(super) failover: FailoverArgs,
    #[command(flatten)]
    pub(super) ddl: DdlArgs,
    /// The relay, or several in the order they are tried: http://HOST:PORT.
    #[arg(long, value_name = "URL,…", value_delimiter = ',', env = "TAILWATER_RELAY")]
    pub(super) relay: Option<Vec<String>>,
    /// A file with the token for the relay. Or put the token into TAILWATER_TOKEN.
    #[arg(long, value_name = "FILE", env = "TAILWATER_TOKEN_FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// What becomes of it where the replication slot was dropped or invalidated. Default: stop.
    #[arg(long, value_enum, env = "TAILWATER_ON_LOST_SLOT")]
    pub(super) on_lost_slot: Option<OnLostSlotArg>,
    /// How often a commit is made where the captured tables are quiet while WAL grows. Default: 60s.
    #[arg(long, value_name = "TIME", env = "TAILWATER_HEARTBEAT_EVERY")]
    pub(super) heartbeat_every: Option<String>,
    /// How long master and relay may be out of reach at the start. Default: 30s.
    #[arg(long, value_name = "TIME", env = "TAILWATER_START_WITHIN")]
    pub(super) start_within: Option<String>,
    /// How long making a slot may wait for transactions that are open. Default: 10m.
    #[arg(long, value_name = "TIME", env = "TAILWATER_SLOT_WITHIN")]
    pub(super) slot_within: Option<String>,
    /// Connections that read the tables for the first copy and for snapshots: 1 to 16, fewer where the server
    /// has no room. Default: 4.
    #[arg(long, value_name = "NUMBER", env = "TAILWATER_COPY_CONNECTIONS")]
    pub(super) copy_connections: Option<String>,
    /// Take a snapshot, from which new terminals start, whenever the newest one is so old. Default: never.
    #[arg(long, value_name = "TIME", env = "TAILWATER_SNAPSHOT_EVERY")]
    pub(super) snapshot_every: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SnapshotArgs {
    /// The relay, or several in the order they are tried: http://HOST:PORT.
    #[arg(long, value_name = "URL,…", value_delimiter = ',', env = "TAILWATER_RELAY")]
    pub(super) relay: Option<Vec<String>>,
    /// The source's name at the relay.
    #[arg(long, env = "TAILWATER_NAME")]
    pub(super) name: Option<String>,
    /// A file with the token for the relay, of the role capture or ops. Or put the token into TAILWATER_TOKEN.
    #[arg(long, value_name = "FILE", env = "TAILWATER_TOKEN_FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Wait until terminals can start from the new snapshot, at most so long. Default: do not wait; without a
    /// TIME: 1h.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1h")]
    pub(super) wait: Option<String>,
    /// The TOML file of `run`.
    #[arg(long, value_name = "FILE", env = "TAILWATER_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    #[command(flatten)]
    pub(super) master: MasterArgs,
    /// The relay, or several in the order they are tried: http://HOST:PORT.
    #[arg(long, value_name = "URL,…", value_delimiter = ',', env = "TAILWATER_RELAY")]
    pub(super) relay: Option<Vec<String>>,
    /// A file with the token for the relay, of the role capture. Or put the token into TAILWATER_TOKEN.
    #[arg(long, value_name = "FILE", env = "TAILWATER_TOKEN_FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Do it. Without this, it is only shown.
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    pub(super) master: MasterArgs,
    /// Only what --ddl installed: slot and publication stay.
    #[arg(long)]
    pub(super) ddl: bool,
}
