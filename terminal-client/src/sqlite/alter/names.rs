//! What goes and what is called otherwise.

use wire::TableDefinition;

use super::{
    super::{
        schema::{ColumnSql, IndexSql, NO_COLUMNS, Shape, indexes_of},
        values::Kind,
    },
    act::Act,
};

/// What a column is called that is the row's own number and goes: SQLite drops it only with the table.
pub(super) const DROPPED_KEY: &str = "tailwater_dropped_key";

/// What is in the way of a rename.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its column \"{from}\" is \"{to}\" on the master now, and there is another column of that name here"
)]
pub(super) struct Taken {
    pub(super) from: String,
    pub(super) to: String,
}

/// Indexes and columns that go, then columns that are called otherwise.
pub(super) fn renamed(
    was: &TableDefinition,
    is: &TableDefinition,
    shape: &Shape,
) -> Result<Vec<Act>, Taken> {
    let now = |number: i16| is.columns.iter().find(|column| column.number == number);
    let here = || was.columns.iter().filter(|column| shape.column(&column.name).is_some());
    let goes = |name: &str| {
        here().any(|column| now(column.number).is_none() && column.name.eq_ignore_ascii_case(name))
    };
    let comes = is.columns.iter().any(|of| !was.columns.iter().any(|was| was.number == of.number));
    let leaves = here().any(|column| goes(&column.name));
    let mut acts = Vec::new();
    let mut ended = ended(was, is);
    for index in shape.indexes.iter().filter(|index| index.alone) {
        let over_gone = index.columns.iter().any(|column| goes(column));
        let over_rows = index.name.starts_with("tailwater_row_") && (comes || leaves);
        // Its name here is that of its beginning: SQLite renames no index.
        let same = |of: &IndexSql| index.columns == of.columns && index.unique == of.unique;
        let ended = ended.iter().position(same).map(|at| ended.swap_remove(at));
        if over_gone || over_rows || ended.is_some() {
            acts.push(Act::DropIndex(index.name.clone()));
        }
    }
    if shape.columns.iter().all(|column| goes(&column.name)) && leaves {
        acts.push(Act::AddColumn(ColumnSql::sent(NO_COLUMNS, Kind::Bytes)));
    }
    for column in here().filter(|column| goes(&column.name)) {
        let from = column.name.clone();
        acts.push(match shape.is_row_id(&from) {
            true => Act::RenameColumn { from, to: DROPPED_KEY.to_owned() },
            false => Act::DropColumn(from),
        });
    }
    acts.extend(columns_renamed(was, is, shape, goes)?);
    Ok(acts)
}

/// Indexes of the source's that are no more, by columns as they were called.
fn ended(was: &TableDefinition, is: &TableDefinition) -> Vec<IndexSql> {
    let stay: Vec<_> = indexes_of(is).iter().map(|index| in_old_names(index, was, is)).collect();
    let mut ended = indexes_of(was);
    ended.retain(|index| !stay.contains(&Some((index.unique, index.columns.clone()))));
    ended
}

/// Indexes that the source had not, or that are over other columns now; all of them where the table was
/// `rebuilt`, for the row's own number may have been one.
pub(super) fn coming(was: &TableDefinition, is: &TableDefinition, rebuilt: bool) -> Vec<IndexSql> {
    let had: Vec<_> =
        indexes_of(was).into_iter().map(|index| Some((index.unique, index.columns))).collect();
    let mut coming = indexes_of(is);
    // One that goes may have served for another.
    if ended(was, is).is_empty() && !rebuilt {
        // The key's is made where it is missing: changes find their rows by it.
        coming.retain(|index| index.primary || !had.contains(&in_old_names(index, was, is)));
    }
    coming
}

/// Whether it is unique, and its columns as they were called; none where one of them is new.
fn in_old_names(
    index: &IndexSql,
    was: &TableDefinition,
    is: &TableDefinition,
) -> Option<(bool, Vec<String>)> {
    let old_name = |name: &String| {
        let number = is.columns.iter().find(|column| column.name == *name)?.number;
        let old = was.columns.iter().find(|column| column.number == number)?;
        Some(old.name.clone())
    };
    let columns: Option<Vec<String>> = index.columns.iter().map(old_name).collect();
    Some((index.unique, columns?))
}

fn columns_renamed(
    was: &TableDefinition,
    is: &TableDefinition,
    shape: &Shape,
    goes: impl Fn(&str) -> bool,
) -> Result<Vec<Act>, Taken> {
    let mut renames: Vec<(&str, &str)> = Vec::new();
    for column in &was.columns {
        let now = is.columns.iter().find(|now| now.number == column.number);
        if let Some(now) = now.filter(|now| now.name != column.name)
            && shape.column(&column.name).is_some()
        {
            renames.push((&column.name, &now.name));
        }
    }
    let taken = |name: &str| shape.column(name).is_some() && !goes(name);
    let leaves = |name: &str| renames.iter().any(|(from, _)| from.eq_ignore_ascii_case(name));
    if let Some((from, to)) = renames.iter().find(|(_, to)| taken(to) && !leaves(to)) {
        return Err(Taken { from: (*from).to_owned(), to: (*to).to_owned() });
    }
    // A name that becomes free only by another column's leaving it is given by way of one that nobody has.
    let (mut acts, mut free, mut behind) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (from, to)) in renames.into_iter().enumerate() {
        let (from, to) = (from.to_owned(), to.to_owned());
        if !taken(&to) {
            free.push(Act::RenameColumn { from, to });
            continue;
        }
        let between = format!("tailwater_renamed_{number}");
        acts.push(Act::RenameColumn { from, to: between.clone() });
        behind.push(Act::RenameColumn { from: between, to });
    }
    acts.extend(free.into_iter().chain(behind));
    Ok(acts)
}
