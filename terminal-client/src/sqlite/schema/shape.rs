use rusqlite::{Connection, OptionalExtension};

use super::super::values::Affinity;

/// A table as it is in the file.
#[derive(Debug)]
pub(in super::super) struct Shape {
    pub(in super::super) name: String,
    /// `table`, `view`, `virtual` or `shadow`.
    pub(in super::super) kind: String,
    pub(in super::super) without_row_id: bool,
    pub(in super::super) columns: Vec<ShapeColumn>,
    pub(in super::super) strict: bool,
    pub(in super::super) indexes: Vec<ShapeIndex>,
}

/// A column of it.
#[derive(Debug)]
pub(in super::super) struct ShapeColumn {
    pub(in super::super) name: String,
    pub(in super::super) declared: String,
    pub(in super::super) affinity: Affinity,
    /// An insert must give it: NOT NULL, and nothing stands in.
    pub(in super::super) needed: bool,
    pub(in super::super) generated: bool,
    primary_key: bool,
}

/// An index of it.
#[derive(Debug)]
pub(in super::super) struct ShapeIndex {
    pub(in super::super) name: String,
    pub(in super::super) unique: bool,
    /// Of plain columns over all rows; empty for others.
    pub(in super::super) columns: Vec<String>,
    /// Whether it was made by `CREATE INDEX`, not with the table.
    pub(in super::super) alone: bool,
}

const TABLE: &str =
    "SELECT name, type, wr, strict FROM pragma_table_list(?1) WHERE schema = 'main'";

const COLUMNS: &str = "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden
    FROM pragma_table_xinfo(?1)";

const INDEXES: &str = "SELECT name, \"unique\", partial, origin = 'c' FROM pragma_index_list(?1)";

const INDEX_COLUMNS: &str = "SELECT name FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno";

impl Shape {
    /// The table of that name; none where there is nothing of that name.
    pub(in super::super) fn read(
        connection: &Connection,
        name: &str,
    ) -> rusqlite::Result<Option<Self>> {
        let found = connection
            .prepare_cached(TABLE)?
            .query_row([name], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get::<_, bool>(3)?))
            })
            .optional()?;
        let Some((name, kind, without_row_id, strict)) = found else { return Ok(None) };
        let columns = read_columns(connection, &name, strict)?;
        let indexes = read_indexes(connection, &name)?;
        Ok(Some(Self { name, kind, without_row_id, strict, columns, indexes }))
    }

    /// The column of that name; letters A to Z are as a to z, as SQLite has it.
    pub(in super::super) fn column(&self, name: &str) -> Option<&ShapeColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The word for a row's own number that no column takes; none where the table has no such number.
    pub(in super::super) fn row_id(&self) -> Option<&'static str> {
        let free = |word: &&str| self.column(word).is_none();
        let word = ["rowid", "_rowid_", "oid"].into_iter().find(free);
        word.filter(|_| !self.without_row_id)
    }

    /// Whether the column is the row's own number.
    pub(in super::super) fn is_row_id(&self, name: &str) -> bool {
        let mut keys = self.columns.iter().filter(|column| column.primary_key);
        let (Some(key), None) = (keys.next(), keys.next()) else { return false };
        !self.without_row_id
            && key.declared.eq_ignore_ascii_case("INTEGER")
            && key.name.eq_ignore_ascii_case(name)
            && !self
                .indexes
                .iter()
                .any(|index| index.columns == [key.name.as_str()] && index.unique)
    }

    /// Whether rows are found by exactly these columns without looking at all, in any order of the
    /// columns; `unique` asks that there can be but one.
    pub(in super::super) fn has_index(&self, columns: &[String], unique: bool) -> bool {
        if let [only] = columns
            && self.is_row_id(only)
        {
            return true;
        }
        let among = |name: &String| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
        self.indexes.iter().any(|index| {
            let lead = index.columns.get(..columns.len()).unwrap_or_default();
            let same = !lead.is_empty() && lead.iter().all(among);
            same && (!unique || index.unique && index.columns.len() == columns.len())
        })
    }
}

fn read_columns(
    connection: &Connection,
    table: &str,
    strict: bool,
) -> rusqlite::Result<Vec<ShapeColumn>> {
    let mut statement = connection.prepare_cached(COLUMNS)?;
    let rows = statement.query_map([table], |row| {
        let declared: String = row.get(1)?;
        let (not_null, default): (bool, bool) = (row.get(2)?, row.get(3)?);
        let primary_key = row.get::<_, i64>(4)? > 0;
        // 1 is a virtual table's hidden column; 2 and 3 are generated ones.
        let generated = row.get::<_, i64>(5)? > 1;
        Ok(ShapeColumn {
            name: row.get(0)?,
            affinity: Affinity::of_declared(&declared, strict),
            needed: not_null && !default && !generated,
            declared,
            generated,
            primary_key,
        })
    })?;
    rows.collect()
}

fn read_indexes(connection: &Connection, table: &str) -> rusqlite::Result<Vec<ShapeIndex>> {
    let mut list = connection.prepare_cached(INDEXES)?;
    let mut of_index = connection.prepare_cached(INDEX_COLUMNS)?;
    let rows = list.query_map([table], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, bool>(2)?, row.get(3)?))
    })?;
    let mut indexes = Vec::new();
    for row in rows {
        let (name, unique, partial, alone) = row?;
        // An expression has no name.
        let columns: Vec<Option<String>> =
            of_index.query_map([&name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let plain: Option<Vec<String>> = columns.into_iter().collect();
        let columns = plain.filter(|_| !partial).unwrap_or_default();
        indexes.push(ShapeIndex { name, unique, columns, alone });
    }
    Ok(indexes)
}
