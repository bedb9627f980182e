use tokio_postgres::{Client, error::SqlState};

use super::connect::{Server, Session, error_of};
use crate::target::TargetError;

/// How values are read must not depend on how role, database or server are configured; the time-outs
/// are off because a role's `statement_timeout` would cut a load. `synchronous_commit` makes what is
/// committed also flushed, which is what *applied* means. Plans are made without a look at the values: rows are
/// found by their key's index, where a plan for some thousand keys would rather read the whole table each time.
/// A database without an encoding takes texts as they are. `tailwater.applying` passes our own guard.
const PINNED: &str = "
    SET DateStyle = 'ISO, YMD';
    SET IntervalStyle = 'postgres';
    SET TimeZone = 'UTC';
    SET extra_float_digits = 3;
    SET bytea_output = 'hex';
    SET lc_monetary = 'C';
    SET xmloption = 'content';
    SET search_path = '';
    SET standard_conforming_strings = on;
    SET statement_timeout = 0;
    SET lock_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
    SET client_min_messages = 'warning';
    SET default_transaction_isolation = 'read committed';
    SET default_transaction_read_only = off;
    SET row_security = off;
    SET synchronous_commit = on;
    SET plan_cache_mode = force_generic_plan;
    SET tailwater.applying = 'on';
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout');
    SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE current_setting('server_encoding') = 'SQL_ASCII'";

/// Said where `session_replication_role` may not be set.
pub(super) const NO_REPLICA_ROLE: &str = "the target's role may not set session_replication_role: \
    triggers and foreign keys of the target stay active while changes are applied, and foreign keys are not \
    created; GRANT SET ON PARAMETER session_replication_role TO its role (PostgreSQL 15 and later), or use a superuser";

/// Connects and pins the session; tells whether triggers and foreign keys are off in it.
pub(super) async fn open(server: &Server) -> Result<(Session, bool), TargetError> {
    let session = server.connect().await?;
    let target = server.to_string();
    session
        .client
        .batch_execute(PINNED)
        .await
        .map_err(|error| error_of(&target, "set up the session", &error))?;
    let replica = replica_role(&session.client)
        .await
        .map_err(|error| error_of(&target, "set up the session", &error))?;
    Ok((session, replica))
}

/// Managed servers may not permit it; then the constraints are met by the order of the changes.
async fn replica_role(client: &Client) -> Result<bool, tokio_postgres::Error> {
    match client.batch_execute("SET session_replication_role = replica").await {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(false),
        Err(error) => Err(error),
    }
}
