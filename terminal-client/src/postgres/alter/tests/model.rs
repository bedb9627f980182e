//! A table without a server: what each act makes of it.

use wire::{
    ColumnDefinition, ConstraintDefinition, IdentityKind, IndexDefinition, TableDefinition,
};

use super::super::{
    act::Act,
    found::{Found, FoundColumn, FoundKey},
};

/// A column as `(number, name, type, not null, default)`.
pub(super) type Column = (i16, String, &'static str, bool, Option<&'static str>);

pub(super) fn table(columns: &[Column], keys: &[(String, char, Vec<String>)]) -> TableDefinition {
    let column = |(number, name, of, not_null, default): &Column| ColumnDefinition {
        number: *number,
        name: name.clone(),
        type_sql: (*of).into(),
        base_type: (*of).into(),
        base_modifier: -1,
        not_null: *not_null,
        default: default.map(str::to_owned),
        generated: None,
        identity: (*number == 1).then_some(IdentityKind::Always).filter(|_| *not_null),
        collation: None,
        missing: (*number % 2 == 0).then(|| "7".into()),
    };
    let definition = |columns: &[String]| format!("UNIQUE ({})", columns.join(", "));
    let of = |kind| keys.iter().filter(move |(_, is, _)| *is == kind);
    let constraint = |(name, kind, columns): &(String, char, Vec<String>)| ConstraintDefinition {
        name: name.clone(),
        kind: *kind,
        definition: definition(columns),
        columns: columns.clone(),
    };
    let index = |(name, _, columns): &(String, char, Vec<String>)| IndexDefinition {
        name: name.clone(),
        definition: format!("CREATE INDEX {name} ON public.t USING btree ({})", columns.join(", ")),
        unique: false,
        columns: columns.clone(),
    };
    TableDefinition {
        oid: 1,
        schema: "public".into(),
        name: "t".into(),
        replica_identity: 'd',
        columns: columns.iter().map(column).collect(),
        primary_key: Vec::new(),
        identity_columns: Vec::new(),
        constraints: of('u').map(constraint).collect(),
        indexes: of('i').map(index).collect(),
        partition_by: None,
        partition_of: None,
    }
}

/// What a catalogue says of a table that is as defined.
pub(super) fn found(of: &TableDefinition) -> Found {
    let constraints = of.constraints.iter().map(|key| (&key.name, key.kind, &key.definition));
    let indexes = of.indexes.iter().map(|key| (&key.name, 'i', &key.definition));
    let key = |(name, kind, definition): (&String, char, &String)| FoundKey {
        name: name.clone(),
        kind,
        definition: definition.clone(),
        inherited: false,
    };
    Found {
        kind: 'r',
        columns: of.columns.iter().map(column).collect(),
        constraints: constraints.map(key).collect(),
        indexes: indexes.map(key).collect(),
        parent: None,
    }
}

fn column(of: &ColumnDefinition) -> FoundColumn {
    FoundColumn {
        name: of.name.clone(),
        type_sql: of.type_sql.clone(),
        base_type: of.base_type.clone(),
        not_null: of.not_null,
        default: of.default.clone(),
        generated: of.generated.clone(),
        identity: of.identity,
        collation: of.collation.clone(),
        inherited: false,
    }
}

/// Does it as PostgreSQL does.
///
/// # Panics
/// Where PostgreSQL would refuse it.
pub(super) fn apply(table: &mut Found, act: &Act) {
    match act {
        Act::DropColumn(name) => {
            one(table, name);
            table.columns.retain(|column| column.name != *name);
            let over = |key: &FoundKey| words(&key.definition).contains(&name.as_str());
            table.constraints.retain(|key| !over(key));
            table.indexes.retain(|key| !over(key));
        }
        Act::RenameColumn { from, to } => {
            assert!(table.column(to).is_none(), "{to} is there");
            one(table, from).name.clone_from(to);
            for key in table.constraints.iter_mut().chain(&mut table.indexes) {
                key.definition = renamed(&key.definition, from, to);
            }
        }
        Act::AddColumn { column: of, value } => {
            assert!(table.column(&of.name).is_none(), "{} is there", of.name);
            assert!(value.is_some() == of.missing.is_some(), "{value:?} for {:?}", of.missing);
            table.columns.push(FoundColumn { default: value.clone(), ..column(of) });
        }
        Act::Retype { column, type_sql, .. } => {
            let here = one(table, column);
            assert_eq!(here.default, None, "a default may not be of the new type");
            here.type_sql.clone_from(type_sql);
            here.base_type.clone_from(type_sql);
        }
        Act::SetDefault { column, default } => one(table, column).default = Some(default.clone()),
        Act::DropDefault(name) => one(table, name).default = None,
        Act::SetNotNull(name) => one(table, name).not_null = true,
        Act::DropNotNull(name) => {
            let here = one(table, name);
            assert_eq!(here.identity, None, "an identity column is NOT NULL");
            here.not_null = false;
        }
        Act::AddIdentity(name, kind) => {
            let here = one(table, name);
            assert!(here.not_null && here.default.is_none() && here.identity.is_none());
            here.identity = Some(*kind);
        }
        Act::DropIdentity(name) => {
            assert!(one(table, name).identity.take().is_some());
        }
        Act::DropConstraint(name) => gone(&mut table.constraints, name),
        Act::DropIndex(name) => gone(&mut table.indexes, name),
        Act::RenameConstraint { from, to } => called(&mut table.constraints, from, to),
        Act::RenameIndex { from, to } => called(&mut table.indexes, from, to),
        Act::AddConstraint { name, kind, definition } => {
            come(&mut table.constraints, name, *kind, definition);
        }
        Act::AddIndex { name, definition } => come(&mut table.indexes, name, 'i', definition),
        other => panic!("{other:?} is not expected"),
    }
}

fn one<'a>(table: &'a mut Found, name: &str) -> &'a mut FoundColumn {
    let column = table.columns.iter_mut().find(|column| column.name == name);
    column.unwrap_or_else(|| panic!("no column {name}"))
}

fn gone(keys: &mut Vec<FoundKey>, name: &str) {
    let at = keys.iter().position(|key| key.name == name);
    keys.remove(at.unwrap_or_else(|| panic!("no key {name}")));
}

fn called(keys: &mut [FoundKey], from: &str, to: &str) {
    assert!(!keys.iter().any(|key| key.name == to), "{to} is there");
    let key = keys.iter_mut().find(|key| key.name == from).unwrap();
    key.definition = key.definition.replace(&format!(" {from} ON "), &format!(" {to} ON "));
    key.name = to.to_owned();
}

fn come(keys: &mut Vec<FoundKey>, name: &str, kind: char, definition: &str) {
    assert!(!keys.iter().any(|key| key.name == name), "{name} is there");
    let (name, definition) = (name.to_owned(), definition.to_owned());
    keys.push(FoundKey { name, kind, definition, inherited: false });
}

/// The columns that a definition names: what is in its parentheses.
fn words(definition: &str) -> Vec<&str> {
    let (_, columns) = definition.split_once('(').unwrap();
    columns.trim_end_matches(')').split(", ").collect()
}

fn renamed(definition: &str, from: &str, to: &str) -> String {
    let (head, _) = definition.split_once('(').unwrap();
    let columns: Vec<&str> =
        words(definition).into_iter().map(|name| if name == from { to } else { name }).collect();
    format!("{head}({})", columns.join(", "))
}
