use wire::TableDefinition;

use super::{
    act::Act,
    found::{Found, FoundKey},
};

/// What is to be done to constraints and indexes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    /// Those that go, and those that are called otherwise: before columns change.
    pub(super) go: Vec<Act>,
    /// Those that come: behind.
    pub(super) come: Vec<Act>,
}

/// A constraint, or an index (kind `i`).
#[derive(Clone, Debug)]
struct Key {
    name: String,
    kind: char,
    /// Without what differs between an index of a whole and one of its part.
    definition: String,
    sql: String,
    /// Its columns' numbers: another column of the same name is not the same.
    numbers: Vec<i16>,
}

/// Makes what the source changed as it is there now. What it did not change stays as it is here: another
/// version of the server may write the same definition another way.
pub(super) fn keys(
    before: Option<&TableDefinition>,
    after: &TableDefinition,
    found: &Found,
) -> Keys {
    let was = before.map(keys_of).unwrap_or_default();
    let is = keys_of(after);
    let here: Vec<(&FoundKey, Key)> =
        found.constraints.iter().chain(&found.indexes).map(|key| (key, found_key(key))).collect();
    let same = |a: &Key, b: &Key| a.kind == b.kind && a.definition == b.definition;
    let names_move = before.is_some_and(|before| another_has_its_name(before, after));
    let unchanged = |was: &Key, is: &Key| {
        let columns = !is.numbers.is_empty() || !names_move;
        same(was, is) && was.numbers == is.numbers && columns
    };
    let mut keys = Keys::default();
    let (mut settled, mut renames) = (Vec::new(), Vec::new());
    for (of, key) in here.iter().filter(|(of, _)| !of.inherited) {
        let was = was.iter().find(|was| was.name == key.name);
        match is.iter().find(|is| is.name == key.name) {
            Some(is) if same(is, key) || was.is_some_and(|was| unchanged(was, is)) => {
                settled.push(is.name.as_str());
            }
            Some(_) => keys.go.push(drop_of(of)),
            // The target's own.
            None if was.is_none() => {}
            None => {
                let unknown = |is: &&Key| !here.iter().any(|(_, here)| here.name == is.name);
                match is.iter().filter(unknown).find(|is| same(is, key)) {
                    Some(is) if !settled.contains(&is.name.as_str()) => {
                        settled.push(is.name.as_str());
                        renames.push(rename_of(of, &is.name));
                    }
                    _ => keys.go.push(drop_of(of)),
                }
            }
        }
    }
    for is in &is {
        let stays = was.iter().any(|was| was.name == is.name && unchanged(was, is));
        let here = here.iter().any(|(of, here)| same(here, is) && !keys.go.contains(&drop_of(of)));
        if !stays && !here && !settled.contains(&is.name.as_str()) {
            keys.come.push(add_of(is));
        }
    }
    // Keys last, for foreign ones may need them; and they come first.
    keys.go.sort_by_key(|act| !matches!(act, Act::DropIndex(_)));
    keys.go.extend(renames);
    keys.come.sort_by_key(order);
    keys
}

fn order(act: &Act) -> usize {
    match act {
        Act::AddConstraint { kind, .. } => "pu xcf".find(*kind).unwrap_or(6),
        _ => 2,
    }
}

/// Whether a column has the name now that another had: the same text may mean another column.
fn another_has_its_name(before: &TableDefinition, after: &TableDefinition) -> bool {
    before
        .columns
        .iter()
        .any(|was| after.columns.iter().any(|is| is.name == was.name && is.number != was.number))
}

fn keys_of(table: &TableDefinition) -> Vec<Key> {
    let number = |name: &String| Some(table.columns.iter().find(|of| of.name == *name)?.number);
    let numbers = |columns: &[String]| columns.iter().filter_map(number).collect();
    let constraints = table.constraints.iter().map(|of| Key {
        name: of.name.clone(),
        kind: of.kind,
        definition: constraint_body(of.kind, &of.definition),
        sql: of.definition.clone(),
        numbers: numbers(&of.columns),
    });
    let indexes = table.indexes.iter().map(|of| Key {
        name: of.name.clone(),
        kind: 'i',
        definition: index_body(&of.definition),
        // That of a partitioned table says ONLY, which would leave its partitions out.
        sql: match table.partition_by {
            Some(_) => of.definition.replacen(" ON ONLY ", " ON ", 1),
            None => of.definition.clone(),
        },
        numbers: numbers(&of.columns),
    });
    constraints.chain(indexes).collect()
}

fn found_key(of: &FoundKey) -> Key {
    let definition = match of.kind {
        'i' => index_body(&of.definition),
        kind => constraint_body(kind, &of.definition),
    };
    Key {
        name: of.name.clone(),
        kind: of.kind,
        definition,
        sql: String::new(),
        numbers: Vec::new(),
    }
}

/// A foreign key without what it refers to, whose names change without a change of this table; the target's
/// goes with them by itself.
fn constraint_body(kind: char, definition: &str) -> String {
    let Some((own, rest)) = definition.split_once(" REFERENCES ").filter(|_| kind == 'f') else {
        return definition.to_owned();
    };
    let mut quoted = false;
    let end = rest.find(|letter| {
        quoted ^= letter == '"';
        letter == ')' && !quoted
    });
    format!("{own}{}", end.and_then(|end| rest.get(end + 1..)).unwrap_or_default())
}

/// Whether it is unique, its method and columns.
fn index_body(definition: &str) -> String {
    let unique = definition.starts_with("CREATE UNIQUE ");
    let body = definition.split_once(" USING ").map_or(definition, |(_, body)| body);
    format!("{unique} {body}")
}

fn drop_of(of: &FoundKey) -> Act {
    match of.kind {
        'i' => Act::DropIndex(of.name.clone()),
        _ => Act::DropConstraint(of.name.clone()),
    }
}

fn rename_of(of: &FoundKey, to: &str) -> Act {
    let (from, to) = (of.name.clone(), to.to_owned());
    match of.kind {
        'i' => Act::RenameIndex { from, to },
        _ => Act::RenameConstraint { from, to },
    }
}

fn add_of(key: &Key) -> Act {
    match key.kind {
        'i' => Act::AddIndex { name: key.name.clone(), definition: key.sql.clone() },
        kind => Act::AddConstraint { name: key.name.clone(), kind, definition: key.sql.clone() },
    }
}
