/// More would not load sooner, and each takes one of the target's.
const MOST: usize = 16;

/// Reads the number of connections that a load writes with.
pub(super) fn parse_connections(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok().filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| format!("{text}: give a number from 1 to {MOST}"))
}
