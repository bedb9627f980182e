//! Which output plugins the server lets replication roles use: a setting that minor releases of 2026 brought.

use postgres_protocol::escape::escape_literal;

use super::super::finding::Finding;
use crate::source::{SqlError, SqlSession, answer};

/// A note where pgoutput is not among them. Servers without the setting let it be used.
pub(super) async fn plugins(sql: &SqlSession) -> Result<Option<Finding>, SqlError> {
    // Unlike current_setting(), the view raises no error where the role may not see a setting.
    let query = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'output_plugin_libraries'";
    let row = answer(sql.query_opt(query, &[])).await?;
    Ok(row.and_then(|row| judge(row.get::<_, Option<&str>>(0)?)))
}

fn judge(setting: &str) -> Option<Finding> {
    let list = setting.split(',').map(|name| name.trim().trim_matches('"'));
    let list: Vec<&str> = list.filter(|name| !name.is_empty()).collect();
    let is_it = |name: &&str| name.rsplit('/').next() == Some("pgoutput");
    if list.iter().any(is_it) {
        return None;
    }
    let what = format!(
        "output_plugin_libraries is '{setting}', without pgoutput: the server does not let the slot be made or read"
    );
    let names: Vec<String> =
        list.iter().chain(&["pgoutput"]).map(|name| escape_literal(name)).collect();
    let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    let set = format!(
        "ALTER SYSTEM SET output_plugin_libraries = {}; SELECT pg_reload_conf();",
        names.join(", ")
    );
    Some(Finding::note(what, [set]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgoutput_must_be_in_the_list() {
        for fine in
            ["pgoutput, test_decoding", "pgoutput", "wal2json,\"pgoutput\"", "$libdir/pgoutput"]
        {
            assert_eq!(judge(fine), None, "{fine}");
        }
        let note = judge("test_decoding, wal2json").unwrap();
        assert!(!note.blocks);
        assert_eq!(
            note.remedy,
            [
                "ALTER SYSTEM SET output_plugin_libraries = 'test_decoding', 'wal2json', 'pgoutput'; SELECT pg_reload_conf();"
            ]
        );
        assert!(judge("").unwrap().remedy[0].contains("= 'pgoutput';"));
        assert!(judge("my_pgoutput").is_some());
    }
}
