//! Tables that a reload finds in another shape than its snapshot's: what was done to them on the master
//! is not known then, nor needed, for all their rows are exchanged. Keys and indexes stay as they are.

use tokio_postgres::Error;
use wire::{ColumnDefinition, Lsn, TableDefinition, TypeDefinition};

use super::{
    super::{
        connect::error_of,
        create::{attempt, takes},
        place::Place,
        quote::{ident, qualified},
    },
    act::Act,
    found::{Found, find},
    refusal::Blame,
    types::{TypeAct, find as find_type, renamed, type_acts},
};
use crate::target::TargetError;

/// Adds the columns that a table lacks, and the values that its enums lack. Its rows have none in them
/// until the exchange.
pub(in super::super) async fn widen(
    place: Place<'_>,
    lsn: Lsn,
    table: &TableDefinition,
) -> Result<(), TargetError> {
    let Some(found) = look_up(place, table).await? else { return Ok(()) };
    for act in lacking(table, &found) {
        let (sql, second) = act.sql(&table.schema, &table.name);
        let mut refused = attempt(place.target, place.client, &sql).await?;
        if let Some(second) = second.filter(|_| refused.is_some()) {
            refused = attempt(place.target, place.client, &second).await?;
        }
        match refused {
            None => tracing::info!("{sql}"),
            Some(why) if act.may_fail() => tracing::warn!(why, "not done here: {sql}"),
            Some(why) => {
                let blame = Blame { target: place.target.into(), table: table.to_string(), lsn };
                let advice = "remove what is in the way, then reload".into();
                return Err(blame.stopped(format!("`{sql}` is refused: {why}"), advice));
            }
        }
    }
    Ok(())
}

fn lacking(table: &TableDefinition, found: &Found) -> Vec<Act> {
    let lacks = |column: &&ColumnDefinition| found.column(&column.name).is_none();
    let mut acts = Vec::new();
    for column in table.columns.iter().filter(lacks) {
        let plain =
            ColumnDefinition { not_null: false, identity: None, missing: None, ..column.clone() };
        acts.push(Act::AddColumn { column: plain, value: None });
        let name = || column.name.clone();
        acts.extend(
            column.default.clone().map(|default| Act::SetDefault { column: name(), default }),
        );
    }
    acts
}

/// Adds values that the enums of a snapshot have and those here lack.
pub(in super::super) async fn widen_types(
    place: Place<'_>,
    types: &[TypeDefinition],
) -> Result<(), TargetError> {
    for names in renamed(&[], types) {
        let of = names.is;
        let found = find_type(place.client, &of.schema, &of.name).await;
        let found = found.map_err(|error| failed(place, of.name.as_str(), &error))?;
        for (schema, name, act) in type_acts(&names, None, found.as_ref()) {
            // Those that are missing are made with what else is missing.
            if matches!(act, TypeAct::AddLabel { .. }) {
                let sql = act.sql(&schema, &name);
                match attempt(place.target, place.client, &sql).await? {
                    None => tracing::info!("{sql}"),
                    Some(why) => tracing::warn!(why, "not done here: {sql}"),
                }
            }
        }
    }
    Ok(())
}

/// The columns of the table here that do not take its rows.
fn other<'a>(
    table: &'a TableDefinition,
    found: &'a Found,
) -> impl Iterator<Item = &'a ColumnDefinition> {
    table.columns.iter().filter(|column| {
        let here = found.column(&column.name);
        let here = here.filter(|here| !here.inherited && column.generated.is_none());
        here.is_some_and(|here| {
            here.generated.is_some() || !takes(&here.base_type, &column.base_type)
        })
    })
}

/// The types of those columns that will have another: names and types.
pub(in super::super) async fn retyped(
    place: Place<'_>,
    table: &TableDefinition,
) -> Result<Vec<(String, String)>, TargetError> {
    let Some(found) = look_up(place, table).await? else { return Ok(Vec::new()) };
    let retyped = other(table, &found);
    Ok(retyped.map(|column| (column.name.clone(), column.type_sql.clone())).collect())
}

/// What makes a table that has been emptied take the rows.
pub(in super::super) async fn to_take(
    place: Place<'_>,
    table: &TableDefinition,
) -> Result<Vec<String>, TargetError> {
    let Some(found) = look_up(place, table).await? else { return Ok(Vec::new()) };
    let name = qualified(&table.schema, &table.name);
    let mut statements = Vec::new();
    if other(table, &found).next().is_some() {
        // What only guards, and would have to be of the new types too, or be gone.
        let known =
            |definition: &String| table.constraints.iter().any(|of| of.definition == *definition);
        let guards = found.constraints.iter().filter(|of| !of.inherited && !"pu".contains(of.kind));
        for guard in guards.filter(|of| !known(&of.definition)) {
            statements.push(format!("ALTER TABLE {name} DROP CONSTRAINT {}", ident(&guard.name)));
        }
    }
    for column in other(table, &found) {
        let (quoted, of) = (ident(&column.name), &column.type_sql);
        let here = found.column(&column.name);
        let word = match here.and_then(|here| here.generated.as_ref()) {
            Some(_) => "DROP EXPRESSION",
            None => "DROP DEFAULT",
        };
        statements.push(format!("ALTER TABLE {name} ALTER COLUMN {quoted} {word}"));
        statements
            .push(format!("ALTER TABLE {name} ALTER COLUMN {quoted} TYPE {of} USING NULL::{of}"));
        if let Some(default) = &column.default {
            statements
                .push(format!("ALTER TABLE {name} ALTER COLUMN {quoted} SET DEFAULT {default}"));
        }
    }
    let strange = found.columns.iter().filter(|here| {
        !here.inherited && !table.columns.iter().any(|column| column.name == here.name)
    });
    for here in strange {
        tracing::info!(
            "{table}: its column {} is not the source's: rows have none in it",
            here.name
        );
        let stands_in =
            here.default.is_some() || here.generated.is_some() || here.identity.is_some();
        if here.not_null && !stands_in {
            let column = ident(&here.name);
            statements.push(format!("ALTER TABLE {name} ALTER COLUMN {column} DROP NOT NULL"));
        }
    }
    Ok(statements)
}

const VIEWS: &str = "
SELECT r.ev_class::pg_catalog.regclass::text FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    AND d.refobjid = pg_catalog.to_regclass($1::text) AND a.attname = ANY ($2::text[]) LIMIT 1";

/// Refuses where a view reads a column that must get another type: better before the load than at its end.
pub(in super::super) async fn refuse_views(
    place: Place<'_>,
    table: &TableDefinition,
    retyped: &[(String, String)],
) -> Result<(), TargetError> {
    let columns: Vec<&str> = retyped.iter().map(|(name, _)| name.as_str()).collect();
    let name = qualified(&table.schema, &table.name);
    let view = place.client.query_opt(VIEWS, &[&name, &columns]).await;
    let view = view.map_err(|error| failed(place, &name, &error))?;
    let Some(view) = view.map(|row| row.get::<_, String>(0)) else { return Ok(()) };
    Err(TargetError::Table {
        target: place.target.to_owned(),
        table: table.to_string(),
        why: format!(
            "columns of it have another type on the master now, and the view {view} reads them"
        ),
        advice: "drop that view, then reload; make it anew afterwards".into(),
    })
}

async fn look_up(place: Place<'_>, table: &TableDefinition) -> Result<Option<Found>, TargetError> {
    let found = find(place.client, &table.schema, &table.name).await;
    found.map_err(|error| failed(place, &table.to_string(), &error))
}

fn failed(place: Place<'_>, of: &str, error: &Error) -> TargetError {
    error_of(place.target, &format!("look up {of}"), error)
}
