use rusqlite::Connection;

use super::super::schema::quote;

/// The views that can be read.
pub(super) fn readable_views(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut views = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'")?;
    let names: Vec<String> = views.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let readable =
        |name: &String| connection.prepare(&format!("SELECT * FROM {}", quote(name))).is_ok();
    Ok(names.into_iter().filter(readable).collect())
}
