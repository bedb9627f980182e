use super::super::schema::{ColumnSql, quote};

/// One thing to do to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    RenameTable(String),
    DropIndex(String),
    DropColumn(String),
    RenameColumn {
        from: String,
        to: String,
    },
    AddColumn(ColumnSql),
    /// Gives the column another value in all rows: an expression.
    Set {
        column: String,
        to: String,
    },
    /// Makes the table anew, where SQLite cannot alter it.
    Rebuild(Rebuild),
}

/// A table to be made anew: its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rebuild(pub(super) Vec<Rebuilt>);

/// A column of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rebuilt {
    pub(super) name: String,
    /// As `CREATE TABLE` wants it.
    pub(super) sql: String,
    /// Its values, as an expression over the old table's columns; none where SQLite computes them.
    pub(super) value: Option<String>,
}

impl Rebuild {
    /// The statements that make the table `to` of the table `from`.
    pub(super) fn sql(&self, from: &str, to: &str) -> [String; 2] {
        let (from, to) = (quote(from), quote(to));
        let sql: Vec<&str> = self.0.iter().map(|column| column.sql.as_str()).collect();
        let sent =
            self.0.iter().filter_map(|column| Some((&column.name, column.value.as_deref()?)));
        let (names, values): (Vec<String>, Vec<&str>) =
            sent.map(|(name, value)| (quote(name), value)).unzip();
        [
            format!("CREATE TABLE {to} ({})", sql.join(", ")),
            format!(
                "INSERT INTO {to} ({}) SELECT {} FROM {from}",
                names.join(", "),
                values.join(", ")
            ),
        ]
    }
}

impl Act {
    /// Its statement; none for a rebuild, which has several.
    pub(super) fn sql(&self, table: &str) -> Option<String> {
        let table = quote(table);
        Some(match self {
            Self::RenameTable(to) => format!("ALTER TABLE {table} RENAME TO {}", quote(to)),
            Self::DropIndex(index) => format!("DROP INDEX {}", quote(index)),
            Self::DropColumn(column) => {
                format!("ALTER TABLE {table} DROP COLUMN {}", quote(column))
            }
            Self::RenameColumn { from, to } => {
                format!("ALTER TABLE {table} RENAME COLUMN {} TO {}", quote(from), quote(to))
            }
            Self::AddColumn(column) => format!("ALTER TABLE {table} ADD COLUMN {}", column.sql()),
            Self::Set { column, to } => format!("UPDATE {table} SET {} = {to}", quote(column)),
            Self::Rebuild(_) => return None,
        })
    }
}
