//! The SQL that is installed. What the tables are like is read by the queries of a copy, as functions.

use crate::{
    copy::catalog::{COLUMNS, CONSTRAINTS, EXTENSIONS, INDEXES, SEQUENCES, TABLES, USED_TYPES},
    source::PINNED_SETTINGS,
};

const FUNCTIONS: &str = include_str!("functions.sql");

/// Triggers first: what they call may go then.
macro_rules! uninstall {
    () => {
        "
DROP EVENT TRIGGER IF EXISTS tailwater_ddl_end;
DROP EVENT TRIGGER IF EXISTS tailwater_ddl_drop;
DROP EVENT TRIGGER IF EXISTS tailwater_ddl_rewrite;
DO $$ DECLARE function text; BEGIN
    FOR function IN SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'tailwater' AND p.proname LIKE 'ddl\\_%'
    LOOP
        EXECUTE 'DROP FUNCTION ' || function;
    END LOOP;
END $$;
"
    };
}

/// Schemas can be published from here on.
const SCHEMAS_MAJOR: i32 = 15;

/// A query as a function: name, parameters, columns.
const QUERIES: &[(&str, &str, &str, &str)] = &[
    (
        "ddl_tables_of",
        "oid[]",
        "oid oid, schema text, name text, replica_identity text, primary_key text[], identity_columns text[], \
         partition_by text, of_schema text, of_name text, bound text",
        TABLES,
    ),
    (
        "ddl_columns",
        "oid[]",
        "relation oid, name text, type_sql text, type oid, modifier integer, not_null boolean, expression text, \
         generated text, identity text, collation_sql text, needs_tables oid[], needs_columns text[], number smallint, missing text",
        COLUMNS,
    ),
    (
        "ddl_constraints",
        "oid[]",
        "relation oid, name text, kind text, definition text, columns text[], needs_tables oid[], needs_columns text[]",
        CONSTRAINTS,
    ),
    (
        "ddl_indexes",
        "oid[]",
        "relation oid, name text, definition text, is_unique boolean, columns text[], needs_tables oid[], needs_columns text[]",
        INDEXES,
    ),
    (
        "ddl_types",
        "oid[]",
        "oid oid, schema text, name text, letter text, element oid, base oid, modifier integer, relation oid, \
         not_null boolean, \"default\" text, base_sql text, extension text, standalone boolean",
        USED_TYPES,
    ),
    (
        "ddl_sequences",
        "oid[]",
        "schema text, name text, of_schema text, of_table text, of_column text, bond integer, type text, start bigint, \
         increment bigint, least_value bigint, greatest_value bigint, cache bigint, cycle boolean, last bigint",
        SEQUENCES,
    ),
    ("ddl_extensions", "oid[], oid[]", "name text, schema text", EXTENSIONS),
];

/// By what it is known again.
pub(super) fn version(script: &str) -> String {
    wire::Hash::of(script.as_bytes()).to_string()
}

/// Everything but the settings; to be run in a transaction.
pub(super) fn install(major: i32) -> String {
    let mut script = concat!(uninstall!(), include_str!("tables.sql"), "\n").to_owned();
    for (name, takes, gives, query) in QUERIES {
        script += &format!(
            "CREATE FUNCTION tailwater.{name}({takes}) RETURNS TABLE ({gives})\n\
             LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $function${query}$function$;\n"
        );
    }
    let schemas = if major < SCHEMAS_MAJOR { "" } else { IN_SCHEMAS };
    // How expressions and values are printed, whatever the session's settings.
    let prints = PINNED_SETTINGS.iter().take_while(|(name, _)| *name != "search_path");
    let pinned: Vec<String> =
        prints.map(|(name, value)| format!("SET {name} = '{value}'")).collect();
    script + &FUNCTIONS.replace("{schemas}", schemas).replace("{pinned}", &pinned.join(" "))
}

const IN_SCHEMAS: &str = "
  UNION
    SELECT c.oid FROM publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid
    JOIN pg_class c ON c.relnamespace = s.pnnspid";

/// The schema stays where something else is in it: a database can be a terminal too.
pub(super) const REMOVE: &str = concat!(
    uninstall!(),
    "
DROP TABLE IF EXISTS tailwater.schema_changes, tailwater.ddl_tables, tailwater.ddl_settings;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_depend
                   WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
                     AND refobjid = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'tailwater')) THEN
        DROP SCHEMA IF EXISTS tailwater;
    END IF;
END $$"
);

/// Patterns in which `*` stands for any characters, as those of `LIKE`.
pub(super) fn like<'a>(patterns: impl Iterator<Item = &'a str>, none: Option<&str>) -> Vec<String> {
    let pattern = |pattern: &str| {
        pattern.chars().fold(String::new(), |mut like, c| {
            match c {
                '*' => like.push('%'),
                '%' | '_' | '\\' => like.extend(['\\', c]),
                c => like.push(c),
            }
            like
        })
    };
    let like: Vec<String> = patterns.map(pattern).collect();
    if like.is_empty() { none.map(str::to_owned).into_iter().collect() } else { like }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_the_same_to_the_server() {
        let given = ["public.order_*", "a\\.b%", "*.*"];
        let expected = ["public.order\\_%", "a\\\\.b\\%", "%.%"];
        assert_eq!(like(given.into_iter(), Some("%")), expected);
        assert_eq!(like([].into_iter(), Some("%")), ["%"]);
        assert!(like([].into_iter(), None).is_empty());
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for major in [13, 18] {
            let script = install(major);
            assert!(!script.contains("{schemas}") && !script.contains("{pinned}"));
            assert_eq!(script.contains("pg_publication_namespace"), major >= SCHEMAS_MAJOR);
        }
    }
}
