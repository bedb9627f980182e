//! Aligned columns for people.

use std::fmt::Write;

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows of cells under a heading, columns two spaces apart.
pub(super) fn grid(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let lines = || std::iter::once(&heading).chain(rows);
    let width = |at: usize| {
        let cells = lines().filter_map(|line| line.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for line in lines() {
        let mut text = String::new();
        for ((cell, width), (_, align)) in line.iter().zip(&widths).zip(columns) {
            // Writing to a string does not fail.
            let _ = match align {
                Align::Left => write!(text, "{cell:<width$}  "),
                Align::Right => write!(text, "{cell:>width$}  "),
            };
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// What others have written, on one line and without anything that a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows =
            [vec!["a".to_owned(), "100".to_owned()], vec!["ünïcode".to_owned(), "1".to_owned()]];
        let text = grid(&[("NAME", Align::Left), ("N", Align::Right)], &rows);
        assert_eq!(text, "NAME       N\na        100\nünïcode    1\n");
        assert_eq!(grid(&[("NAME", Align::Left)], &[]), "NAME\n");
    }

    #[test]
    fn what_a_terminal_would_obey_is_taken_out() {
        assert_eq!(plain("a\n  b\t\u{1b}[31mc\u{9b}0m\r"), "a b [31mc 0m");
    }
}
