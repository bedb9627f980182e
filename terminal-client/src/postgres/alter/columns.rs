use wire::{ColumnDefinition, TableDefinition};

use super::{
    super::{create::takes, quote::literal},
    act::Act,
    found::{Found, FoundColumn},
};

/// A column that is here already, under a type that does not take the values to come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the master's has a new column \"{column}\" of type {source_type}, and there is one of type {found} here already"
)]
pub(super) struct OtherType {
    pub(super) column: String,
    pub(super) source_type: String,
    pub(super) found: String,
}

/// What is to be done to columns that have their new names. Only what the source changed: the rest may
/// be otherwise here on purpose.
pub(super) fn columns(
    before: &TableDefinition,
    after: &TableDefinition,
    found: &Found,
) -> Result<Vec<Act>, OtherType> {
    let mut acts = Vec::new();
    for is in &after.columns {
        let was = before.columns.iter().find(|was| was.number == is.number);
        match (was, found.column(&is.name)) {
            (None, None) => add(is, after.partition_by.is_some(), &mut acts),
            (None, Some(here)) => join(is, here, &mut acts)?,
            (Some(was), Some(here)) => change(was, is, here, &mut acts),
            // Not here, though the source has had it: the next change of a row says what to do.
            (Some(_), None) => {}
        }
    }
    Ok(acts)
}

/// Only tables with rows of their own know what was missing there. Of a partitioned one, whose parts get
/// the column with it, the default stands for it: it is no other for each row, or they would be rewritten.
fn add(is: &ColumnDefinition, is_whole: bool, acts: &mut Vec<Act>) {
    let value = match (&is.missing, &is.default) {
        (Some(missing), _) => Some(format!("{}::{}", literal(missing), is.type_sql)),
        (None, Some(default)) if is_whole => Some(default.clone()),
        _ => None,
    };
    let has_one = value.is_some();
    acts.push(Act::AddColumn { column: is.clone(), value });
    if !has_one || is.missing.is_some() {
        set_default(is, has_one, acts);
    }
}

fn set_default(is: &ColumnDefinition, has_one: bool, acts: &mut Vec<Act>) {
    let column = is.name.clone();
    match &is.default {
        Some(default) => acts.push(Act::SetDefault { column, default: default.clone() }),
        None if has_one => acts.push(Act::DropDefault(column)),
        None => {}
    }
}

/// A column that was here before the source had it: rows that have nothing in it get what they have there.
fn join(is: &ColumnDefinition, here: &FoundColumn, acts: &mut Vec<Act>) -> Result<(), OtherType> {
    if here.inherited && is.missing.is_none() {
        return Ok(());
    }
    let computed = here.generated.is_some() && is.generated.is_some();
    if !computed && (here.generated.is_some() || !takes(&here.base_type, &is.base_type)) {
        return Err(OtherType {
            column: is.name.clone(),
            source_type: is.type_sql.clone(),
            found: here.type_sql.clone(),
        });
    }
    if is.generated.is_some() || is.identity.is_some() {
        return Ok(());
    }
    if is.missing.is_none() && here.not_null {
        acts.push(Act::DropNotNull(is.name.clone()));
    }
    // What stands in it may have come by the stream, where the change is told late.
    if let Some(value) = &is.missing {
        acts.push(Act::Fill {
            column: is.name.clone(),
            type_sql: here.type_sql.clone(),
            value: value.clone(),
            whole: here.inherited,
        });
    }
    if is.default != here.default && !here.inherited {
        set_default(is, here.default.is_some(), acts);
    }
    Ok(())
}

fn change(was: &ColumnDefinition, is: &ColumnDefinition, here: &FoundColumn, acts: &mut Vec<Act>) {
    let name = || is.name.clone();
    if was.identity.is_some() && is.identity.is_none() && here.identity.is_some() {
        acts.push(Act::DropIdentity(name()));
    }
    if was.not_null && !is.not_null && here.not_null {
        acts.push(Act::DropNotNull(name()));
    }
    if was.generated.is_some() && is.generated.is_none() && here.generated.is_some() {
        acts.push(Act::DropExpression(name()));
    }
    let retyped = retype(was, is, here, acts);
    if let (Some(old), Some(new), Some(found)) = (&was.generated, &is.generated, &here.generated)
        && old != new
        && found != new
    {
        acts.push(Act::SetExpression {
            column: name(),
            type_sql: is.type_sql.clone(),
            expression: new.clone(),
        });
    }
    let default_here = here.default.as_ref().filter(|_| !retyped);
    if was.default != is.default && default_here != is.default.as_ref() && is.generated.is_none() {
        set_default(is, default_here.is_some(), acts);
    } else if let Some(default) =
        here.default.as_ref().filter(|_| retyped && was.default == is.default)
    {
        let default = is.default.as_ref().unwrap_or(default).clone();
        acts.push(Act::SetDefault { column: name(), default });
    }
    if !was.not_null && is.not_null && !here.not_null {
        acts.push(Act::SetNotNull(name()));
    }
    match (was.identity, is.identity, here.identity) {
        (None, Some(kind), None) => {
            if here.default.is_some() && is.default.is_none() && was.default.is_none() {
                acts.push(Act::DropDefault(name()));
            }
            acts.push(Act::AddIdentity(name(), kind));
        }
        (was, Some(kind), Some(here)) if was != Some(kind) && here != kind => {
            acts.push(Act::SetIdentity(name(), kind));
        }
        _ => {}
    }
}

/// A default is taken away for it, for it may not be of the new type.
fn retype(
    was: &ColumnDefinition,
    is: &ColumnDefinition,
    here: &FoundColumn,
    acts: &mut Vec<Act>,
) -> bool {
    let (old, new) = ((&was.type_sql, &was.collation), (&is.type_sql, &is.collation));
    // A wider type that was chosen here stays.
    let chosen = here.type_sql != was.type_sql && takes(&here.base_type, &is.base_type);
    let collated = was.type_sql == is.type_sql;
    if here.inherited
        || old == new
        || (&here.type_sql, &here.collation) == new
        || (chosen && !collated)
        || (collated && here.type_sql != is.type_sql)
    {
        return false;
    }
    if here.default.is_some() {
        acts.push(Act::DropDefault(is.name.clone()));
    }
    acts.push(Act::Retype {
        column: is.name.clone(),
        type_sql: is.type_sql.clone(),
        collation: is.collation.clone(),
    });
    true
}
