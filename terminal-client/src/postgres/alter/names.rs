//! What goes and what is called otherwise: first, so that behind it the target's catalogue says of
//! what did not change the same as the source's.

use wire::TableDefinition;

use super::{act::Act, found::Found};

/// What is in the way of a rename.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its column \"{from}\" is \"{to}\" on the master now, and there is another column of that name here"
)]
pub(super) struct Taken {
    pub(super) from: String,
    pub(super) to: String,
}

/// Columns that go, then columns that are called otherwise; of a table that has its new name.
pub(super) fn columns_renamed(
    before: &TableDefinition,
    after: &TableDefinition,
    found: &Found,
) -> Result<Vec<Act>, Taken> {
    let is_own = |name: &str| found.column(name).is_some_and(|column| !column.inherited);
    let mut acts = Vec::new();
    let mut renames: Vec<(&str, &str)> = Vec::new();
    let mut names: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
    for column in before.columns.iter().filter(|column| is_own(&column.name)) {
        match after.columns.iter().find(|now| now.number == column.number) {
            None => {
                acts.push(Act::DropColumn(column.name.clone()));
                names.retain(|name| *name != column.name);
            }
            Some(now) if now.name != column.name => renames.push((&column.name, &now.name)),
            Some(_) => {}
        }
    }
    let leaves = |name: &str| renames.iter().any(|(from, _)| *from == name);
    let taken = |to: &&str| names.contains(to) && !leaves(to);
    if let Some((from, to)) = renames.iter().find(|(_, to)| taken(to)) {
        return Err(Taken { from: (*from).to_owned(), to: (*to).to_owned() });
    }
    // A name that becomes free only by another column's leaving it is given by way of one that nobody has.
    let (mut free, mut behind, mut number) = (Vec::new(), Vec::new(), 0_usize);
    for (from, to) in renames {
        let (from, to) = (from.to_owned(), to.to_owned());
        if !names.contains(&to.as_str()) {
            free.push(Act::RenameColumn { from, to });
            continue;
        }
        let between = loop {
            let name = format!("tailwater_{number}");
            number += 1;
            if !names.contains(&name.as_str()) {
                break name;
            }
        };
        acts.push(Act::RenameColumn { from, to: between.clone() });
        behind.push(Act::RenameColumn { from: between, to });
    }
    acts.extend(free.into_iter().chain(behind));
    Ok(acts)
}

/// The table's own name and place; `found` is the table under its old name.
pub(super) fn table_renamed(
    before: &TableDefinition,
    after: &TableDefinition,
    found: &Found,
) -> Vec<Act> {
    let mut acts = Vec::new();
    if let (Some(_), None, Some((schema, name))) =
        (&before.partition_of, &after.partition_of, &found.parent)
    {
        acts.push(Act::Detach { schema: schema.clone(), name: name.clone() });
    }
    if before.name != after.name {
        acts.push(Act::RenameTable(after.name.clone()));
    }
    if before.schema != after.schema {
        acts.push(Act::SetSchema(after.schema.clone()));
    }
    acts
}
