use tokio_postgres::Row;

use super::{
    super::{connect::error_of, create::run, place::Place},
    sql::Sides,
};
use crate::target::{Difference, Differences, DifferingRow, TargetError};

/// Longer values of keys are cut in what is told.
const SHOWN_CHARS: usize = 100;
/// Of rows without a key, so many columns are told.
const SHOWN_COLUMNS: usize = 8;

/// Compares the staged rows with the table's.
pub(super) async fn differences(
    place: Place<'_>,
    sides: &Sides,
    show: usize,
) -> Result<Differences, TargetError> {
    let Place { target, client, .. } = place;
    let doing = format!("compare the rows of {}", sides.name);
    run(target, client, &doing, &sides.groups()).await?;
    run(target, client, &doing, &sides.differ()).await?;
    let failed = |error| error_of(target, &doing, &error);
    let counts = client.query_one(&Sides::counts(), &[]).await.map_err(failed)?;
    let count = |at| counts.try_get::<_, i64>(at).map(|count| u64::try_from(count).unwrap_or(0));
    let mut found = Differences {
        missing: count(0).map_err(failed)?,
        extra: count(1).map_err(failed)?,
        different: count(2).map_err(failed)?,
        shown: Vec::new(),
    };
    if !found.any() || show == 0 {
        return Ok(found);
    }
    let key = sides.key.get(..SHOWN_COLUMNS).unwrap_or(&sides.key);
    let sql = sides.shown(key, SHOWN_CHARS);
    let most = i64::try_from(show).unwrap_or(i64::MAX);
    for row in client.query(&sql, &[&most]).await.map_err(failed)? {
        found.shown.push(row_of(sides, key, &row).map_err(failed)?);
    }
    Ok(found)
}

fn row_of(sides: &Sides, key: &[String], row: &Row) -> Result<DifferingRow, tokio_postgres::Error> {
    let kind = match (row.try_get(0)?, row.try_get(1)?) {
        (true, _) => Difference::Missing,
        (_, true) => Difference::Extra,
        _ => Difference::Different,
    };
    let values: Vec<Option<Vec<u8>>> = row.try_get(2)?;
    let shown = |value: Option<Vec<u8>>| value.map(|of| String::from_utf8_lossy(&of).into_owned());
    let places: Vec<i32> = row.try_get(3)?;
    let name = |at: &i32| sides.columns.get(usize::try_from(*at).ok()?).cloned();
    Ok(DifferingRow {
        kind,
        key: key.iter().cloned().zip(values.into_iter().map(shown)).collect(),
        columns: places.iter().filter_map(name).collect(),
    })
}
