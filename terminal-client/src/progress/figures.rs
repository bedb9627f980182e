use std::time::Instant;

use wire::Lsn;

/// Percent, bytes, rate and time left; rate and time by what was loaded since `begun`.
pub(super) fn load_line(
    kind: &str,
    (from, done, total): (u64, u64, u64),
    begun: Instant,
) -> String {
    let percent = (u128::from(done) * 100).checked_div(total.into()).unwrap_or(100);
    let (now, left) = (done.saturating_sub(from), total.saturating_sub(from));
    format!(
        "{kind}: {percent}%, {} of {} MB, {} MB/s{}",
        mb(done),
        mb(total),
        mb(per_second(now, begun)),
        time_left(now, left, begun)
    )
}

/// Percent of the way to the head, position, changes, rate and time left.
pub(super) fn pull_line((from, at, head): (Lsn, Lsn, Lsn), changes: u64, begun: Instant) -> String {
    let (done, total) = (at.bytes_since(from), head.bytes_since(from));
    // Where the head is not known yet there is nothing to be a part of.
    let percent = (u128::from(done) * 100).checked_div(total.into());
    let percent = percent.map(|percent| format!("{percent}%, ")).unwrap_or_default();
    let (changed, rate) = (counted(changes, "change"), per_second(changes, begun));
    format!("{percent}at {at}, {changed}, {rate}/s{}", time_left(done, total, begun))
}

/// `1 change`, `2 changes`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `0 B`, `1.5 KiB`, `64.0 MiB`, as the relay's `status` shows them; tenths are rounded down.
pub(crate) fn shown_bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let Some((shift, unit)) = units.into_iter().find(|(shift, _)| bytes >> shift > 0) else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

fn mb(bytes: u64) -> u64 {
    bytes / 1_000_000
}

pub(super) fn per_second(count: u64, since: Instant) -> u64 {
    let elapsed = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / elapsed
}

pub(super) fn time_left(done: u64, total: u64, since: Instant) -> String {
    if done == 0 || done >= total {
        return String::new();
    }
    let seconds = (total - done) / per_second(done, since).max(1);
    match (seconds / 3600, seconds / 60) {
        (0, 0 | 1) => format!(", {seconds} s left"),
        (0 | 1, minutes) => format!(", {minutes} min left"),
        (hours, _) => format!(", {hours} h left"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn bytes() {
        for (bytes, text) in [(1023, "1023 B"), (1024, "1.0 KiB"), (3 << 29, "1.5 GiB")] {
            assert_eq!(shown_bytes(bytes), text);
        }
    }

    #[test]
    fn a_load_that_goes_on_is_as_fast_as_this_run() {
        let begun = Instant::now() - Duration::from_secs(8);
        let line = load_line("first load", (500_000_000, 600_000_000, 1_000_000_000), begun);
        let (shown, left) = line.rsplit_once(", ").unwrap();
        assert_eq!(shown, "first load: 60%, 600 of 1000 MB, 12 MB/s");
        // 400 MB at some 12 MB/s.
        assert!(left.starts_with("32 s") || left.starts_with("33 s"), "{left}");
        // 1000 GB more at that rate: some 22 h.
        let line = load_line("reload", (0, 100_000_000, 1_000_100_000_000), begun);
        assert!(line.ends_with(", 22 h left"), "{line}");
        assert_eq!(counted(1, "change") + &counted(0, " change"), "1 change0  changes");
        assert_eq!(load_line("reload", (0, 0, 0), begun), "reload: 100%, 0 of 0 MB, 0 MB/s");
    }

    #[test]
    fn a_catch_up_tells_how_much_of_the_way_is_behind_it() {
        let begun = Instant::now() - Duration::from_secs(10);
        let at = |from, at, head| {
            let line = pull_line((Lsn::new(from), Lsn::new(at), Lsn::new(head)), 5_000, begun);
            // The clock goes on while the test does.
            line.replace("499/s", "500/s")
        };
        assert_eq!(at(100, 100, 100), "at 0/64, 5000 changes, 500/s");
        assert_eq!(at(100, 100, 1_100), "0%, at 0/64, 5000 changes, 500/s");
        assert_eq!(at(0, 1_000_000, 1_000_000), "100%, at 0/F4240, 5000 changes, 500/s");
        let half = at(0, 50_000_000, 100_000_000);
        let (line, left) = half.rsplit_once(", ").unwrap();
        assert_eq!(line, "50%, at 0/2FAF080, 5000 changes, 500/s");
        assert!(left == "10 s left" || left == "9 s left", "{left}");
        let far = at(0, 1_000_000, 1_000_000_000);
        assert!(far.ends_with(", 2 h left"), "{far}");
    }
}
