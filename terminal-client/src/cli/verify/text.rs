use wire::SourceName;

use crate::{
    progress::counted,
    pull::{TableVerdict, Verdict, Verified},
    target::{Difference, Differences, DifferingRow, Repaired},
};

/// What was found, for people: a line for each table, and the rows that differ.
pub(super) fn shown(source: &SourceName, found: &Verified) -> String {
    let mut lines =
        vec![format!("{source} at {}, compared with the master's snapshot:", found.lsn)];
    if let Some(Repaired { inserted, deleted, updated }) = found.repaired {
        lines.push(format!(
            "repaired: {} inserted, {deleted} deleted, {updated} updated; since then:",
            counted(inserted, "row")
        ));
    }
    let name = |of: &TableVerdict| format!("{}.{}", of.table.schema, of.table.name);
    let width = found.tables.iter().map(|of| name(of).chars().count()).max().unwrap_or(0);
    for table in &found.tables {
        let rows = counted(table.rows, "row");
        let (verdict, differences) = match &table.verdict {
            Verdict::Same => ("same".to_owned(), None),
            Verdict::Unlike(why) => (format!("cannot be compared: {why}"), None),
            Verdict::Differs(found) => (counts(found), Some(found)),
        };
        lines.push(format!("{:width$}  {rows:>12}  {verdict}", name(table)));
        for row in differences.into_iter().flat_map(|found| &found.shown) {
            lines.push(row_line(row));
        }
        if let Some(found) = differences {
            let all = found.missing + found.extra + found.different;
            let more = all.saturating_sub(found.shown.len() as u64);
            if more > 0 {
                lines.push(format!("    and {} (--show)", counted(more, "more row")));
            }
        }
    }
    lines.join("\n")
}

fn counts(found: &Differences) -> String {
    let counts = [
        (found.missing, "missing here"),
        (found.extra, "only here"),
        (found.different, "different"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    counts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

fn row_line(row: &DifferingRow) -> String {
    let value = |value: &Option<String>| value.as_deref().unwrap_or("NULL").to_owned();
    let key: Vec<String> =
        row.key.iter().map(|(name, of)| format!("{name}={}", value(of).escape_debug())).collect();
    let key = key.join(", ");
    match row.kind {
        Difference::Missing => format!("    missing here  ({key})"),
        Difference::Extra => format!("    only here     ({key})"),
        Difference::Different => format!("    different     ({key}) in {}", row.columns.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Named;

    #[test]
    fn a_line_for_each_table_and_each_row_that_is_named() {
        let row = |kind, key: &str, columns: &[&str]| DifferingRow {
            kind,
            key: vec![("id".into(), Some(key.into())), ("at".into(), None)],
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        };
        let shown_rows = vec![
            row(Difference::Missing, "7", &[]),
            row(Difference::Different, "8\n", &["name", "n"]),
        ];
        let differs = Differences { missing: 1, extra: 0, different: 4, shown: shown_rows };
        let table = |name: &str, verdict| TableVerdict {
            table: Named::new("public", name),
            rows: 12,
            verdict,
        };
        let found = Verified {
            lsn: "0/1A2B3C4".parse().unwrap(),
            tables: vec![
                table("a", Verdict::Same),
                table("other", Verdict::Differs(differs)),
                table("b", Verdict::Unlike("it is not here".into())),
            ],
            repaired: Some(Repaired { inserted: 1, deleted: 2, updated: 3 }),
        };
        let expected = "orders at 0/1A2B3C4, compared with the master's snapshot:
repaired: 1 row inserted, 2 deleted, 3 updated; since then:
public.a           12 rows  same
public.other       12 rows  1 missing here, 4 different
    missing here  (id=7, at=NULL)
    different     (id=8\\n, at=NULL) in name, n
    and 3 more rows (--show)
public.b           12 rows  cannot be compared: it is not here";
        assert_eq!(shown(&SourceName::new("orders").unwrap(), &found), expected);
    }
}
