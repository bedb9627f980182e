use std::{collections::HashMap, sync::Arc};

use wire::{Change, ColumnDefinition, Relation, RelationColumn, ReplicaIdentity, TableDefinition};

use super::{
    super::{
        database::Database,
        schema::{
            ColumnSql, Shape, ensure_row_index, is_ours, quote, read_record, rows_are_found,
            table_name, table_sql,
        },
        values::Kind,
    },
    write::{Find, Names, Write, shape_of},
};
use crate::target::{LATER_COLUMN, TargetError};

/// Statements kept for one relation; each mix of unchanged columns has its own.
const MAX_WRITES: usize = 1_000;

/// A relation of the stream, bound to its table in the file.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) relation: Arc<Relation>,
    /// The table's name, not quoted.
    pub(super) table: String,
    pub(super) kinds: Vec<Kind>,
    names: Names,
    writes: HashMap<Vec<u8>, Arc<Write>>,
    scratch: Vec<u8>,
}

impl Plan {
    /// Finds the table, or makes it where the source published it after this terminal's load.
    pub(super) fn new(database: &Database, relation: &Arc<Relation>) -> Result<Self, TargetError> {
        let table = table_name(&relation.schema, &relation.name);
        let record = read_record(&database.connection, &table);
        let record = database.did("read tailwater_tables", record)?;
        let definition = record.map(|record| record.definition);
        let kinds = kinds_of(database, relation, definition.as_ref())?;
        let shape = match look_up(database, &table)? {
            Some(shape) => shape,
            None => make(database, relation, &table, &kinds)?,
        };
        check(database, relation, &kinds, &shape)?;
        let indexed = ensure_found(database, relation, definition.as_ref(), &shape);
        database.did(&format!("index the table {}", quote(&table)), indexed)?;
        if relation.identity == ReplicaIdentity::Full
            && shape.row_id().is_none()
            && !shape.without_row_id
        {
            let why =
                "it has columns named rowid, _rowid_ and oid, so none of its rows can be named"
                    .to_owned();
            let advice = "give it a primary key on the master (and REPLICA IDENTITY DEFAULT)";
            return Err(table_error(database, relation, why, advice.to_owned()));
        }
        let names = Names {
            table: quote(&table),
            columns: relation.columns.iter().map(|c| (quote(&c.name), c.key)).collect(),
            row_id: shape.row_id(),
        };
        let relation = relation.clone();
        Ok(Self { relation, table, kinds, names, writes: HashMap::new(), scratch: Vec::new() })
    }

    /// What finds the rows that a change would meet; none where it has nothing to find them by.
    pub(super) fn look(&self, find: Find, but: Option<Find>) -> Option<Write> {
        self.names.look(find, but)
    }

    /// The columns that a row is known by, as places in the relation; none where rows may be alike.
    pub(super) fn key(&self) -> Vec<usize> {
        if self.relation.identity == ReplicaIdentity::Full {
            return Vec::new();
        }
        let keys = self.relation.columns.iter().enumerate().filter(|(_, column)| column.key);
        keys.map(|(at, _)| at).collect()
    }

    /// The statement of a change; none where it has nothing to find its row by.
    pub(super) fn write<R>(&mut self, change: &Change<R>) -> Option<Arc<Write>> {
        shape_of(change, &mut self.scratch);
        if let Some(write) = self.writes.get(&self.scratch) {
            return Some(write.clone());
        }
        if self.writes.len() >= MAX_WRITES {
            self.writes.clear();
        }
        let write = Arc::new(self.names.write(change)?);
        self.writes.insert(self.scratch.clone(), write.clone());
        Some(write)
    }
}

/// Whether rows by that definition can be written to its table.
pub(in super::super) fn check_plan(
    database: &Database,
    relation: &Arc<Relation>,
) -> Result<(), TargetError> {
    Plan::new(database, relation).map(drop)
}

fn look_up(database: &Database, table: &str) -> Result<Option<Shape>, TargetError> {
    let shape = Shape::read(&database.connection, table);
    database.did(&format!("look up the table {}", quote(table)), shape)
}

/// How the values are kept. A column whose type was altered on the master since the load is an error:
/// the stream does not carry the rows that this rewrote.
fn kinds_of(
    database: &Database,
    relation: &Relation,
    definition: Option<&TableDefinition>,
) -> Result<Vec<Kind>, TargetError> {
    let known = |column: &RelationColumn| -> Option<&ColumnDefinition> {
        definition?.columns.iter().find(|known| known.name == column.name)
    };
    let mut kinds = Vec::with_capacity(relation.columns.len());
    for column in &relation.columns {
        let Some(known) = known(column) else {
            kinds.push(Kind::of_relation(column));
            continue;
        };
        let (was, is) = (Kind::of_definition(known), Kind::of_both(column, known));
        if was != is {
            let why = format!(
                "the type of its column {} was changed on the master from {} to {}, and the rows that this rewrote are not in the stream",
                quote(&column.name),
                known.type_sql,
                column.type_name.name
            );
            let advice = format!("{} {LOAD_AGAIN}", "load this terminal anew:");
            return Err(table_error(database, relation, why, advice));
        }
        kinds.push(is);
    }
    Ok(kinds)
}

const LOAD_AGAIN: &str = "remove the file together with its -wal and -shm files, then pull";

/// Makes the table as well as the stream describes it: columns, types, key.
fn make(
    database: &Database,
    relation: &Relation,
    table: &str,
    kinds: &[Kind],
) -> Result<Shape, TargetError> {
    if is_ours(table) {
        let why = format!("SQLite or Tailwater keeps the name {} for itself", quote(table));
        let advice = "leave it out of the publication, or rename it on the master".to_owned();
        return Err(table_error(database, relation, why, advice));
    }
    let columns = relation.columns.iter().zip(kinds);
    let columns: Vec<ColumnSql> =
        columns.map(|(c, kind)| ColumnSql::sent(&c.name, *kind)).collect();
    let mut keys = relation.columns.iter().zip(kinds).filter(|(column, _)| column.key);
    let row_id = match (relation.identity, keys.next(), keys.next()) {
        (ReplicaIdentity::Default, Some((key, Kind::Integer)), None) => Some(key.name.as_str()),
        _ => None,
    };
    let made = database.connection.execute_batch(&table_sql(table, &columns, row_id));
    let doing = format!("create the table {}, which the source's stream has now", quote(table));
    database.did(&doing, made)?;
    tracing::info!(table, "created from the stream's definition");
    look_up(database, table)?.ok_or_else(|| TargetError::Statement {
        target: database.target.clone(),
        doing,
        why: "it was not there afterwards".into(),
    })
}

fn check(
    database: &Database,
    relation: &Relation,
    kinds: &[Kind],
    shape: &Shape,
) -> Result<(), TargetError> {
    let name = quote(&shape.name);
    if shape.kind != "table" {
        let why = format!("there is a {} of the name {name} in the file", shape.kind);
        let advice = "rename or drop it; then pull again".to_owned();
        return Err(table_error(database, relation, why, advice));
    }
    for (column, kind) in relation.columns.iter().zip(kinds) {
        let quoted = quote(&column.name);
        let sql = ColumnSql::sent(&column.name, *kind).sql();
        let Some(found) = shape.column(&column.name).filter(|found| !found.generated) else {
            let why = format!("it has no column {quoted} to write to, which the source's has now");
            let comes =
                |name: &str| relation.columns.iter().any(|of| of.name.eq_ignore_ascii_case(name));
            let others = shape.columns.iter().filter(|other| !comes(&other.name));
            let others: Vec<String> = others.map(|other| quote(&other.name)).collect();
            let advice = match others.is_empty() {
                true => format!(
                    "run ALTER TABLE {name} ADD COLUMN {sql}; then pull again. {LATER_COLUMN}"
                ),
                // To add it would leave the rows without the values that they have in the other.
                false => format!(
                    "if it is the new name of {}, run ALTER TABLE {name} RENAME COLUMN … TO {quoted}; if it is a new column, ALTER TABLE {name} ADD COLUMN {sql}; then pull again. {LATER_COLUMN}",
                    others.join(" or ")
                ),
            };
            return Err(table_error(database, relation, why, advice));
        };
        if !kind.fits(found.affinity) {
            let why = format!(
                "its column {quoted} is declared {}, under which SQLite would change values of {}",
                found.declared, column.type_name.name
            );
            let advice = format!("make the table with {sql}; or {LOAD_AGAIN}");
            return Err(table_error(database, relation, why, advice));
        }
    }
    Ok(())
}

/// Sees to an index by which updates and deletes find their row.
fn ensure_found(
    database: &Database,
    relation: &Relation,
    definition: Option<&TableDefinition>,
    shape: &Shape,
) -> rusqlite::Result<()> {
    let full = match relation.identity {
        ReplicaIdentity::Nothing => return Ok(()),
        ReplicaIdentity::Full => true,
        ReplicaIdentity::Default | ReplicaIdentity::Index => false,
    };
    if full && definition.is_some_and(|definition| rows_are_found(shape, definition)) {
        return Ok(());
    }
    let found_by = relation.columns.iter().filter(|column| full || column.key);
    let names: Vec<String> = found_by.map(|column| column.name.clone()).collect();
    ensure_row_index(&database.connection, shape, &names)
}

fn table_error(
    database: &Database,
    relation: &Relation,
    why: String,
    advice: String,
) -> TargetError {
    TargetError::Table { target: database.target.clone(), table: relation.to_string(), why, advice }
}
