use wire::Lsn;

/// Where the timelines before a timeline ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineHistory {
    pub switches: Vec<TimelineSwitch>,
}

/// A timeline left for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineSwitch {
    /// The timeline that was left.
    pub timeline: u32,
    /// Where: WAL from here on belongs to the next.
    pub at: Lsn,
    /// As the server recorded it.
    pub reason: String,
}

impl TimelineHistory {
    /// Reads a `.history` file: `timeline TAB position TAB reason` per line, `#` begins a comment.
    pub(super) fn parse(content: &str) -> Option<Self> {
        let switches = content
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let mut words = line.splitn(3, char::is_whitespace);
                let timeline = words.next()?.parse().ok()?;
                let at = words.next()?.parse().ok()?;
                Some(TimelineSwitch {
                    timeline,
                    at,
                    reason: words.next().unwrap_or_default().trim().to_owned(),
                })
            })
            .collect::<Option<_>>()?;
        Some(Self { switches })
    }

    /// Where `timeline` was left, if it is one of the ancestors.
    pub fn end_of(&self, timeline: u32) -> Option<Lsn> {
        self.switches.iter().find(|switch| switch.timeline == timeline).map(|switch| switch.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_file_is_read() {
        let history = TimelineHistory::parse("1\t0/3000148\tno recovery target specified\n\n# note\n2\t0/5000000\tbefore 2000-01-01\n").unwrap();
        assert_eq!(history.switches.len(), 2);
        assert_eq!(history.end_of(1), Some(Lsn::new(0x300_0148)));
        assert_eq!(history.end_of(3), None);
        assert_eq!(TimelineHistory::parse("x\t0/1"), None);
    }
}
