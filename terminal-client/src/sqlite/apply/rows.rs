use std::{collections::HashMap, sync::Arc};

use rusqlite::{CachedStatement, ErrorCode};
use wire::{Change, Lsn, Relation};

use super::{
    super::{database::Database, failure::failed},
    bind::{BindError, bind},
    plan::Plan,
    write::{Find, find_of, truncate_sql},
};
use crate::target::{
    Conflicts, Incomplete, LOAD_ANEW, Looks, Operation, TargetError, Unapplied, resolve,
};

/// Relations kept bound to their tables.
const MAX_PLANS: usize = 10_000;
/// A change with more bytes than this is let go of before its statement runs, which has a copy.
pub(super) const LARGE_BYTES: usize = 4 << 20;

/// Applies changes row by row. Keeps what it learned about tables.
#[derive(Debug, Default)]
pub(super) struct RowApply {
    /// By the relation's address, which its `Arc` in the plan keeps from being used again.
    plans: HashMap<usize, Plan>,
}

impl RowApply {
    /// Applies one change in the open transaction.
    pub(super) fn apply(
        &mut self,
        database: &Database,
        operation: Operation,
    ) -> Result<(), TargetError> {
        let plan = match &operation.change {
            Change::Message { .. } => return Ok(()),
            Change::Truncate { relations, .. } => {
                return self.truncate(database, &operation, relations);
            }
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => self.plan(database, relation)?,
        };
        let statement = match prepare(database, plan, &operation) {
            Ok(statement) => statement,
            Err(error) => return Err(not_bound(Blame::of(database, &operation), error)),
        };
        run(database, statement, operation)
    }

    /// Applies one change once it is known which rows it will meet, so that it leads to the row that the source
    /// has.
    pub(super) fn apply_carefully(
        &mut self,
        database: &Database,
        mut operation: Operation,
        met: &mut Conflicts,
    ) -> Result<(), TargetError> {
        let relation = match &operation.change {
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => relation.clone(),
            _ => return self.apply(database, operation),
        };
        let plan = self.plan(database, &relation)?;
        let looks = Looks::of(&operation.change, &plan.key());
        let find = looks.was.and(find_of(&operation.change));
        let was = is_there(database, plan, &operation, find, None)?;
        let becomes = looks.becomes.map(|_| Find::NewKey);
        let becomes = is_there(database, plan, &operation, becomes, find)?;
        let resolved = resolve(&operation.change, was, becomes);
        let resolved = resolved.map_err(|Incomplete(column)| {
            TargetError::incomplete(&database.target, &operation, &column)
        })?;
        if let Some(kind) = resolved.conflict {
            met.add(kind, &operation);
        }
        // Held no longer than its own statement.
        operation.shorten();
        for change in resolved.changes {
            self.apply(database, Operation { lsn: operation.lsn, change })?;
        }
        Ok(())
    }

    /// How the relation meets its table, which is made where it is missing.
    pub(super) fn plan(
        &mut self,
        database: &Database,
        relation: &Arc<Relation>,
    ) -> Result<&mut Plan, TargetError> {
        let address = Arc::as_ptr(relation).addr();
        if self.plans.len() >= MAX_PLANS && !self.plans.contains_key(&address) {
            self.plans.clear();
        }
        Ok(match self.plans.entry(address) {
            std::collections::hash_map::Entry::Occupied(plan) => plan.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Plan::new(database, relation)?)
            }
        })
    }

    fn truncate(
        &mut self,
        database: &Database,
        operation: &Operation,
        relations: &[Arc<Relation>],
    ) -> Result<(), TargetError> {
        for relation in relations {
            let sql = truncate_sql(&self.plan(database, relation)?.table);
            let done = database.connection.execute_batch(&sql);
            done.map_err(|error| not_run(Blame::of(database, operation), &error))?;
        }
        Ok(())
    }
}

/// The statement of a change with its values.
fn prepare<'a>(
    database: &'a Database,
    plan: &mut Plan,
    operation: &Operation,
) -> Result<CachedStatement<'a>, NotBound> {
    let write = plan.write(&operation.change).ok_or(NotBound::NoKey)?;
    let mut statement = database.connection.prepare_cached(&write.sql)?;
    bind(&mut statement, plan, &write, &operation.change)?;
    Ok(statement)
}

/// Whether there is a row that a change will meet, found so and not so.
fn is_there(
    database: &Database,
    plan: &Plan,
    operation: &Operation,
    find: Option<Find>,
    but: Option<Find>,
) -> Result<bool, TargetError> {
    let Some(find) = find else { return Ok(false) };
    let look = || -> Result<u64, NotBound> {
        let look = plan.look(find, but).ok_or(NotBound::NoKey)?;
        let mut statement = database.connection.prepare_cached(&look.sql)?;
        bind(&mut statement, plan, &look, &operation.change)?;
        let (mut rows, mut found) = (statement.raw_query(), 0);
        while rows.next()?.is_some() {
            found += 1;
        }
        Ok(found)
    };
    match look().map_err(|error| not_bound(Blame::of(database, operation), error))? {
        0 => Ok(false),
        1 => Ok(true),
        more => Err(TargetError::not_one_row(&database.target, operation, more)),
    }
}

fn run(
    database: &Database,
    mut statement: CachedStatement<'_>,
    operation: Operation,
) -> Result<(), TargetError> {
    if operation.len() > LARGE_BYTES {
        let blame = Blame::of(database, &operation);
        drop(operation);
        let met = statement.raw_execute();
        // Its copy of the values goes with it, and is not kept until the table's next change.
        statement.discard();
        return blame.judge(met);
    }
    match statement.raw_execute() {
        Ok(1) => Ok(()),
        met => Blame::of(database, &operation).judge(met),
    }
}

#[derive(Debug, thiserror::Error)]
enum NotBound {
    #[error("the table has no key to find the row by")]
    NoKey,
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Which change an error is about.
struct Blame<'a> {
    database: &'a Database,
    change: &'static str,
    lsn: Lsn,
    table: String,
    key: String,
}

impl<'a> Blame<'a> {
    fn of(database: &'a Database, operation: &Operation) -> Self {
        Self {
            database,
            change: operation.kind(),
            lsn: operation.lsn,
            table: operation.tables(),
            key: operation.shown_key(),
        }
    }

    fn error(self, why: String, advice: String) -> TargetError {
        TargetError::Apply(Box::new(Unapplied {
            target: self.database.target.clone(),
            change: self.change,
            lsn: self.lsn,
            table: self.table,
            key: self.key,
            why,
            advice,
        }))
    }

    fn not_one_row(self, found: usize) -> TargetError {
        let Self { database, change, lsn, table, key } = self;
        let why = format!(
            "the {change} at {lsn}{key} meets {found} rows instead of one; nothing of its transaction was applied"
        );
        let advice = format!("leave one of them in the file, as the source has it, {LOAD_ANEW}");
        TargetError::Table { target: database.target.clone(), table, why, advice }
    }

    /// A change meets exactly one row.
    fn judge(self, met: rusqlite::Result<usize>) -> Result<(), TargetError> {
        let why = match met {
            Ok(1) => return Ok(()),
            Ok(0) => "the row is not there".to_owned(),
            // They are changed already: another try would find them so.
            Ok(more) => return Err(self.not_one_row(more)),
            Err(error) => return Err(not_run(self, &error)),
        };
        let advice = format!(
            "The table was probably changed in the file itself: put the row back as the source had it, or pull with --on-conflict apply, which goes on with the source's row, {LOAD_ANEW}"
        );
        Err(self.error(why, advice))
    }
}

fn not_bound(blame: Blame<'_>, error: NotBound) -> TargetError {
    let why = error.to_string();
    match error {
        NotBound::Sqlite(error) | NotBound::Bind(BindError::Sqlite(error)) => {
            not_run(blame, &error)
        }
        NotBound::NoKey => {
            let advice = "Give the table a primary key or another replica identity at the source";
            blame.error(why, advice.into())
        }
        NotBound::Bind(_) => {
            let advice = format!(
                "Was its type changed at the source? Then add the new column here, {LOAD_ANEW}"
            );
            blame.error(why, advice)
        }
    }
}

fn not_run(blame: Blame<'_>, error: &rusqlite::Error) -> TargetError {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) if is_unique(error) => format!(
            "A row with that key is there already, probably written to the file itself: remove it, or pull with --on-conflict apply, which goes on with the source's row, {LOAD_ANEW}"
        ),
        Some(ErrorCode::ConstraintViolation) => {
            "The table has a constraint that the source has not: make it without, then pull again"
                .to_owned()
        }
        Some(ErrorCode::Unknown | ErrorCode::TypeMismatch) => {
            "Remove what is in the way in the file (an index or a trigger of its own), then pull again"
                .to_owned()
        }
        Some(ErrorCode::TooBig) => {
            "SQLite takes no row of more than 1,000,000,000 bytes: leave its table out with --channels"
                .to_owned()
        }
        _ => {
            let doing = format!(
                "apply the {} at {} of table {}{}",
                blame.change, blame.lsn, blame.table, blame.key
            );
            return failed(&blame.database.target, &doing, error);
        }
    };
    blame.error(error.to_string(), advice)
}

fn is_unique(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{
        SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE,
    };
    let codes = [SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE];
    error.sqlite_error().is_some_and(|error| codes.contains(&error.extended_code))
}
