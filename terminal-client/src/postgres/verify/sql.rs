//! The SQL that tells two sides of a table apart. `t` is the table here, `s` the stage.

use super::super::quote::ident;

pub(super) const STAGE: &str = "tailwater_stage";
/// Hashes of whole rows, with how many more of them there are here (or fewer, where negative).
pub(super) const GROUPS: &str = "tailwater_groups";
/// Each row that differs: `o` and `p` find it here, `q` in the stage, `r` is its key as text.
pub(super) const DIFFER: &str = "tailwater_differ";

/// The stage with its schema.
pub(super) fn stage() -> String {
    temporary(STAGE)
}

pub(super) fn temporary(name: &str) -> String {
    format!("pg_temp.{name}")
}

/// A table, and what its stage has.
pub(super) struct Sides {
    /// The table here as statements take it that concern its own rows.
    pub(super) own: String,
    /// Its name, quoted.
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// Those that a row is known by.
    pub(super) key: Vec<String>,
}

/// Columns of one side as one text. It is made by the types' output functions, which tell apart whatever two values
/// can be, need no `=` of the type and know no collation; in a row NULL is not the empty text.
fn text(side: &str, columns: &[String]) -> String {
    let columns: Vec<String> =
        columns.iter().map(|name| format!("{side}.{}", ident(name))).collect();
    format!("(ROW({})::text COLLATE \"C\")", columns.join(", "))
}

/// Of a whole row. Texts need not be in the database's encoding.
fn hash(side: &str, columns: &[String]) -> String {
    format!("sha256(convert_to({}, 'SQL_ASCII'))", text(side, columns))
}

impl Sides {
    pub(super) fn groups(&self) -> String {
        let Self { own, columns, .. } = self;
        let (here, there, stage) = (hash("t", columns), hash("s", columns), stage());
        format!(
            "CREATE TEMPORARY TABLE {GROUPS} ON COMMIT DROP AS
             SELECT h, sum(n) AS n FROM (SELECT {here} AS h, 1 AS n FROM {own} AS t
                 UNION ALL SELECT {there}, -1 FROM {stage} AS s) AS x
             GROUP BY h HAVING sum(n) <> 0"
        )
    }

    /// Of rows that are alike, as many as there are too many. One that is missing and one that is only here are one
    /// row with other values where they have the same key: by whole rows, no two of them have.
    pub(super) fn differ(&self) -> String {
        let Self { own, columns, key, .. } = self;
        let (here, there, stage, groups) =
            (hash("t", columns), hash("s", columns), stage(), temporary(GROUPS));
        let (key_here, key_there) = (text("t", key), text("s", key));
        format!(
            "CREATE TEMPORARY TABLE {DIFFER} ON COMMIT DROP AS
             WITH e AS (SELECT o, p, r, row_number() OVER (PARTITION BY r) AS k FROM (
                 SELECT t.tableoid AS o, t.ctid AS p, {key_here} AS r, g.n, row_number() OVER (PARTITION BY g.h) AS i
                 FROM {own} AS t JOIN {groups} AS g ON g.h = {here} WHERE g.n > 0) AS x WHERE i <= n),
             m AS (SELECT q, r, row_number() OVER (PARTITION BY r) AS k FROM (
                 SELECT s.ctid AS q, {key_there} AS r, g.n, row_number() OVER (PARTITION BY g.h) AS i
                 FROM {stage} AS s JOIN {groups} AS g ON g.h = {there} WHERE g.n < 0) AS x WHERE i <= -n)
             SELECT o, p, q, r FROM e FULL JOIN m USING (r, k)"
        )
    }

    /// Missing, extra, different.
    pub(super) fn counts() -> String {
        format!(
            "SELECT count(*) FILTER (WHERE p IS NULL), count(*) FILTER (WHERE q IS NULL),
                 count(*) FILTER (WHERE p IS NOT NULL AND q IS NOT NULL) FROM {}",
            temporary(DIFFER)
        )
    }

    /// The first so many: how each differs, the texts of its key's columns, the places of columns that differ.
    pub(super) fn shown(&self, key: &[String], chars: usize) -> String {
        let value = |name: &String| {
            let name = ident(name);
            format!(
                "convert_to(left(CASE WHEN d.p IS NULL THEN s.{name}::text ELSE t.{name}::text END, {chars}), 'SQL_ASCII')"
            )
        };
        let key: Vec<String> = key.iter().map(value).collect();
        let columns = self.columns.iter().enumerate();
        let unlike: Vec<String> =
            columns.map(|(at, name)| format!("CASE WHEN {} THEN {at} END", unlike(name))).collect();
        format!(
            "SELECT d.p IS NULL, d.q IS NULL, ARRAY[{}]::bytea[],
                 CASE WHEN d.p IS NOT NULL AND d.q IS NOT NULL THEN array_remove(ARRAY[{}]::int[], NULL) ELSE '{{}}' END
             FROM (SELECT * FROM {} ORDER BY r LIMIT $1) AS d {} ORDER BY d.r",
            key.join(", "),
            unlike.join(", "),
            temporary(DIFFER),
            self.both()
        )
    }

    /// For each column, whether it differs in any row.
    pub(super) fn columns_that_differ(&self) -> String {
        let any: Vec<String> =
            self.columns.iter().map(|name| format!("bool_or({})", unlike(name))).collect();
        format!(
            "SELECT ARRAY[{}]::bool[] FROM {} AS d {} WHERE d.p IS NOT NULL AND d.q IS NOT NULL",
            any.join(", "),
            temporary(DIFFER),
            self.both()
        )
    }

    fn both(&self) -> String {
        format!(
            "LEFT JOIN {} AS t ON t.ctid = d.p AND t.tableoid = d.o LEFT JOIN {} AS s ON s.ctid = d.q",
            self.own,
            stage()
        )
    }
}

/// Whether a column differs.
fn unlike(name: &str) -> String {
    let columns = [name.to_owned()];
    format!("{} <> {}", text("t", &columns), text("s", &columns))
}
