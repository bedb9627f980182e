//! Bytes and times for people.

use std::time::Duration;

/// `1.2 GiB`, `512 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, bits) in units {
        let one = 1_u64 << bits;
        if bytes >= one {
            let tenths = bytes / (one / 10).max(1);
            return match tenths {
                ..100 => format!("{}.{} {unit}", tenths / 10, tenths % 10),
                _ => format!("{} {unit}", bytes / one),
            };
        }
    }
    format!("{bytes} bytes")
}

/// `40 s`, `12 min`, `5 h`, `3 days`: one unit is enough for an estimate.
pub(super) fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1 << 10, "1.0 KiB"),
            ((12 << 20) + 9, "12 MiB"),
            (1_288_490_189, "1.2 GiB"),
            (50 << 30, "50 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times() {
        let cases =
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h")];
        for (seconds, text) in cases {
            assert_eq!(time(Duration::from_secs(seconds)), text);
        }
        assert_eq!(time(Duration::from_secs(400_000)), "4 days");
    }
}
