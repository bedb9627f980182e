//! The SQL that writes many rows at once: new ones by COPY, for others the values come as one array per column.

use super::{
    super::quote::ident,
    binding::{Binding, BoundColumn},
};

/// What is done to rows that are there. Columns are places in the binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SetKind {
    Delete,
    Update { set: Vec<usize> },
}

/// By which the statement that brings new rows is known.
pub(super) const COPY_SHAPE: &[u8] = b"sI";

/// Brings new rows.
pub(super) fn copy_sql(binding: &Binding) -> String {
    let names = names(binding, &written(binding));
    format!("COPY {} ({}) FROM STDIN", binding.table, names.join(", "))
}

impl SetKind {
    /// The bytes by which statements of one relation are known; those of row statements begin otherwise.
    pub(super) fn shape(&self) -> Vec<u8> {
        match self {
            Self::Delete => b"sD".to_vec(),
            Self::Update { set } => {
                let places = set.iter().flat_map(|place| place.to_le_bytes());
                b"sU".iter().copied().chain(places).collect()
            }
        }
    }

    /// The columns of old values, then those of new ones: an array each, in this order.
    pub(super) fn columns(&self, binding: &Binding) -> (Vec<usize>, Vec<usize>) {
        match self {
            Self::Delete => (known_by(binding), Vec::new()),
            Self::Update { set } => (known_by(binding), set.clone()),
        }
    }

    pub(super) fn sql(&self, binding: &Binding) -> String {
        let (old, new) = self.columns(binding);
        let staged = Staged::of(binding, old.iter().chain(&new));
        let (old_values, new_values) = staged.values.split_at(old.len().min(staged.values.len()));
        let (table, names) = (&binding.table, names(binding, &new));
        if binding.key.is_none() {
            return self.sql_of_whole_rows(binding, &staged, old_values, new_values);
        }
        let is = |(place, value): (&usize, &String)| {
            let column = binding.columns.get(*place)?;
            Some(format!("t.{} {} {value}", ident(&column.name), column.equals))
        };
        let found: Vec<String> = old.iter().zip(old_values).filter_map(is).collect();
        let (found, from) = (found.join(" AND "), &staged.from);
        let sets = assignments(&names, new_values.iter().cloned());
        match self {
            Self::Delete => format!("DELETE FROM {table} AS t USING {from} WHERE {found}"),
            // Nothing to set, and yet the rows must be there.
            _ if sets.is_empty() => format!("SELECT 1 FROM {table} AS t, {from} WHERE {found}"),
            _ => format!("UPDATE {table} AS t SET {sets} FROM {from} WHERE {found}"),
        }
    }

    /// Rows that are known by all of their values, of which several may be alike: the first of those that are
    /// given goes with the first that is there, and so on. They are compared by the text of the whole row, which
    /// tells NULL from an empty text, and needs no `=` of the types.
    fn sql_of_whole_rows(
        &self,
        binding: &Binding,
        staged: &Staged,
        old: &[String],
        new: &[String],
    ) -> String {
        let (table, from) = (&binding.table, &staged.from);
        let here: Vec<String> =
            binding.columns.iter().map(|column| format!("t.{}", ident(&column.name))).collect();
        let (here, old) = (here.join(", "), old.join(", "));
        let named = new.iter().enumerate();
        let values: String = named.map(|(at, value)| format!(", {value} AS v{at}")).collect();
        let with = format!(
            "WITH s AS (SELECT *, row_number() OVER (PARTITION BY r) AS n FROM (SELECT ROW({old})::text AS r{values} FROM {from}) AS s), \
             t AS (SELECT o, p, r, row_number() OVER (PARTITION BY r) AS n FROM (SELECT t.tableoid AS o, t.ctid AS p, ROW({here})::text AS r FROM {table} AS t) AS t \
             WHERE r IN (SELECT r FROM s)), m AS (SELECT * FROM t JOIN s USING (r, n))"
        );
        let found = "x.ctid = m.p AND x.tableoid = m.o";
        match self {
            Self::Update { set } => {
                let values = (0..set.len()).map(|at| format!("m.v{at}"));
                let sets = assignments(&names(binding, set), values);
                format!("{with} UPDATE {table} AS x SET {sets} FROM m WHERE {found}")
            }
            _ => format!("{with} DELETE FROM {table} AS x USING m WHERE {found}"),
        }
    }
}

/// The places of the columns that a row is known by.
fn known_by(binding: &Binding) -> Vec<usize> {
    binding.key.clone().unwrap_or_else(|| (0..binding.columns.len()).collect())
}

/// The places of the columns that an insert writes.
pub(super) fn written(binding: &Binding) -> Vec<usize> {
    let columns = binding.columns.iter().enumerate();
    columns.filter(|(_, column)| !column.generated).map(|(at, _)| at).collect()
}

fn names(binding: &Binding, places: &[usize]) -> Vec<String> {
    places
        .iter()
        .filter_map(|place| binding.columns.get(*place))
        .map(|of| ident(&of.name))
        .collect()
}

fn assignments(names: &[String], values: impl Iterator<Item = String>) -> String {
    let sets = names.iter().zip(values).map(|(name, value)| format!("{name} = {value}"));
    sets.collect::<Vec<_>>().join(", ")
}

/// Arrays side by side as rows.
struct Staged {
    from: String,
    /// Each column's value in such a row.
    values: Vec<String>,
}

impl Staged {
    fn of<'p>(binding: &Binding, places: impl Iterator<Item = &'p usize>) -> Self {
        let columns: Vec<&BoundColumn> =
            places.filter_map(|place| binding.columns.get(*place)).collect();
        let (mut arrays, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (at, column) in columns.iter().enumerate() {
            arrays.push(format!("${}::{}", at + 1, column.staging.array_type));
            names.push(format!("c{at}"));
            values.push(match &column.staging.cast {
                Some(cast) => format!("s.c{at}::{cast}"),
                None => format!("s.c{at}"),
            });
        }
        let from = format!("unnest({}) AS s ({})", arrays.join(", "), names.join(", "));
        Self { from, values }
    }
}
