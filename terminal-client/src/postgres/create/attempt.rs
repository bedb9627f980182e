use tokio_postgres::{Client, error::SqlState};

use super::super::connect::{error_of, words};
use crate::target::TargetError;

/// Runs a statement that must succeed. `doing` follows on "cannot".
pub(in super::super) async fn run(
    target: &str,
    client: &Client,
    doing: &str,
    sql: &str,
) -> Result<(), TargetError> {
    client.batch_execute(sql).await.map_err(|error| error_of(target, doing, &error))
}

/// Why a statement was refused.
#[derive(Debug)]
pub(in super::super) struct Refused {
    pub(in super::super) code: SqlState,
    /// The server's words.
    pub(in super::super) words: String,
}

/// Runs a statement in the open transaction that may fail; gives the server's words where it did.
pub(in super::super) async fn attempt(
    target: &str,
    client: &Client,
    sql: &str,
) -> Result<Option<String>, TargetError> {
    Ok(attempted(target, client, sql).await?.map(|refused| refused.words))
}

/// The same, with the server's code.
pub(in super::super) async fn attempted(
    target: &str,
    client: &Client,
    sql: &str,
) -> Result<Option<Refused>, TargetError> {
    let whole = format!("SAVEPOINT tailwater_attempt; {sql}; RELEASE SAVEPOINT tailwater_attempt");
    let Err(error) = client.batch_execute(&whole).await else { return Ok(None) };
    let Some(db) = error.as_db_error() else {
        return Err(error_of(target, "create the source's tables", &error));
    };
    let back = "ROLLBACK TO SAVEPOINT tailwater_attempt; RELEASE SAVEPOINT tailwater_attempt";
    run(target, client, "go back to a savepoint", back).await?;
    Ok(Some(Refused { code: db.code().clone(), words: words(db) }))
}
