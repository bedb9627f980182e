use std::collections::BTreeMap;

use serde::Serialize;
use wire::{Lsn, SourceName};

use crate::{
    pull::{TableVerdict, Verdict, Verified},
    target::{Difference, DifferingRow},
};

#[derive(Serialize)]
struct Found<'a> {
    source: &'a SourceName,
    lsn: Lsn,
    same: bool,
    /// None where nothing was written.
    repaired: Option<Written>,
    tables: Vec<Table<'a>>,
}

#[derive(Serialize)]
struct Written {
    inserted: u64,
    deleted: u64,
    updated: u64,
}

#[derive(Serialize)]
struct Table<'a> {
    schema: &'a str,
    table: &'a str,
    /// In the snapshot.
    rows: u64,
    same: bool,
    missing: u64,
    extra: u64,
    different: u64,
    /// Why it cannot be compared.
    unlike: Option<&'a str>,
    /// The first rows that differ.
    shown: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    kind: &'static str,
    /// Values as text, cut where they are long.
    key: BTreeMap<&'a str, Option<&'a str>>,
    columns: &'a [String],
}

/// What was found, for programs.
pub(super) fn shown(source: &SourceName, found: &Verified) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Found {
        source,
        lsn: found.lsn,
        same: found.same(),
        repaired: found.repaired.map(|of| Written {
            inserted: of.inserted,
            deleted: of.deleted,
            updated: of.updated,
        }),
        tables: found.tables.iter().map(table).collect(),
    })
}

fn table(of: &TableVerdict) -> Table<'_> {
    let (differences, unlike) = match &of.verdict {
        Verdict::Same => (None, None),
        Verdict::Differs(found) => (Some(found), None),
        Verdict::Unlike(why) => (None, Some(why.as_str())),
    };
    Table {
        schema: &of.table.schema,
        table: &of.table.name,
        rows: of.rows,
        same: of.verdict == Verdict::Same,
        missing: differences.map_or(0, |of| of.missing),
        extra: differences.map_or(0, |of| of.extra),
        different: differences.map_or(0, |of| of.different),
        unlike,
        shown: differences.iter().flat_map(|of| &of.shown).map(row).collect(),
    }
}

fn row(of: &DifferingRow) -> Row<'_> {
    Row {
        kind: match of.kind {
            Difference::Missing => "missing",
            Difference::Extra => "extra",
            Difference::Different => "different",
        },
        key: of.key.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect(),
        columns: &of.columns,
    }
}
