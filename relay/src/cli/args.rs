use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use wire::{ChannelName, SourceName, TerminalName};

use super::{data_dir::DataDir, quantity::parse_time, serve_args::ServeArgs};
use crate::access::{Role, TokenName};

const EXIT_CODES: &str = "\
Exit codes: 0 done, 2 usage or configuration, 3 the relay refused, 4 the relay is not reachable or \
not ready, 1 the rest.";

/// Keeps the log of captured changes and serves it to terminals over HTTP
#[derive(Debug, Parser)]
#[command(name = "tailwater-relay", version, max_term_width = 100, after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Cli {
    /// TOML file whose keys are long options without their dashes, e.g. `listen = "127.0.0.1:7070"`.
    /// The command line wins over the environment, that over the file
    #[arg(long, global = true, env = "TAILWATER_CONFIG", value_name = "FILE")]
    #[arg(help_heading = "Everywhere")]
    pub(super) config: Option<PathBuf>,
    /// How log lines are written to standard error. What is logged: RUST_LOG (default `info`)
    #[arg(long, global = true, env = "TAILWATER_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(value_enum, default_value = "text", help_heading = "Everywhere")]
    pub(super) log_format: LogFormat,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a relay
    Serve(Box<ServeArgs>),
    /// Make, list and revoke tokens; works while the relay runs, on the same machine
    #[command(subcommand)]
    Token(TokenCommand),
    /// List and forget terminals, at a running relay
    #[command(subcommand)]
    Terminal(TerminalCommand),
    /// Show who lags, and by how much
    Status(StatusArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, once: it is not kept
    Add(TokenAddArgs),
    /// List the tokens
    List(TokenListArgs),
    /// Take a token back; a running relay refuses it from then on
    Revoke(TokenRevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct TokenAddArgs {
    /// A name for it, to list and revoke it by
    pub(super) name: TokenName,
    #[command(flatten)]
    pub(super) data: DataDir,
    /// What its holder may do: capture feeds sources, terminal pulls, ops looks at everything,
    /// asks for snapshots and forgets terminals
    #[arg(long, env = "TAILWATER_ROLE", value_enum)]
    pub(super) role: Role,
    /// The channels a terminal may read [default: all]
    #[arg(long, env = "TAILWATER_CHANNELS", value_delimiter = ',', value_name = "A,B")]
    pub(super) channels: Option<Vec<ChannelName>>,
}

#[derive(Debug, Args)]
pub(super) struct TokenListArgs {
    #[command(flatten)]
    pub(super) data: DataDir,
    #[command(flatten)]
    pub(super) form: Form,
}

#[derive(Debug, Args)]
pub(super) struct TokenRevokeArgs {
    /// Its name
    pub(super) name: TokenName,
    #[command(flatten)]
    pub(super) data: DataDir,
}

#[derive(Debug, Args)]
pub(super) struct Form {
    /// Print JSON instead of a table
    #[arg(long, env = "TAILWATER_JSON")]
    pub(super) json: bool,
}

/// A running relay, over HTTP.
#[derive(Debug, Args)]
pub(super) struct RelayArgs {
    /// The relay's address, e.g. http://127.0.0.1:7070
    #[arg(long, env = "TAILWATER_RELAY", value_name = "URL")]
    pub(super) relay: String,
    /// File with a token of the role ops. Without it, the token is taken from TAILWATER_TOKEN
    #[arg(long, env = "TAILWATER_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Only this source [default: all]
    #[arg(long, env = "TAILWATER_SOURCE_NAME", value_name = "NAME")]
    pub(super) source_name: Option<SourceName>,
    /// How long to wait for each of its answers
    #[arg(long, env = "TAILWATER_TIMEOUT", value_parser = parse_time, default_value = "10s")]
    #[arg(value_name = "TIME")]
    pub(super) timeout: Duration,
}

#[derive(Debug, Subcommand)]
pub(super) enum TerminalCommand {
    /// List the terminals, the worst first
    List(StatusArgs),
    /// Forget a terminal that is gone; it is back when it reports again
    Forget(TerminalForgetArgs),
}

#[derive(Debug, Args)]
pub(super) struct TerminalForgetArgs {
    /// Its name
    pub(super) name: TerminalName,
    #[command(flatten)]
    pub(super) relay: RelayArgs,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) relay: RelayArgs,
    #[command(flatten)]
    pub(super) form: Form,
}
