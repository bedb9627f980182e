use super::{
    super::{
        connect::{error_of, words},
        create::run,
        place::Place,
        quote::{ident, idents},
    },
    sql::{DIFFER, GROUPS, STAGE, Sides, stage, temporary},
};
use crate::target::{REPAIR_BY_RELOAD, Repaired, TargetError};

/// A table's rows that differ, in a temporary table of their own: `o` and `p` find them here, `c0`, `c1` … are the
/// values that they should have, where `wanted`.
pub(super) struct Kept {
    sides: Sides,
    table: String,
    /// Places of the columns that differ in rows of both sides.
    set: Vec<usize>,
}

impl Kept {
    /// Of the staged table; the stage goes.
    pub(super) async fn of(
        place: Place<'_>,
        sides: Sides,
        number: usize,
    ) -> Result<Self, TargetError> {
        let Place { target, client, .. } = place;
        let doing = format!("keep the differing rows of {}", sides.name);
        let row = client.query_one(&sides.columns_that_differ(), &[]).await;
        let differ: Vec<Option<bool>> =
            row.and_then(|row| row.try_get(0)).map_err(|error| error_of(target, &doing, &error))?;
        let differ = differ.iter().enumerate().filter(|(_, differs)| **differs == Some(true));
        let set = differ.map(|(at, _)| at).collect();
        let name = format!("tailwater_kept_{number}");
        let values: String = sides
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| format!(", s.{} AS c{at}", ident(column)))
            .collect();
        let sql = format!(
            "CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS SELECT d.o, d.p, d.q IS NOT NULL AS wanted{values}
                 FROM {} AS d LEFT JOIN {} AS s ON s.ctid = d.q;
             DROP TABLE {}, {}, {}",
            temporary(DIFFER),
            stage(),
            temporary(DIFFER),
            temporary(GROUPS),
            temporary(STAGE)
        );
        run(target, client, &doing, &sql).await?;
        Ok(Self { sides, table: temporary(&name), set })
    }

    /// Parts of one statement: what is only here goes first, so that what it held of unique values is free, then
    /// values change, then rows come. Each waits for the one before, by counting what that did.
    fn parts(&self, number: usize) -> [String; 3] {
        let Self { sides: Sides { own, name, columns, .. }, table, set } = self;
        let found = "t.ctid = f.p AND t.tableoid = f.o";
        let named = |at: &usize| columns.get(*at).map(|name| format!("{} = f.c{at}", ident(name)));
        let sets: Vec<String> = set.iter().filter_map(named).collect();
        let update = match sets.is_empty() {
            true => format!("u{number} AS (SELECT FROM d{number} WHERE false)"),
            false => format!(
                "u{number} AS (UPDATE {own} AS t SET {} FROM {table} AS f
                     WHERE {found} AND f.wanted AND (SELECT count(*) FROM d{number}) >= 0 RETURNING 1)",
                sets.join(", ")
            ),
        };
        let into = match columns.is_empty() {
            true => String::new(),
            false => format!(" ({})", idents(columns.iter().map(String::as_str))),
        };
        let values: Vec<String> = (0..columns.len()).map(|at| format!("f.c{at}")).collect();
        [
            format!(
                "d{number} AS (DELETE FROM {own} AS t USING {table} AS f WHERE {found} AND NOT f.wanted RETURNING 1)"
            ),
            update,
            format!(
                "i{number} AS (INSERT INTO {name}{into} OVERRIDING SYSTEM VALUE SELECT {} FROM {table} AS f
                     WHERE f.p IS NULL AND (SELECT count(*) FROM d{number}) + (SELECT count(*) FROM u{number}) >= 0 RETURNING 1)",
                values.join(", ")
            ),
        ]
    }
}

/// Writes what was kept of all tables by one statement: foreign keys that act are checked at its end, when all rows
/// are there, whatever refers to what.
pub(super) async fn repair(place: Place<'_>, kept: &[Kept]) -> Result<Repaired, TargetError> {
    let Place { target, client, .. } = place;
    if kept.is_empty() {
        return Ok(Repaired::default());
    }
    let parts: Vec<String> =
        kept.iter().enumerate().flat_map(|(number, of)| of.parts(number)).collect();
    let sum = |what: char| {
        let counts = (0..kept.len()).map(|at| format!("(SELECT count(*) FROM {what}{at})"));
        counts.collect::<Vec<_>>().join(" + ")
    };
    let sql = format!("WITH {} SELECT {}, {}, {}", parts.join(", "), sum('i'), sum('d'), sum('u'));
    let row = client.query_one(&sql, &[]).await.map_err(|error| {
        let doing = "write the rows that differ";
        match error.as_db_error() {
            Some(db) => TargetError::Statement {
                target: target.to_owned(),
                doing: doing.to_owned(),
                why: format!("{}; {REPAIR_BY_RELOAD}", words(db)),
            },
            None => error_of(target, doing, &error),
        }
    })?;
    let count = |at| {
        let count: Result<i64, _> = row.try_get(at);
        count.map(|count| u64::try_from(count).unwrap_or(0))
    };
    let failed = |error| error_of(target, "count the rows that were written", &error);
    Ok(Repaired {
        inserted: count(0).map_err(failed)?,
        deleted: count(1).map_err(failed)?,
        updated: count(2).map_err(failed)?,
    })
}
