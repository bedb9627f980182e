use std::time::Duration;

use clap::Args;

use super::{
    data_dir::DataDir,
    quantity::{parse_memory, parse_size, parse_time},
};
use crate::{fleet::FleetLimits, log::LogSettings, requests::SnapshotRule, server::ServerSettings};

/// The settings of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address and port to listen on. Other machines can reach the relay only once it has tokens
    #[arg(long, env = "TAILWATER_LISTEN", default_value = "127.0.0.1:7070")]
    #[arg(value_name = "ADDRESS:PORT")]
    pub(super) listen: String,
    #[command(flatten)]
    pub(super) data: DataDir,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    connections: ConnectionArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    snapshots: SnapshotArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Who counts as behind or offline")]
struct FleetArgs {
    /// A terminal that is silent for longer is offline
    #[arg(long, env = "TAILWATER_OFFLINE_AFTER", value_parser = parse_time, default_value = "10m")]
    #[arg(value_name = "TIME")]
    offline_after: Duration,
    /// A capture that is silent for longer is offline
    #[arg(long, env = "TAILWATER_CAPTURE_OFFLINE_AFTER", value_parser = parse_time)]
    #[arg(value_name = "TIME", default_value = "60s")]
    capture_offline_after: Duration,
    /// A terminal is behind when the oldest commit that it lacks is older
    #[arg(long, env = "TAILWATER_BEHIND_AFTER", value_parser = parse_time, default_value = "60s")]
    #[arg(value_name = "TIME")]
    behind_after: Duration,
    /// A terminal is behind when it lacks more bytes of the master's WAL
    #[arg(long, env = "TAILWATER_BEHIND_BYTES", value_parser = parse_size)]
    #[arg(value_name = "SIZE", default_value = "64MiB")]
    behind_bytes: u64,
    /// Terminals kept for each source; more are not listed
    #[arg(long, env = "TAILWATER_TERMINALS_LIMIT", default_value = "10000", value_name = "COUNT")]
    terminals_limit: usize,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
struct ConnectionArgs {
    /// Connections at once; more wait
    #[arg(long, env = "TAILWATER_CONNECTIONS_LIMIT", default_value = "4096", value_name = "COUNT")]
    #[arg(value_parser = parse_count)]
    connections_limit: usize,
    /// The head of a request must come within this time
    #[arg(long, env = "TAILWATER_HEADER_TIMEOUT", value_parser = parse_time, default_value = "30s")]
    #[arg(value_name = "TIME")]
    header_timeout: Duration,
    /// An upload that brings nothing for this long is given up
    #[arg(long, env = "TAILWATER_BODY_TIMEOUT", value_parser = parse_time, default_value = "30s")]
    #[arg(value_name = "TIME")]
    body_timeout: Duration,
    /// A connection whose other side takes nothing for this long is closed
    #[arg(long, env = "TAILWATER_WRITE_TIMEOUT", value_parser = parse_time, default_value = "60s")]
    #[arg(value_name = "TIME")]
    write_timeout: Duration,
    /// When the relay stops, requests under way have this long to finish
    #[arg(long, env = "TAILWATER_DRAIN_TIMEOUT", value_parser = parse_time, default_value = "10s")]
    #[arg(value_name = "TIME")]
    drain_timeout: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The log of each source")]
struct LogArgs {
    /// The live tail is sealed into objects when its database is this large. At most two are open,
    /// and their size is what they take of memory
    #[arg(long, env = "TAILWATER_TAIL_SIZE", value_parser = parse_size, default_value = "32MiB")]
    #[arg(value_name = "SIZE")]
    tail_size: u64,
    /// Recent slices kept in memory, for terminals that follow closely
    #[arg(long, env = "TAILWATER_RING_SIZE", value_parser = parse_memory, default_value = "16MiB")]
    #[arg(value_name = "SIZE")]
    ring_size: usize,
    /// Content of one object, uncompressed
    #[arg(long, env = "TAILWATER_OBJECT_SIZE", value_parser = parse_size, default_value = "16MiB")]
    #[arg(value_name = "SIZE")]
    object_size: u64,
    /// zstd level of objects, 1 (quick) to 19 (small)
    #[arg(long, env = "TAILWATER_SEAL_LEVEL", default_value = "5", value_name = "LEVEL")]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=19))]
    seal_level: i32,
    /// An append waits this long for the one before it
    #[arg(long, env = "TAILWATER_TURN_WAIT", value_parser = parse_time, default_value = "10s")]
    #[arg(value_name = "TIME")]
    turn_wait: Duration,
    /// An append waits this long for room in the tail while that is being sealed
    #[arg(long, env = "TAILWATER_ROOM_WAIT", value_parser = parse_time, default_value = "30s")]
    #[arg(value_name = "TIME")]
    room_wait: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Snapshots")]
struct SnapshotArgs {
    /// Capture is asked for a new snapshot when the log behind the newest one is larger than that, so
    /// many times; `never` to leave that to --snapshot-every and `tailwater-capture snapshot`
    #[arg(long, env = "TAILWATER_SNAPSHOT_WHEN_LOG_EXCEEDS", value_parser = parse_factor)]
    #[arg(default_value = "1", value_name = "FACTOR")]
    snapshot_when_log_exceeds: f64,
    /// But not before the log behind it is larger than this
    #[arg(long, env = "TAILWATER_SNAPSHOT_LOG_FLOOR", value_parser = parse_size)]
    #[arg(default_value = "1GiB", value_name = "SIZE")]
    snapshot_log_floor: u64,
}

/// 0 for never.
fn parse_factor(text: &str) -> Result<f64, String> {
    if text == "never" {
        return Ok(0.0);
    }
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor >= 0.0 => Ok(factor),
        _ => Err("not a factor: write a number like 1 or 0.5, or `never`".to_owned()),
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be more than nothing".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("not a count: write a whole number".to_owned()),
    }
}

impl ServeArgs {
    /// The bounds of the server; tokens are not required yet.
    pub(super) fn settings(&self) -> ServerSettings {
        let Self { connections, .. } = self;
        ServerSettings {
            log: self.log.settings(),
            fleet: self.fleet.limits(),
            snapshots: SnapshotRule {
                factor: self.snapshots.snapshot_when_log_exceeds,
                floor_bytes: self.snapshots.snapshot_log_floor,
            },
            tokens_required: false,
            max_connections: connections.connections_limit,
            header_timeout: connections.header_timeout,
            write_timeout: connections.write_timeout,
            body_timeout: connections.body_timeout,
            drain_timeout: connections.drain_timeout,
        }
    }
}

impl FleetArgs {
    fn limits(&self) -> FleetLimits {
        FleetLimits {
            offline_after: self.offline_after,
            capture_offline_after: self.capture_offline_after,
            behind_after: self.behind_after,
            behind_bytes: self.behind_bytes,
            terminals: self.terminals_limit,
        }
    }
}

impl LogArgs {
    fn settings(&self) -> LogSettings {
        LogSettings {
            tail_bytes: self.tail_size,
            ring_bytes: self.ring_size,
            object_bytes: self.object_size,
            seal_level: self.seal_level,
            turn_wait: self.turn_wait,
            room_wait: self.room_wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        args: ServeArgs,
    }

    #[test]
    fn the_defaults_are_those_of_the_server() {
        let alone = Alone::parse_from(["relay", "--data-dir", "d"]);
        let defaults = ServerSettings::default();
        assert_eq!(format!("{:?}", alone.args.settings()), format!("{defaults:?}"));
    }

    #[test]
    fn snapshots_can_be_left_to_others() {
        let factor = |text: &str| {
            let arguments = ["relay", "--data-dir", "d", "--snapshot-when-log-exceeds", text];
            Alone::parse_from(arguments).args.settings().snapshots.factor
        };
        assert_eq!((factor("never"), factor("0"), factor("2.5")), (0.0, 0.0, 2.5));
    }

    #[test]
    fn what_would_stop_everything_is_refused() {
        for wrong in [
            "--connections-limit=0",
            "--ring-size=0",
            "--seal-level=20",
            "--turn-wait=0s",
            "--snapshot-when-log-exceeds=-1",
            "--snapshot-when-log-exceeds=NaN",
            "--snapshot-log-floor=0",
        ] {
            let parsed = Alone::try_parse_from(["relay", "--data-dir", "d", wrong]);
            assert!(parsed.is_err(), "{wrong}");
        }
    }
}
