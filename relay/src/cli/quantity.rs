//! Sizes and times as people write and read them.

use std::time::Duration;

use jiff::SignedDuration;

/// The text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum QuantityError {
    #[error("not a size: write it like 500000, 64KiB, 16MiB or 2GiB")]
    Size,
    #[error("not a time: write it like 500ms, 30s, 10m or 1h30m")]
    Time,
    #[error("must be more than nothing")]
    Zero,
}

const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Bytes: a whole number, with or without a unit.
pub(super) fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let unit = UNITS.into_iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
    let (digits, bytes) = unit.unwrap_or((text, 1));
    let digits = digits.trim_end();
    // `parse` alone would take a plus sign.
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let count = digits.parse::<u64>().ok().filter(|_| plain).ok_or(QuantityError::Size)?;
    match count.checked_mul(bytes) {
        None => Err(QuantityError::Size),
        Some(0) => Err(QuantityError::Zero),
        Some(size) => Ok(size),
    }
}

/// The same, where it has to fit into memory.
pub(super) fn parse_memory(text: &str) -> Result<usize, QuantityError> {
    parse_size(text).and_then(|size| usize::try_from(size).map_err(|_| QuantityError::Size))
}

/// A time span.
pub(super) fn parse_time(text: &str) -> Result<Duration, QuantityError> {
    let span: SignedDuration = text.parse().map_err(|_| QuantityError::Time)?;
    let span = Duration::try_from(span).map_err(|_| QuantityError::Time)?;
    if span.is_zero() { Err(QuantityError::Zero) } else { Ok(span) }
}

/// `0 B`, `1023 B`, `1.5 KiB`, `64.0 MiB`.
pub(super) fn show_size(bytes: u64) -> String {
    let unit = UNITS.iter().take(4).rev().find(|(_, unit)| bytes >= *unit);
    let Some((name, unit)) = unit else { return format!("{bytes} B") };
    // Tenths, rounded down: nothing is called larger than it is.
    let tenths = u128::from(bytes) * 10 / u128::from(*unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// `0 s`, `0.4 s`, `42 s`, `12 min 5 s`, `3 h 12 min`, `2 d 4 h`.
pub(super) fn show_seconds(seconds: f64) -> String {
    if seconds <= 0.0 {
        return "0 s".to_owned();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let Ok(whole) = Duration::try_from_secs_f64(seconds.round()) else { return "?".to_owned() };
    let whole = whole.as_secs();
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{minutes} min {} s", whole % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in
            [("1", 1), ("7B", 7), ("64KiB", 65_536), ("16 MiB", 16 << 20), ("2GB", 2_000_000_000)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "+1", "1.5MiB", "1mb", "99999999999TiB", "1 M"] {
            assert_eq!(parse_size(text), Err(QuantityError::Size), "{text}");
        }
        assert_eq!(parse_size("0KiB"), Err(QuantityError::Zero));
    }

    #[test]
    fn times_are_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("48h", 172_800_000),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "-5s", "5 parsecs", "s"] {
            assert_eq!(parse_time(text), Err(QuantityError::Time), "{text}");
        }
        assert_eq!(parse_time("0s"), Err(QuantityError::Zero));
    }

    #[test]
    fn sizes_are_shown() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(show_size(bytes), text);
        }
    }

    #[test]
    fn times_are_shown() {
        for (seconds, text) in [
            (-1.0, "0 s"),
            (0.0, "0 s"),
            (0.44, "0.4 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.6, "1 min 0 s"),
            (725.0, "12 min 5 s"),
            (11_520.0, "3 h 12 min"),
            (187_200.0, "2 d 4 h"),
            (f64::INFINITY, "?"),
        ] {
            assert_eq!(show_seconds(seconds), text);
        }
    }
}
