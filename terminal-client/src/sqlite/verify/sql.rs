//! The SQL that tells two sides of a table apart. `t` is the table here, `s` the stage; in temporary tables a row's
//! columns are `c0`, `c1` …, its key's `k0`, `k1` …

use super::super::{
    apply::all_of,
    schema::{Shape, quote},
};

pub(super) const STAGE: &str = "tailwater_stage";
/// All temporary tables; the rows that are missing, those only here, and then both in pairs of one key.
pub(super) const TABLES: [&str; 5] =
    [STAGE, "tailwater_groups", "tailwater_extra", "tailwater_missing", "tailwater_differ"];
/// Columns of an index over whole rows, as `schema::find_rows` has it.
const INDEX_COLUMNS: usize = 60;

/// A table, and what its stage has.
#[derive(Debug)]
pub(in super::super) struct Sides {
    /// The table here with its schema, quoted.
    pub(super) own: String,
    /// Its name, quoted.
    pub(super) name: String,
    /// Columns, quoted.
    pub(super) columns: Vec<String>,
    /// As they are called.
    pub(super) names: Vec<String>,
    /// Places of those that a row is known by.
    pub(super) key: Vec<usize>,
    /// The word for a row's number here; none where it is found by its key.
    pub(super) row_id: Option<&'static str>,
    /// The same in the stage.
    pub(super) stage_id: &'static str,
}

impl Sides {
    /// None where a row of the stage cannot be told by its number.
    pub(super) fn new(shape: &Shape, columns: &[String], key: &[String]) -> Option<Self> {
        let takes = |word: &str| columns.iter().any(|column| column.eq_ignore_ascii_case(word));
        let stage_id = ["rowid", "_rowid_", "oid"].into_iter().find(|word| !takes(word))?;
        let place = |name: &String| columns.iter().position(|column| column == name);
        Some(Self {
            own: format!("main.{}", quote(&shape.name)),
            name: quote(&shape.name),
            columns: columns.iter().map(|name| quote(name)).collect(),
            names: columns.to_vec(),
            key: key.iter().filter_map(place).collect(),
            row_id: shape.row_id(),
            stage_id,
        })
    }

    /// What makes the rows that differ known, in this order.
    pub(super) fn statements(&self) -> Vec<String> {
        let (cs, ks) = (numbered("c", self.columns.len()), numbered("k", self.key.len()));
        let lead = |names: &[String]| {
            let names = names.get(..INDEX_COLUMNS).unwrap_or(names);
            if names.is_empty() { "1".to_owned() } else { names.join(", ") }
        };
        let index = |name: &str, columns: &str| {
            format!("CREATE INDEX temp.{name}_index ON {name} ({columns})")
        };
        let group_key: Vec<String> =
            self.key.iter().filter_map(|at| cs.get(*at).cloned()).collect();
        let with = |before: &str, names: &[String]| {
            let all = std::iter::once(before).chain(names.iter().map(String::as_str));
            all.collect::<Vec<_>>().join(", ")
        };
        vec![
            format!("CREATE TEMPORARY TABLE tailwater_groups ({})", with("d", &cs)),
            self.groups(&cs),
            index("tailwater_groups", &lead(&group_key)),
            format!("CREATE TEMPORARY TABLE tailwater_extra ({})", with("p, i", &ks)),
            self.apart("tailwater_extra", &self.own, self.row_id.unwrap_or("NULL"), "g.d"),
            index("tailwater_extra", &lead(&ks)),
            format!("CREATE TEMPORARY TABLE tailwater_missing ({})", with("q, i", &ks)),
            self.apart("tailwater_missing", &format!("temp.{STAGE}"), self.stage_id, "-g.d"),
            index("tailwater_missing", &lead(&ks)),
            format!("CREATE TEMPORARY TABLE tailwater_differ ({})", with("kind, p, q", &ks)),
            pairs(&ks),
            unpaired(&ks),
            index("tailwater_differ", &with("kind", ks.get(..INDEX_COLUMNS - 1).unwrap_or(&ks))),
        ]
    }

    /// Whole rows that are more or fewer here. Compared byte by byte, whatever collation the table has.
    fn groups(&self, cs: &[String]) -> String {
        let side = |number: i8, from: &str| {
            let columns = self.columns.iter().zip(cs);
            let values: Vec<String> =
                columns.map(|(column, c)| format!("+t.{column} AS {c}, ")).collect();
            format!("SELECT {}{number} AS d FROM {from} AS t", values.concat())
        };
        let (here, there) = (side(1, &self.own), side(-1, &format!("temp.{STAGE}")));
        let by: Vec<String> = cs.iter().map(|c| format!("{c} COLLATE BINARY")).collect();
        // Without columns all rows are alike.
        let by = if by.is_empty() { "''".to_owned() } else { by.join(", ") };
        let values: String = cs.iter().map(|c| format!(", {c}")).collect();
        format!(
            "INSERT INTO temp.tailwater_groups SELECT sum(d){values} FROM ({here} UNION ALL {there})
             GROUP BY {by} HAVING sum(d) <> 0"
        )
    }

    /// The rows of one side, as many of those that are alike as there are too many. Each looks for its group, which
    /// has an index.
    fn apart(&self, into: &str, from: &str, id: &str, surplus: &str) -> String {
        let id = if id == "NULL" { id.to_owned() } else { format!("x.{id}") };
        let ks = numbered("k", self.key.len());
        let named: String =
            self.key_of("x").zip(&ks).map(|(key, k)| format!(", {key} AS {k}")).collect();
        let by: Vec<String> = ks.iter().map(|k| format!("{k} COLLATE BINARY")).collect();
        let by = if by.is_empty() { "''".to_owned() } else { by.join(", ") };
        let columns = self.columns.iter().enumerate();
        let same: Vec<String> =
            columns.map(|(at, column)| format!("g.c{at} IS +x.{column}")).collect();
        let same = if same.is_empty() { "true".to_owned() } else { all_of(&same) };
        let values: String = ks.iter().map(|k| format!(", {k}")).collect();
        format!(
            "INSERT INTO temp.{into} SELECT id, row_number() OVER (PARTITION BY {by}){values} FROM (
                 SELECT {id} AS id{named}, {surplus} AS surplus, row_number() OVER (PARTITION BY g.rowid) AS n
                 FROM {from} AS x CROSS JOIN temp.tailwater_groups AS g WHERE {surplus} > 0 AND ({same}))
             WHERE n <= surplus"
        )
    }

    fn key_of<'a>(&'a self, side: &'a str) -> impl Iterator<Item = String> + 'a {
        let columns = self.key.iter().filter_map(|at| self.columns.get(*at));
        columns.map(move |column| format!("+{side}.{column}"))
    }

    /// How a row of `tailwater_differ` (`d`) finds its row here.
    pub(super) fn found(&self) -> String {
        if let Some(row_id) = self.row_id {
            return format!("t.{row_id} = d.p");
        }
        let columns = self.key.iter().filter_map(|at| self.columns.get(*at)).enumerate();
        let same: Vec<String> =
            columns.map(|(at, column)| format!("t.{column} IS d.k{at}")).collect();
        all_of(&same)
    }
}

/// Whether a column is not the same on both sides.
pub(super) fn unlike(column: &str) -> String {
    format!("(+t.{column} COLLATE BINARY) IS NOT (+s.{column})")
}

fn numbered(letter: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{letter}{at}")).collect()
}

/// One that is missing and one that is only here are one row with other values where they have the same key: by
/// whole rows, no two of them have.
fn pairs(ks: &[String]) -> String {
    let keys: String = ks.iter().map(|k| format!(", e.{k}")).collect();
    format!(
        "INSERT INTO temp.tailwater_differ SELECT CASE WHEN q IS NULL THEN 'extra' ELSE 'different' END, * FROM (
             SELECT e.p, (SELECT m.q FROM temp.tailwater_missing AS m WHERE {}) AS q{keys} FROM temp.tailwater_extra AS e)",
        paired(ks)
    )
}

fn unpaired(ks: &[String]) -> String {
    let keys: String = ks.iter().map(|k| format!(", m.{k}")).collect();
    format!(
        "INSERT INTO temp.tailwater_differ SELECT 'missing', NULL, m.q{keys} FROM temp.tailwater_missing AS m
         WHERE NOT EXISTS (SELECT 1 FROM temp.tailwater_extra AS e WHERE {})",
        paired(ks)
    )
}

fn paired(ks: &[String]) -> String {
    let same = ks.iter().map(|k| format!("m.{k} IS e.{k}"));
    all_of(&same.chain(["m.i = e.i".to_owned()]).collect::<Vec<_>>())
}
