//! What the integration tests, the benches and the demo share: real servers, real processes, a
//! network that misbehaves on command, work to do, and the proof that nothing was lost.
//!
//! ```text
//! test.rs        the frame of a test: runtime, time limit, evidence and seed when it fails
//! postgres/      Cluster: a PostgreSQL server of its own; Database: one inside
//! process/       RelayProcess, capture(), terminal(): the real binaries
//! lag.rs         the lag JSON as DESIGN promises it, read by types of our own
//! proxy/         Proxy: a TCP proxy that stalls, cuts, truncates, lies
//! forward.rs     ForwardProxy: an HTTP proxy that clients are told of; tls.rs: TlsFront, https before a server
//! workload/      random transactions from a seed; pgbench
//! compare/       two databases are equal, row for row
//! ```

mod account;
mod compare;
mod connect;
mod evidence;
mod forward;
mod http;
mod lag;
mod port;
mod postgres;
mod process;
mod proxy;
mod scratch;
mod seed;
mod spawn;
mod test;
mod tls;
mod workload;

pub use compare::{Comparison, TableResult, Tables, compare_postgres, compare_sqlite};
pub use connect::connect;
pub use evidence::show as show_outputs;
pub use forward::ForwardProxy;
pub use http::client as http_client;
pub use lag::{CaptureLag, Lag, MasterLag, RelayLag, TerminalLag};
pub use port::free_port;
pub use postgres::{Cluster, ClusterBuilder, Database, Shutdown, pg_bin_dir};
pub use process::{
    Finished, Memory, Process, ProcessBuilder, RelayBuilder, RelayProcess, binary, capture, reload,
    terminal, verify,
};
pub use proxy::{Direction, Mode, Proxy};
pub use scratch::Scratch;
pub use seed::{rng, rng_from, seed};
pub use test::{eventually, test, test_within};
pub use tls::TlsFront;
pub use wire::Lsn;
pub use workload::{Pgbench, PgbenchRun, Plan, Step, Workload};
