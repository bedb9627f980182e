//! The SQL of one change, and which of its values go into it.

use std::fmt::Write as _;

use wire::{Change, OldRow, Relation, Tuple, Value};

use super::{
    super::{param::Param, quote::ident},
    binding::{Binding, BoundColumn},
};
use crate::target::old_tuple;

/// A statement for one change of a row. Changes of one shape share the SQL.
#[derive(Debug, Default)]
pub(super) struct RowStatement {
    pub(super) sql: String,
    pub(super) params: Vec<Param>,
}

/// Why a change has no statement.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it has {values} values for the {columns} columns of its table")]
    Columns { values: usize, columns: usize },
    #[error("it does not say which row it means")]
    NoKey,
    #[error("the stream does not carry the value of column \"{0}\"")]
    NoValue(String),
}

/// The bytes by which changes of one shape are known: same bytes, same SQL.
pub(super) fn shape(change: &Change<impl Sized>, binding: &Binding, out: &mut Vec<u8>) {
    out.clear();
    match change {
        Change::Insert { .. } => out.push(b'I'),
        Change::Update { old, new, .. } => {
            out.push(if old.is_some() { b'K' } else { b'U' });
            if new.contains(&Value::Unchanged) {
                out.extend(new.iter().map(|value| u8::from(*value == Value::Unchanged)));
            }
            if let (None, Some(old)) = (&binding.key, old) {
                mask_of_nulls(old_tuple(old), out);
            }
            if let Some(old) = old {
                out.push(b'M');
                out.push(u8::from(moves_identity(binding, old_tuple(old), new)));
            }
        }
        Change::Delete { old, .. } => {
            out.push(b'D');
            if binding.key.is_none() {
                mask_of_nulls(old_tuple(old), out);
            }
        }
        Change::Truncate { .. } | Change::Message { .. } => {}
    }
}

/// As [`shape`], of [`finding`].
pub(super) fn finding_shape(binding: &Binding, row: &Tuple, but: Option<&Tuple>) -> Vec<u8> {
    let mut out = vec![b'F', u8::from(but.is_some())];
    if binding.key.is_none() {
        mask_of_nulls(row, &mut out);
    }
    out
}

/// The statement that finds the rows which a change of this row meets, but for those which one of the row `but`
/// does: keys may be equal that are spelled otherwise. Two rows suffice.
pub(super) fn finding(
    binding: &Binding,
    row: &Tuple,
    but: Option<&Tuple>,
) -> Result<RowStatement, Unfit> {
    let mut statement = Builder { out: RowStatement::default(), known: false };
    statement.sql(|sql| {
        let _ = write!(sql, "SELECT 1 FROM {} WHERE ", binding.table);
    });
    statement.row(binding, row)?;
    if let Some(but) = but {
        statement.sql(|sql| sql.push_str(" AND NOT ("));
        statement.row(binding, but)?;
        statement.sql(|sql| sql.push(')'));
    }
    statement.sql(|sql| sql.push_str(" LIMIT 2"));
    Ok(statement.out)
}

fn mask_of_nulls(tuple: &Tuple, out: &mut Vec<u8>) {
    out.push(b'N');
    out.extend(tuple.iter().map(|value| match value {
        Value::Null => 0_u8,
        Value::Unchanged => 2,
        _ => 1,
    }));
}

/// The statement of a change to one row; `sql` is left empty where `known` says that it was made.
pub(super) fn row_statement<R: AsRef<Relation>>(
    change: &Change<R>,
    binding: &Binding,
    known: bool,
) -> Result<RowStatement, Unfit> {
    let mut statement = Builder { out: RowStatement::default(), known };
    match change {
        Change::Insert { new, .. } => statement.insert(binding, new)?,
        Change::Update { old: Some(old), new, .. }
            if moves_identity(binding, old_tuple(old), new) =>
        {
            statement.replace(binding, old_tuple(old), new)?;
        }
        // Nothing says whether it has another value.
        Change::Update { old, new, .. }
            if has_identity_outside_key(binding) && !matches!(old, Some(OldRow::Full(_))) =>
        {
            statement.update_or_replace(binding, old.as_ref().map(old_tuple), new)?;
        }
        Change::Update { old, new, .. } => {
            statement.update(binding, old.as_ref().map(old_tuple), new)?;
        }
        Change::Delete { old, .. } => {
            statement.sql(|sql| {
                let _ = write!(sql, "DELETE FROM {} WHERE ", binding.table);
            });
            statement.row(binding, old_tuple(old))?;
        }
        Change::Truncate { .. } | Change::Message { .. } => {}
    }
    Ok(statement.out)
}

/// Whether an update gives an identity column that only the target may write another value.
fn moves_identity(binding: &Binding, old: &Tuple, new: &Tuple) -> bool {
    binding.overriding
        && binding.columns.iter().zip(old.iter().zip(new)).any(|(column, (old, new))| {
            column.identity_always && *new != Value::Unchanged && *old != Value::Null && old != new
        })
}

fn has_identity_outside_key(binding: &Binding) -> bool {
    let Some(key) = &binding.key else { return false };
    let mut always = binding.columns.iter().enumerate().filter(|(_, of)| of.identity_always);
    always.any(|(at, _)| !key.contains(&at))
}

struct Builder {
    out: RowStatement,
    known: bool,
}

impl Builder {
    fn sql(&mut self, write: impl FnOnce(&mut String)) {
        if !self.known {
            write(&mut self.out.sql);
        }
    }

    /// Takes a value as the next parameter; gives its number.
    fn param(&mut self, column: &BoundColumn, value: &Value) -> Result<usize, Unfit> {
        let param = Param::of(value).ok_or_else(|| Unfit::NoValue(column.name.clone()))?;
        self.out.params.push(param);
        Ok(self.out.params.len())
    }

    fn insert(&mut self, binding: &Binding, new: &Tuple) -> Result<(), Unfit> {
        let written: Vec<_> = written(binding, new)?.collect();
        if written.is_empty() {
            self.sql(|sql| {
                let _ = write!(sql, "INSERT INTO {} DEFAULT VALUES", binding.table);
            });
            return Ok(());
        }
        for (column, value) in &written {
            self.param(column, value)?;
        }
        self.sql(|sql| {
            let names: Vec<String> =
                written.iter().map(|(column, _)| ident(&column.name)).collect();
            let places: Vec<String> = (1..=written.len()).map(|n| format!("${n}")).collect();
            let overriding = if binding.overriding { " OVERRIDING SYSTEM VALUE" } else { "" };
            let _ = write!(
                sql,
                "INSERT INTO {} ({}){overriding} VALUES ({})",
                binding.table,
                names.join(", "),
                places.join(", ")
            );
        });
        Ok(())
    }

    fn update(&mut self, binding: &Binding, old: Option<&Tuple>, new: &Tuple) -> Result<(), Unfit> {
        check_width(binding, new)?;
        let mut sets = String::new();
        for (at, (column, value)) in binding.columns.iter().zip(new).enumerate() {
            if !is_set(binding, old, (at, column), value) {
                continue;
            }
            let number = self.param(column, value)?;
            if !self.known {
                let comma = if sets.is_empty() { "" } else { ", " };
                let _ = write!(sets, "{comma}{} = ${number}", ident(&column.name));
            }
        }
        self.sql(|sql| {
            let _ = if sets.is_empty() {
                write!(sql, "SELECT 1 FROM {} WHERE ", binding.table)
            } else {
                write!(sql, "UPDATE {} SET {sets} WHERE ", binding.table)
            };
        });
        self.row(binding, old.unwrap_or(new))
    }

    /// An identity column that only the target may write cannot be updated to a given value: the row
    /// is taken out and put in again, in one statement.
    fn replace(&mut self, binding: &Binding, old: &Tuple, new: &Tuple) -> Result<(), Unfit> {
        self.sql(|sql| sql.push_str("WITH "));
        self.take_out(binding, old)?;
        self.sql(|sql| sql.push_str(" RETURNING *) "));
        self.put_in(binding, new)
    }

    /// Replaces the row only where such a column has another value than it comes with. Meets one row, one way or
    /// the other.
    fn update_or_replace(
        &mut self,
        binding: &Binding,
        old: Option<&Tuple>,
        new: &Tuple,
    ) -> Result<(), Unfit> {
        self.sql(|sql| sql.push_str("WITH same AS ("));
        self.update(binding, old, new)?;
        self.sql(|sql| sql.push_str(" AND "));
        self.same_identity(binding, new)?;
        let returning = if self.sets_nothing(binding, old, new) { "" } else { " RETURNING 1" };
        self.sql(|sql| {
            let _ = write!(sql, "{returning}), ");
        });
        self.take_out(binding, old.unwrap_or(new))?;
        self.sql(|sql| sql.push_str(" AND NOT ("));
        self.same_identity(binding, new)?;
        self.sql(|sql| sql.push_str(") RETURNING *), put AS ("));
        self.put_in(binding, new)?;
        self.sql(|sql| sql.push_str(" RETURNING 1) SELECT FROM same UNION ALL SELECT FROM put"));
        Ok(())
    }

    /// Whether [`Self::update`] has nothing to set.
    fn sets_nothing(&self, binding: &Binding, old: Option<&Tuple>, new: &Tuple) -> bool {
        let mut columns = binding.columns.iter().enumerate().zip(new);
        !columns.any(|(column, value)| is_set(binding, old, column, value))
    }

    /// That the identity columns have the values that come.
    fn same_identity(&mut self, binding: &Binding, new: &Tuple) -> Result<(), Unfit> {
        let mut and = "";
        for (column, value) in binding.columns.iter().zip(new).filter(|(c, _)| c.identity_always) {
            let number = self.param(column, value)?;
            self.sql(|sql| {
                let _ = write!(sql, "{and}{} IS NOT DISTINCT FROM ${number}", ident(&column.name));
            });
            and = " AND ";
        }
        Ok(())
    }

    /// `old AS (DELETE …`, to go on with.
    fn take_out(&mut self, binding: &Binding, old: &Tuple) -> Result<(), Unfit> {
        self.sql(|sql| {
            let _ = write!(sql, "old AS (DELETE FROM {} WHERE ", binding.table);
        });
        self.row(binding, old)
    }

    /// Puts the row of `old` in again. Columns of the target's own stay as they were.
    fn put_in(&mut self, binding: &Binding, new: &Tuple) -> Result<(), Unfit> {
        check_width(binding, new)?;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (column, value) in binding.columns.iter().zip(new).filter(|(c, _)| !c.generated) {
            names.push(ident(&column.name));
            values.push(match value {
                Value::Unchanged => format!("old.{}", ident(&column.name)),
                value => format!("${}", self.param(column, value)?),
            });
        }
        names.extend(binding.others.iter().cloned());
        values.extend(binding.others.iter().map(|name| format!("old.{name}")));
        self.sql(|sql| {
            let (names, values) = (names.join(", "), values.join(", "));
            let _ = write!(
                sql,
                "INSERT INTO {} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM old",
                binding.table
            );
        });
        Ok(())
    }

    /// The condition that names the row: by its key, or exactly one of those with the same values.
    fn row(&mut self, binding: &Binding, old: &Tuple) -> Result<(), Unfit> {
        check_width(binding, old)?;
        let Some(key) = &binding.key else { return self.any_one(binding, old) };
        if key.is_empty() {
            return Err(Unfit::NoKey);
        }
        let mut and = "";
        for (column, value) in
            key.iter().filter_map(|at| binding.columns.get(*at).zip(old.get(*at)))
        {
            let number = self.param(column, value)?;
            self.sql(|sql| {
                let _ = write!(sql, "{and}{} {} ${number}", ident(&column.name), column.equals);
            });
            and = " AND ";
        }
        Ok(())
    }

    fn any_one(&mut self, binding: &Binding, old: &Tuple) -> Result<(), Unfit> {
        let place = if binding.partitioned { "tableoid, ctid" } else { "ctid" };
        self.sql(|sql| {
            let _ = write!(sql, "({place}) = (SELECT {place} FROM {} WHERE true", binding.table);
        });
        for (column, value) in binding.columns.iter().zip(old) {
            match value {
                Value::Unchanged => {}
                // For a row type, `IS NULL` would also hold for a row of NULLs.
                Value::Null => self.sql(|sql| {
                    let _ = write!(sql, " AND {} IS NOT DISTINCT FROM NULL", ident(&column.name));
                }),
                value => {
                    let number = self.param(column, value)?;
                    self.sql(|sql| same_value(sql, column, number));
                }
            }
        }
        self.sql(|sql| sql.push_str(" LIMIT 1)"));
        Ok(())
    }
}

/// Whether an update gives a column its value.
fn is_set(
    binding: &Binding,
    old: Option<&Tuple>,
    (at, column): (usize, &BoundColumn),
    value: &Value,
) -> bool {
    // Without an old row the key is as it was.
    let is_key = binding.key.as_ref().is_some_and(|key| key.contains(&at));
    let kept = *value == Value::Unchanged || (old.is_none() && is_key);
    !kept && !column.generated && !column.identity_always
}

/// Types whose `=` holds exactly where their text is the same.
const EXACT: &[&str] = &[
    "bool",
    "int2",
    "int4",
    "int8",
    "oid",
    "uuid",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "bytea",
    "bpchar",
];

/// Others may have no `=` at all (json, xml, point), or one that is not exact (numeric, citext), so
/// they are compared by the text that the type's output function gives; that of a cast may differ.
fn same_value(sql: &mut String, column: &BoundColumn, number: usize) {
    let name = ident(&column.name);
    let _ = match column.base_type.as_str() {
        exact if EXACT.contains(&exact) => write!(sql, " AND {name} = ${number}"),
        // The first so that an index can serve, the second because a collation may equate texts.
        "text" | "varchar" => {
            write!(sql, " AND {name} = ${number} AND concat({name}) = ${number}")
        }
        _ => write!(sql, " AND concat({name}) = ${number}::text"),
    };
}

fn check_width(binding: &Binding, tuple: &Tuple) -> Result<(), Unfit> {
    let (values, columns) = (tuple.len(), binding.columns.len());
    if values == columns { Ok(()) } else { Err(Unfit::Columns { values, columns }) }
}

fn written<'a>(
    binding: &'a Binding,
    new: &'a Tuple,
) -> Result<impl Iterator<Item = (&'a BoundColumn, &'a Value)>, Unfit> {
    check_width(binding, new)?;
    Ok(binding.columns.iter().zip(new).filter(|(column, _)| !column.generated))
}
