//! The guard of `--guard`: triggers that refuse writers other than this program, whose own connection runs no
//! triggers. It is one against accidents: others can switch triggers off, too.

use rusqlite::OptionalExtension;
use wire::SourceName;

use super::{
    database::Database,
    known,
    schema::{Shape, quote, table_name},
};
use crate::target::{Named, TargetError};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS tailwater_guarded (source TEXT PRIMARY KEY)";
const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'tailwater_guarded'";
const IS_ON: &str = "SELECT EXISTS (SELECT 1 FROM tailwater_guarded WHERE source = ?1)";
const ON: &str = "INSERT OR IGNORE INTO tailwater_guarded (source) VALUES (?1)";
const OFF: &str = "DELETE FROM tailwater_guarded WHERE source = ?1";

/// A source's name has no colon in it.
const TRIGGERS: &str = "SELECT name, tbl_name FROM sqlite_schema
    WHERE type = 'trigger' AND substr(name, 1, length(?1)) = ?1 ORDER BY name";

const EVENTS: [&str; 3] = ["insert", "update", "delete"];

/// Whether other writers are refused.
pub(super) fn is_on(database: &Database, source: &SourceName) -> Result<bool, TargetError> {
    let connection = &database.connection;
    let look = || {
        if connection.query_row(EXISTS, [], |_| Ok(())).optional()?.is_none() {
            return Ok(false);
        }
        connection.query_row(IS_ON, [source.as_str()], |row| row.get(0))
    };
    database.did("read tailwater_guarded", look())
}

/// What a guard that is on, or off, still lacks, for the open transaction; nothing where it is complete.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    statements: Vec<String>,
    told: Vec<String>,
    say: Option<&'static str>,
}

impl Changes {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.statements.is_empty() && self.say.is_none()
    }

    /// Makes them, in the open transaction.
    pub(super) fn make(self, database: &Database, source: &SourceName) -> Result<(), TargetError> {
        let connection = &database.connection;
        for sql in &self.statements {
            database.did("guard the tables (--guard)", connection.execute_batch(sql))?;
        }
        if let Some(say) = self.say {
            let said = connection
                .execute_batch(CREATE)
                .and_then(|()| connection.execute(say, [source.as_str()]));
            database.did("write tailwater_guarded", said)?;
        }
        self.told.iter().for_each(|line| tracing::info!("{line}"));
        Ok(())
    }
}

/// What is to be done where other writers are to be refused (or not), as `wanted` says; none leaves that as it is.
pub(super) fn changes(
    database: &Database,
    source: &SourceName,
    wanted: Option<bool>,
) -> Result<Changes, TargetError> {
    let is = is_on(database, source)?;
    let mut changes = Changes::default();
    if wanted.is_some_and(|wanted| wanted != is) {
        changes.say = Some(if is { OFF } else { ON });
    }
    let there = triggers(database, source)?;
    if !wanted.unwrap_or(is) {
        // Where it is off and nothing else is said, nobody asked to look.
        if wanted.is_some() {
            changes.statements.extend(there.iter().map(|(trigger, _)| dropped(trigger)));
        }
        return Ok(changes);
    }
    // Triggers follow a table that is renamed, and keep their names.
    let (kept, stale): (Vec<_>, Vec<_>) = there.into_iter().partition(|(trigger, table)| {
        EVENTS.iter().any(|event| trigger_name(source, event, table) == *trigger)
    });
    changes.statements.extend(stale.iter().map(|(trigger, _)| dropped(trigger)));
    for of in known::read(database, source)?.into_values() {
        let name = table_name(&of.table.schema, &of.table.name);
        let shape = Shape::read(&database.connection, &name);
        let shape = database.did("look up the tables", shape)?;
        let Some(shape) = shape.filter(|shape| shape.kind == "table") else { continue };
        let lacks = |event: &&str| {
            let wanted = trigger_name(source, event, &shape.name);
            !kept.iter().any(|(trigger, _)| *trigger == wanted)
        };
        let lacks: Vec<&str> = EVENTS.into_iter().filter(lacks).collect();
        if !lacks.is_empty() {
            changes.told.push(format!("{} is guarded: other writers are refused", shape.name));
        }
        let made = lacks.iter().map(|event| trigger(source, event, &shape.name));
        changes.statements.extend(made);
    }
    Ok(changes)
}

/// Takes it off a table that is not the source's any more, in the open transaction.
pub(super) fn take_off(
    database: &Database,
    source: &SourceName,
    table: &Named,
) -> Result<(), TargetError> {
    let name = table_name(&table.schema, &table.name);
    let there = triggers(database, source)?;
    let of_table = there.iter().filter(|(_, of)| of.eq_ignore_ascii_case(&name));
    let statements: Vec<String> = of_table.map(|(trigger, _)| dropped(trigger)).collect();
    Changes { statements, ..Changes::default() }.make(database, source)
}

/// Names of the guard's triggers, and of their tables.
fn triggers(
    database: &Database,
    source: &SourceName,
) -> Result<Vec<(String, String)>, TargetError> {
    let read = || -> rusqlite::Result<Vec<(String, String)>> {
        let mut read = database.connection.prepare(TRIGGERS)?;
        read.query_map([prefix(source)], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    database.did("look up the tables that are guarded", read())
}

fn prefix(source: &SourceName) -> String {
    format!("tailwater_guard:{source}:")
}

fn trigger_name(source: &SourceName, event: &str, table: &str) -> String {
    format!("{}{event}:{table}", prefix(source))
}

fn trigger(source: &SourceName, event: &str, table: &str) -> String {
    let name = quote(&trigger_name(source, event, table));
    let message = format!(
        "table {} is written by tailwater from source {source}, and by nothing else; write at the master. To write here all the same, take the guard off: tailwater-terminal pull with --guard=false",
        quote(table)
    );
    format!(
        "CREATE TRIGGER {name} BEFORE {event} ON {} BEGIN SELECT RAISE(ABORT, '{}'); END",
        quote(table),
        message.replace('\'', "''")
    )
}

fn dropped(trigger: &str) -> String {
    format!("DROP TRIGGER {}", quote(trigger))
}
