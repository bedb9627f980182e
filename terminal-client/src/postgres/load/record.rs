use std::hash::{BuildHasher, Hasher, RandomState};

use super::{
    super::{connect::error_of, create::run},
    Place,
};
use crate::target::{LoadPoint, LoadRecord, LoadRow, TargetError};

const EXISTS: &str = "SELECT pg_catalog.to_regclass('tailwater.load') IS NOT NULL";

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS tailwater.load (
    source text PRIMARY KEY,
    snapshot text NOT NULL,
    plan text NOT NULL,
    point text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tailwater.load IS
    'How far the load of each source that is under way is; written by tailwater-terminal together with the rows, and removed with the last. Do not change it.'";

const READ: &str = "SELECT snapshot, plan, point FROM tailwater.load WHERE source = $1";

const WRITE: &str = "
INSERT INTO tailwater.load (source, snapshot, plan, point) VALUES ($1, $2, $3, $4)
ON CONFLICT (source) DO UPDATE SET snapshot = excluded.snapshot, plan = excluded.plan,
    point = excluded.point, updated_at = now()";

const LOCK: &str = "SELECT snapshot, plan, point FROM tailwater.load WHERE source = $1 FOR UPDATE";

/// Only from what this run wrote last: where another has taken the load over, nothing is written.
const ADVANCE: &str = "UPDATE tailwater.load SET point = $2, updated_at = now()
WHERE source = $1 AND point = $3";

const FORSAKE: &str = "UPDATE tailwater.load SET snapshot = '' WHERE source = $1";

const REMOVE: &str = "DELETE FROM tailwater.load WHERE source = $1";

/// The load that is not finished.
pub(in super::super) async fn unfinished(
    place: Place<'_>,
) -> Result<Option<LoadRecord>, TargetError> {
    let failed =
        |error: tokio_postgres::Error| error_of(place.target, "read tailwater.load", &error);
    let exists = place.client.query_one(EXISTS, &[]).await.and_then(|row| row.try_get(0));
    if !exists.map_err(failed)? {
        return Ok(None);
    }
    read(place, READ).await
}

async fn read(place: Place<'_>, sql: &str) -> Result<Option<LoadRecord>, TargetError> {
    let failed =
        |error: tokio_postgres::Error| error_of(place.target, "read tailwater.load", &error);
    let row = place.client.query_opt(sql, &[&place.source.as_str()]).await.map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    let field = |at: usize| row.try_get::<_, String>(at).map_err(failed);
    let row = LoadRow { snapshot: field(0)?, plan: field(1)?, point: field(2)? };
    row.read(place.target).map(Some)
}

/// A name for this run, as no other has had.
pub(super) fn run_name() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// The record as it is once no other run can change it any more: one whose connections outlive it, or that
/// goes on without its lock, fails at its next commit.
pub(super) async fn take_over(place: Place<'_>) -> Result<Option<LoadRecord>, TargetError> {
    let Place { target, client, .. } = place;
    run(target, client, "begin a transaction", "BEGIN").await?;
    let Some(mut record) = read(place, LOCK).await? else {
        run(target, client, "roll back", "ROLLBACK").await?;
        return Ok(None);
    };
    record.point.run = run_name();
    write(place, &record).await?;
    run(target, client, "commit", "COMMIT").await?;
    Ok(Some(record))
}

/// Makes the table where it is missing.
pub(super) async fn prepare(place: Place<'_>) -> Result<(), TargetError> {
    let failed = |error: tokio_postgres::Error| {
        error_of(place.target, "create the table tailwater.load", &error)
    };
    let exists = place.client.query_one(EXISTS, &[]).await.and_then(|row| row.try_get(0));
    if !exists.map_err(failed)? {
        place.client.batch_execute(CREATE).await.map_err(failed)?;
    }
    Ok(())
}

/// Writes all of the record, in the open transaction.
pub(super) async fn write(place: Place<'_>, record: &LoadRecord) -> Result<(), TargetError> {
    let LoadRow { snapshot, plan, point } = LoadRow::of(place.target, record)?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&place.source.as_str(), &snapshot, &plan, &point];
    changed(place, place.client.execute(WRITE, &values).await)
}

/// Notes how far the load is, in the open transaction.
pub(super) async fn advance(
    place: Place<'_>,
    before: &LoadPoint,
    now: &LoadPoint,
) -> Result<(), TargetError> {
    let text = |point| LoadRow::point(place.target, point);
    let (before, now) = (text(before)?, text(now)?);
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&place.source.as_str(), &now, &before];
    changed(place, place.client.execute(ADVANCE, &values).await)
}

/// Says that the load cannot go on: what it left will be removed.
pub(super) async fn forsake(place: Place<'_>) -> Result<(), TargetError> {
    changed(place, place.client.execute(FORSAKE, &[&place.source.as_str()]).await)
}

/// Removes the record, in the open transaction.
pub(super) async fn remove(place: Place<'_>) -> Result<(), TargetError> {
    changed(place, place.client.execute(REMOVE, &[&place.source.as_str()]).await)
}

fn changed(place: Place<'_>, rows: Result<u64, tokio_postgres::Error>) -> Result<(), TargetError> {
    match rows {
        Ok(1) => Ok(()),
        Ok(_) => Err(TargetError::Statement {
            target: place.target.to_owned(),
            doing: format!("note how far the load of {} is", place.source),
            why: "its row in tailwater.load is gone or is not as it was left: another run has taken the load over, or another program changed it; nothing of this part was loaded".into(),
        }),
        Err(error) => Err(error_of(place.target, "write tailwater.load", &error)),
    }
}
