use wire::{Change, OldRow, Value};

use super::super::schema::quote;

/// How the row of an update or a delete is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Find {
    /// By the new row's key, which did not change.
    NewKey,
    /// By the old row's key.
    OldKey,
    /// By all of the old row; exactly one of those that are alike.
    OldRow,
}

/// Which row a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Old,
    New,
}

/// A value of a statement: which row's, and which column's.
pub(super) type Bind = (From, usize);

/// A statement and its values in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) sql: String,
    pub(super) binds: Vec<Bind>,
}

/// A table as statements name it.
#[derive(Debug)]
pub(super) struct Names {
    /// Quoted.
    pub(super) table: String,
    /// Quoted, in the relation's order, and whether it is part of the key.
    pub(super) columns: Vec<(String, bool)>,
    /// The word for a row's own number; none where the table has none.
    pub(super) row_id: Option<&'static str>,
}

/// What a change is for; nothing for what has no row.
pub(super) fn find_of<R>(change: &Change<R>) -> Option<Find> {
    let old = |old: &OldRow| match old {
        OldRow::Key(_) => Find::OldKey,
        OldRow::Full(_) => Find::OldRow,
    };
    match change {
        Change::Update { old: None, .. } => Some(Find::NewKey),
        Change::Update { old: Some(row), .. } | Change::Delete { old: row, .. } => Some(old(row)),
        Change::Insert { .. } | Change::Truncate { .. } | Change::Message { .. } => None,
    }
}

/// What decides a change's statement, as bytes to look it up by: two changes with the same shape have
/// the same statement.
pub(super) fn shape_of<R>(change: &Change<R>, out: &mut Vec<u8>) {
    out.clear();
    out.push(match change {
        Change::Insert { .. } => b'I',
        Change::Update { .. } => b'U',
        _ => b'D',
    });
    out.push(match find_of(change) {
        None => b' ',
        Some(Find::NewKey) => b'n',
        Some(Find::OldKey) => b'o',
        Some(Find::OldRow) => b'f',
    });
    if let Change::Update { new, .. } = change {
        for (at, value) in new.iter().enumerate() {
            if *value == Value::Unchanged {
                out.extend_from_slice(&at.to_be_bytes());
            }
        }
    }
}

impl Names {
    /// The statement of a change; none where it has nothing to go by.
    pub(super) fn write<R>(&self, change: &Change<R>) -> Option<Write> {
        match change {
            Change::Insert { .. } => Some(self.insert()),
            Change::Update { new, .. } => self.update(find_of(change)?, new),
            Change::Delete { .. } => {
                let mut binds = Vec::new();
                let found = self.found(find_of(change)?, &mut binds)?;
                Some(Write { sql: format!("DELETE FROM {}{found}", self.table), binds })
            }
            Change::Truncate { .. } | Change::Message { .. } => None,
        }
    }

    /// What finds the rows that a change would meet, but for those found otherwise: keys may be equal that are
    /// spelled otherwise. Two rows suffice.
    pub(super) fn look(&self, find: Find, but: Option<Find>) -> Option<Write> {
        let mut binds = Vec::new();
        let mut sql = format!("SELECT 1 FROM {}{}", self.table, self.found(find, &mut binds)?);
        if let Some(but) = but {
            let but = self.found(but, &mut binds)?;
            sql.push_str(&format!(" AND NOT ({})", but.strip_prefix(" WHERE ")?));
        }
        sql.push_str(" LIMIT 2");
        Some(Write { sql, binds })
    }

    fn insert(&self) -> Write {
        let table = &self.table;
        if self.columns.is_empty() {
            let sql = format!("INSERT INTO {table} DEFAULT VALUES");
            return Write { sql, binds: Vec::new() };
        }
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let places: Vec<String> = (1..=names.len()).map(|at| format!("?{at}")).collect();
        Write {
            sql: format!(
                "INSERT INTO {table} ({}) VALUES ({})",
                names.join(", "),
                places.join(", ")
            ),
            binds: (0..names.len()).map(|at| (From::New, at)).collect(),
        }
    }

    /// A key that did not change is not set: SQLite would take its index entries out and put them back.
    fn update(&self, find: Find, new: &[Value]) -> Option<Write> {
        let mut binds = Vec::new();
        let mut set = Vec::new();
        for (at, (name, key)) in self.columns.iter().enumerate() {
            let kept = find == Find::NewKey && *key;
            if kept || new.get(at) == Some(&Value::Unchanged) {
                continue;
            }
            binds.push((From::New, at));
            set.push(format!("{name} = ?{}", binds.len()));
        }
        if set.is_empty() {
            // Nothing to change, and yet the row must be there.
            let (first, _) = self.columns.first()?;
            set.push(format!("{first} = {first}"));
        }
        let found = self.found(find, &mut binds)?;
        Some(Write { sql: format!("UPDATE {} SET {}{found}", self.table, set.join(", ")), binds })
    }

    /// ` WHERE …`, with its values added to `binds`.
    fn found(&self, find: Find, binds: &mut Vec<Bind>) -> Option<String> {
        let from = if find == Find::NewKey { From::New } else { From::Old };
        let mut conditions = Vec::new();
        for (at, (name, key)) in self.columns.iter().enumerate() {
            if find != Find::OldRow && !key {
                continue;
            }
            binds.push((from, at));
            let is = if find == Find::OldRow { "IS" } else { "=" };
            conditions.push(format!("{name} {is} ?{}", binds.len()));
        }
        let condition = all_of(&conditions);
        match find {
            Find::NewKey | Find::OldKey if conditions.is_empty() => None,
            Find::NewKey | Find::OldKey => Some(format!(" WHERE {condition}")),
            Find::OldRow => {
                let Some(row_id) = self.row_id else { return Some(format!(" WHERE {condition}")) };
                let wanted = if conditions.is_empty() {
                    String::new()
                } else {
                    format!(" WHERE {condition}")
                };
                let table = &self.table;
                Some(format!(" WHERE {row_id} = (SELECT {row_id} FROM {table}{wanted} LIMIT 1)"))
            }
        }
    }
}

/// Joined in groups: SQLite refuses an expression that is 1,000 deep, which a row of ANDs would be.
pub(in super::super) fn all_of(conditions: &[String]) -> String {
    const GROUP: usize = 100;
    let groups: Vec<String> = conditions.chunks(GROUP).map(|group| group.join(" AND ")).collect();
    match groups.as_slice() {
        [only] => only.clone(),
        groups => groups.iter().map(|group| format!("({group})")).collect::<Vec<_>>().join(" AND "),
    }
}

/// `DELETE` of all rows.
pub(super) fn truncate_sql(table: &str) -> String {
    format!("DELETE FROM {}", quote(table))
}
