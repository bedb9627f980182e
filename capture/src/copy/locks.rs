use std::time::Duration;

use crate::begin::{PublishedTable, quoted};

/// How long the locks of some tables may take in all.
pub(super) const LOCKED_WITHIN: Duration = Duration::from_secs(600);

/// Statements that lock the tables against ALTER, TRUNCATE and DROP, not against reading and writing.
pub(super) fn lock_statements(tables: &[PublishedTable], or: &str) -> impl Iterator<Item = String> {
    tables.chunks(200).map(move |some| {
        let names: Vec<String> = some.iter().map(|t| quoted(&t.schema, &t.name)).collect();
        format!("LOCK TABLE {} IN ACCESS SHARE MODE{or}", names.join(", "))
    })
}
