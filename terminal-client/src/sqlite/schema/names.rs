use crate::target::shadow_name;

/// A table's name in SQLite, which has no schemas: `t` for `public.t`, else `schema.t` with its dot.
pub(in super::super) fn table_name(schema: &str, name: &str) -> String {
    if schema == "public" { name.to_owned() } else { format!("{schema}.{name}") }
}

/// The name of a table's shadow while a reload is under way.
pub(in super::super) fn shadow_table_name(schema: &str, name: &str) -> String {
    format!("tailwater_{}", shadow_name(schema, name))
}

/// Quoted for SQL.
pub(in super::super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether a table of the source cannot have this name: SQLite's own tables and ours. SQLite does not
/// tell the letters A to Z from a to z in names.
pub(in super::super) fn is_ours(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("sqlite_") || lower.starts_with("tailwater_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(table_name("public", "t"), "t");
        assert_eq!(table_name("Sales", "t"), "Sales.t");
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert!(is_ours("SQLite_x") && is_ours("tailwater_position") && !is_ours("tailwater"));
    }
}
