//! Columns that come, and columns whose values are kept another way now.

use wire::{ColumnDefinition, Definitions, TableDefinition};

use super::{
    super::{
        schema::{
            ColumnSql, NO_COLUMNS, Shape, ShapeColumn, quote, row_id_key, sent_columns,
            with_generated,
        },
        values::{Conversion, Kind, conversion, literal},
    },
    act::{Act, Rebuild, Rebuilt},
    names::DROPPED_KEY,
    texts::{Text, text_of},
};

/// What cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unable {
    /// Only a snapshot has the values.
    #[error(
        "the values of its column \"{column}\" were {was} and are {is} now, and are not in the stream"
    )]
    Values { column: String, was: String, is: String },
    #[error("the master's has a new column \"{column}\", and here is one that is declared {found}")]
    Declared { column: String, found: String },
    #[error("SQLite cannot tell its column \"{0}\" from another")]
    Alike(String),
    #[error("column \"{column}\": {why}")]
    Value { column: String, why: String },
}

/// What is to be done about the rows that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// They stay, and their values become what a load would make of them.
    Stay,
    /// There are none.
    None,
}

/// What is to be done to a table whose columns have their new names. `extra` are columns that the source
/// has not, as a rebuild makes them.
pub(super) fn columns(
    (was, before): (&TableDefinition, &Definitions),
    (is, after): (&TableDefinition, &Definitions),
    shape: &Shape,
    extra: &[(String, String)],
    rows: Rows,
) -> Result<Vec<Act>, Unable> {
    for (at, column) in is.columns.iter().enumerate() {
        let mut before = is.columns.iter().take(at);
        if before.any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
            return Err(Unable::Alike(column.name.clone()));
        }
    }
    let all = with_generated(is, &sent_columns(is));
    let (mut acts, mut made, mut anew) = (Vec::new(), Vec::new(), false);
    for column in &all {
        let Some(now) = is.columns.iter().find(|now| now.name == column.name) else { continue };
        let old = was.columns.iter().find(|was| was.number == now.number);
        let text =
            old.map_or(Text::Same, |old| text_of((before, &old.type_sql), (after, &now.type_sql)));
        let part = part(column, now, old, shape, &text, rows)?;
        anew |= part.anew;
        acts.extend(part.acts);
        made.push((column, part.value));
    }
    let row_id = row_id_key(is, &all);
    let ceases = row_number(was, is).is_some_and(|key| {
        shape.is_row_id(&key) && row_id.is_none_or(|row_id| !row_id.eq_ignore_ascii_case(&key))
    });
    if !anew && !ceases {
        return Ok(acts);
    }
    // A key that was none is an index, like any other.
    let kept = row_id.filter(|key| shape.is_row_id(key));
    let rebuilt = |(column, value): (&ColumnSql, String)| Rebuilt {
        name: column.name.clone(),
        sql: match kept == Some(column.name.as_str()) {
            true => format!("{} PRIMARY KEY", column.sql()),
            false => column.sql(),
        },
        value: column.generated.is_none().then_some(value),
    };
    let own = extra.iter().map(|(name, sql)| Rebuilt {
        name: name.clone(),
        sql: sql.clone(),
        value: Some(quote(name)),
    });
    let mut all: Vec<Rebuilt> = made.into_iter().map(rebuilt).chain(own).collect();
    if !all.iter().any(|column| column.value.is_some()) {
        let none = ColumnSql::sent(NO_COLUMNS, Kind::Bytes);
        let value = Some("NULL".into());
        all.push(Rebuilt { name: NO_COLUMNS.into(), sql: none.sql(), value });
    }
    Ok(vec![Act::Rebuild(Rebuild(all))])
}

/// What the column is called now that the table was made with as its rows' own number.
fn row_number(was: &TableDefinition, is: &TableDefinition) -> Option<String> {
    let all = with_generated(was, &sent_columns(was));
    let key = row_id_key(was, &all)?;
    let number = was.columns.iter().find(|column| column.name == key)?.number;
    let now = is.columns.iter().find(|column| column.number == number);
    Some(now.map_or(DROPPED_KEY, |now| &now.name).to_owned())
}

/// Whether a column is the file's own, and not the source's.
pub(super) fn is_own(was: &TableDefinition, is: &TableDefinition, name: &str) -> bool {
    let of = |table: &TableDefinition| {
        table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
    };
    !of(was) && !of(is)
}

/// What is to be done for one column.
struct Part {
    acts: Vec<Act>,
    /// Its values, as an expression over what is there.
    value: String,
    /// It takes a rebuild.
    anew: bool,
}

fn part(
    column: &ColumnSql,
    now: &ColumnDefinition,
    before: Option<&ColumnDefinition>,
    shape: &Shape,
    text: &Text,
    rows: Rows,
) -> Result<Part, Unable> {
    let quoted = quote(&column.name);
    let here = shape.column(&column.name);
    let Some(before) = before else { return new(column, now, shape) };
    if rows == Rows::None {
        return empty(column, here, before.generated == now.generated);
    }
    let Some(here) = here else {
        // It was left out, because SQLite could not compute it.
        if before.generated.is_some() && now.generated.is_none() {
            return Err(values(before, now));
        }
        let anew = column.generated.is_some() && before.generated != now.generated;
        return Ok(Part { acts: Vec::new(), value: "NULL".into(), anew });
    };
    if here.generated || column.generated.is_some() {
        // Its values are computed behind, or stay as they were computed.
        let anew = before.generated != now.generated;
        return Ok(Part { acts: Vec::new(), value: quoted, anew });
    }
    let from = Kind::of_definition(before);
    match conversion(from, column.kind, &quoted).ok_or_else(|| values(before, now))? {
        Conversion::None if *text == Text::Same => {
            Ok(Part { acts: Vec::new(), value: quoted, anew: false })
        }
        Conversion::None => {
            let to = text.sql(&quoted).ok_or_else(|| values(before, now))?;
            let set = Act::Set { column: column.name.clone(), to: to.clone() };
            Ok(Part { acts: vec![set], value: to, anew: false })
        }
        Conversion::Sql(to) => {
            let anew = !column.kind.fits(here.affinity);
            let set = Act::Set { column: column.name.clone(), to: to.clone() };
            Ok(Part { acts: vec![set], value: to, anew })
        }
    }
}

/// A column of a table that has no rows.
fn empty(column: &ColumnSql, here: Option<&ShapeColumn>, same: bool) -> Result<Part, Unable> {
    let computed = column.generated.is_some();
    let (acts, anew) = match here {
        None if computed => (Vec::new(), true),
        None => (vec![Act::AddColumn(column.clone())], false),
        Some(here) => {
            let fits = column.kind.fits(here.affinity);
            (Vec::new(), here.generated != computed || computed && !same || !fits)
        }
    };
    Ok(Part { acts, value: "NULL".into(), anew })
}

fn values(before: &ColumnDefinition, now: &ColumnDefinition) -> Unable {
    let (was, is) = (before.type_sql.clone(), now.type_sql.clone());
    Unable::Values { column: now.name.clone(), was, is }
}

/// A column that the source had not: all rows have there what it says is missing.
fn new(column: &ColumnSql, now: &ColumnDefinition, shape: &Shape) -> Result<Part, Unable> {
    let here = shape.column(&column.name);
    if column.generated.is_some() {
        // SQLite adds no stored column.
        return Ok(Part { acts: Vec::new(), value: String::new(), anew: here.is_none() });
    }
    let missing = now.missing.as_ref().map(|text| literal(column.kind, text)).transpose();
    let missing = missing
        .map_err(|why| Unable::Value { column: column.name.clone(), why: why.to_string() })?;
    let set = |to: &String| Act::Set { column: column.name.clone(), to: to.clone() };
    let mut acts = Vec::new();
    match here {
        None => {
            acts.push(Act::AddColumn(column.clone()));
            acts.extend(missing.as_ref().map(set));
        }
        Some(here) if here.generated || !column.kind.fits(here.affinity) => {
            let (column, found) = (column.name.clone(), here.declared.clone());
            return Err(Unable::Declared { column, found });
        }
        // What stands in it may have come by the stream, where the change is told late.
        Some(_) => {
            let name = quote(&column.name);
            let value =
                missing.as_ref().map_or(name.clone(), |to| format!("coalesce({name}, {to})"));
            acts.extend(missing.is_some().then(|| set(&value)));
            return Ok(Part { acts, value, anew: false });
        }
    }
    Ok(Part { acts, value: missing.unwrap_or_else(|| "NULL".into()), anew: false })
}
