use std::num::NonZeroU64;

/// A relay takes a reader for dead that takes nothing for a minute; several answers share the rate, each read
/// in pieces of up to some 400 kB.
const LEAST: u64 = 64_000;

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("k", 1_000),
    ("kB", 1_000),
    ("M", 1_000_000),
    ("MB", 1_000_000),
    ("G", 1_000_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads bytes per second: `500k`, `2M`, `1MiB`, `65536`.
pub(super) fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.into_iter().find(|(name, _)| *name == unit.trim_start());
    let rate = unit.and_then(|(_, bytes)| number.parse::<u64>().ok()?.checked_mul(bytes));
    match rate {
        None => Err(format!(
            "'{text}' is no number of bytes per second: write a number and k, M, G, KiB, MiB or GiB, e.g. 500k"
        )),
        Some(rate) => NonZeroU64::new(rate)
            .filter(|rate| rate.get() >= LEAST)
            .ok_or_else(|| format!("{text} is too slow for a relay to wait: give 64k or more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, bytes) in [
            ("500k", 500_000),
            ("2M", 2_000_000),
            ("2 MB", 2_000_000),
            ("64KiB", 65_536),
            ("1GiB", 1 << 30),
            ("64000", 64_000),
        ] {
            assert_eq!(parse_rate(text).unwrap().get(), bytes, "{text}");
        }
        for text in ["", "k", "-1k", "1.5M", "500 kbit", "500K", "0", "63k", "99999999999G"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
