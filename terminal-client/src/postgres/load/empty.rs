use tokio_postgres::error::SqlState;

use super::{
    super::{
        connect::error_of,
        create::{attempt, attempted, run},
        quote::qualified,
        seen,
    },
    Load, Place,
    count::only,
    exchange::refuse_acting_keys,
};
use crate::target::{Named, TargetError};

/// Removes a table's rows in the open transaction. Not by TRUNCATE, behind which readers of an older
/// snapshot would find none (decision 0050). A table that is not here is passed over.
pub(in super::super) async fn empty(
    place: Place<'_>,
    table: &Named,
    foreign_keys_act: bool,
) -> Result<(), TargetError> {
    let Place { target, client, .. } = place;
    let own = only(place, table).await?;
    let name = qualified(&table.schema, &table.name);
    if foreign_keys_act {
        refuse_acting_keys(place, std::slice::from_ref(&name)).await?;
    }
    // A server that can (14 and later) ends this soon after the program was killed, and its lock with it.
    drop(attempt(target, client, "SET LOCAL client_connection_check_interval = 2000").await?);
    let lock = format!("LOCK TABLE {own} IN SHARE ROW EXCLUSIVE MODE");
    if let Some(refused) = attempted(target, client, &lock).await? {
        if [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(&refused.code) {
            return Ok(());
        }
        // With its own words, and the connection's state if that is what is wrong.
        return run(target, client, "lock a table against other writers", &lock).await;
    }
    let doing = format!("remove the rows of {name}, which have other values now");
    run(target, client, &doing, &format!("DELETE FROM {own}")).await
}

/// Whether there is such a table, with rows, that the stream never had changes of.
pub(in super::super) async fn has_own_rows(
    place: Place<'_>,
    table: &Named,
) -> Result<bool, TargetError> {
    let Place { target, client, source } = place;
    if !seen::is_strange(target, client, source, table).await? {
        return Ok(false);
    }
    let sql = format!("SELECT EXISTS (SELECT FROM {})", only(place, table).await?);
    let any = client.query_one(&sql, &[]).await.and_then(|row| row.try_get(0));
    any.map_err(|error| error_of(target, "look for rows", &error))
}

impl Load {
    /// For rows in a transaction that is open already, into the tables themselves.
    pub(in super::super) fn within() -> Self {
        Self { open: true, ..Self::default() }
    }
}
