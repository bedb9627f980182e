use std::{fmt, str::FromStr, time::Duration};

use jiff::{Timestamp, ToSpan, Zoned, civil::Time};
use tokio::time::sleep;

/// The clock may be set, and the machine may sleep: it is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The hours of the day in which pulls may run, by the local clock: from one time until before the other,
/// over midnight where that is the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    opens: Time,
    closes: Time,
}

impl Window {
    /// Whether pulls may run at this time.
    pub(super) fn is_open(&self, now: &Zoned) -> bool {
        let time = now.time();
        if self.opens < self.closes {
            self.opens <= time && time < self.closes
        } else {
            self.opens <= time || time < self.closes
        }
    }

    /// How long it stays as it is now, open or closed.
    pub(super) fn lasts(&self, now: &Zoned) -> Duration {
        let turn = self.turns_after(now);
        Duration::try_from(turn.duration_since(now.timestamp())).unwrap_or_default()
    }

    /// Returns once it is open, or closed.
    pub(super) async fn becomes(&self, open: bool) {
        loop {
            let now = Zoned::now();
            if self.is_open(&now) == open {
                return;
            }
            sleep(self.lasts(&now).min(LOOK_EVERY)).await;
        }
    }

    /// When it opens, if it is closed, or else closes: at one of its times, or where the clock is put
    /// forward or back past one.
    fn turns_after(&self, now: &Zoned) -> Timestamp {
        let (zone, from) = (now.time_zone(), now.timestamp());
        // The times of a day may be left out once, by daylight saving time, or the day itself.
        let days = (0..=3).filter_map(|days| now.date().checked_add(days.days()).ok());
        let times = days
            .flat_map(|day| [day.to_datetime(self.opens), day.to_datetime(self.closes)])
            .map(|time| zone.to_ambiguous_timestamp(time))
            .flat_map(|at| [at.earlier(), at.later()])
            .filter_map(Result::ok);
        let changes = zone.following(from).map(|change| change.timestamp()).take(2);
        let other = |at: &Timestamp| {
            *at > from && self.is_open(&at.to_zoned(zone.clone())) != self.is_open(now)
        };
        times.chain(changes).filter(other).min().unwrap_or(Timestamp::MAX)
    }
}

/// It is no window.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' are no hours of the day: write two different times, e.g. 22:00-06:00")]
pub struct WindowError(String);

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let times = text.split_once('-').and_then(|(opens, closes)| {
            Some((parsed(opens.trim())?, parsed(closes.trim())?)).filter(|(a, b)| a != b)
        });
        match times {
            Some((opens, closes)) => Ok(Self { opens, closes }),
            None => Err(WindowError(text.to_owned())),
        }
    }
}

/// `6:00`, `06:00`, `06:00:30`, `24:00`.
fn parsed(text: &str) -> Option<Time> {
    if text == "24:00" {
        return Some(Time::midnight());
    }
    let mut numbers = text.split(':').map(|part| {
        let digits = matches!(part.len(), 1 | 2) && part.bytes().all(|c| c.is_ascii_digit());
        part.parse::<i8>().ok().filter(|_| digits)
    });
    let (hour, minute) = (numbers.next()??, numbers.next()??);
    let second = numbers.next().unwrap_or(Some(0))?;
    Time::new(hour, minute, second, 0).ok().filter(|_| numbers.next().is_none())
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |time: Time| match time.second() {
            0 => time.strftime("%H:%M"),
            _ => time.strftime("%H:%M:%S"),
        };
        write!(f, "{}-{}", shown(self.opens), shown(self.closes))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    /// Forward on 2026-03-29 at 01:00Z from 02:00 to 03:00, back on 2026-10-25 at 01:00Z from 03:00.
    fn berlin(at: &str) -> Zoned {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        at.parse::<Timestamp>().unwrap().to_zoned(zone)
    }

    /// Whether it is open, and when it turns, and turns back.
    fn turns(window: &str, at: &str) -> (bool, String, String) {
        let (window, now) = (window.parse::<Window>().unwrap(), berlin(at));
        let turn = window.turns_after(&now);
        let then = turn.to_zoned(now.time_zone().clone());
        assert_ne!(window.is_open(&then), window.is_open(&now));
        (window.is_open(&now), turn.to_string(), window.turns_after(&then).to_string())
    }

    fn check(window: &str, at: &str, open: bool, turn: &str, back: &str) {
        assert_eq!(turns(window, at), (open, turn.to_owned(), back.to_owned()), "{window} at {at}");
    }

    #[test]
    fn by_day_and_over_midnight() {
        let (day, night) = ("09:00-17:00", "22:00-06:00");
        let next = ("2026-01-14T08:00:00Z", "2026-01-14T16:00:00Z");
        check(day, "2026-01-14T07:59:59Z", false, next.0, next.1);
        check(day, "2026-01-14T08:00:00Z", true, next.1, "2026-01-15T08:00:00Z");
        check(day, "2026-01-13T16:00:00Z", false, next.0, next.1);
        let next = ("2026-01-14T21:00:00Z", "2026-01-15T05:00:00Z");
        check(night, "2026-01-14T12:00:00Z", false, next.0, next.1);
        check(night, "2026-01-14T22:30:00Z", true, next.1, "2026-01-15T21:00:00Z");
        check(night, "2026-01-15T04:59:59Z", true, next.1, "2026-01-15T21:00:00Z");
        check(
            "18:00-24:00",
            "2026-01-14T22:59:59Z",
            true,
            "2026-01-14T23:00:00Z",
            "2026-01-15T17:00:00Z",
        );
    }

    #[test]
    fn when_the_clock_is_put_forward() {
        // Seven hours of eight.
        check(
            "22:00-06:00",
            "2026-03-28T20:59:59Z",
            false,
            "2026-03-28T21:00:00Z",
            "2026-03-29T04:00:00Z",
        );
        // One of its times is left out: it turns when the clock is past it.
        check(
            "02:30-05:00",
            "2026-03-28T12:00:00Z",
            false,
            "2026-03-29T01:00:00Z",
            "2026-03-29T03:00:00Z",
        );
        check(
            "22:00-02:30",
            "2026-03-29T00:30:00Z",
            true,
            "2026-03-29T01:00:00Z",
            "2026-03-29T20:00:00Z",
        );
        // All of it is: the next day.
        check(
            "02:10-02:50",
            "2026-03-28T12:00:00Z",
            false,
            "2026-03-30T00:10:00Z",
            "2026-03-30T00:50:00Z",
        );
    }

    #[test]
    fn when_the_clock_is_put_back() {
        check(
            "22:00-06:00",
            "2026-10-24T12:00:00Z",
            false,
            "2026-10-24T20:00:00Z",
            "2026-10-25T05:00:00Z",
        );
        // The hour comes twice, and so does what is in it.
        check(
            "02:00-02:30",
            "2026-10-24T12:00:00Z",
            false,
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
        );
        check(
            "02:00-02:30",
            "2026-10-25T00:30:00Z",
            false,
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
        );
        check(
            "22:00-02:30",
            "2026-10-25T00:00:00Z",
            true,
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
        );
    }

    #[test]
    fn texts() {
        for (text, shown) in [
            ("22:00-06:00", "22:00-06:00"),
            (" 6:05 - 18:00 ", "06:05-18:00"),
            ("18:00-24:00", "18:00-00:00"),
            ("0:00-0:00:30", "00:00-00:00:30"),
        ] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "22:00",
            "22-06",
            "22:00-22:00",
            "0:00-24:00",
            "25:00-06:00",
            "22:60-06:00",
            "a:00-b:00",
            "+1:00-02:00",
            "1:2:3:4-5:00",
        ] {
            assert_eq!(text.parse::<Window>(), Err(WindowError(text.to_owned())));
        }
    }
}
