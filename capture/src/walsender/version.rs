use std::fmt;

/// A server's major version; what depends on it is decided here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion {
    major: u32,
}

/// The oldest server whose pgoutput we read (10 has no TRUNCATE, but the same protocol 1).
const OLDEST: u32 = 10;

impl ServerVersion {
    /// Reads the parameter `server_version`: `15.13 (Debian 15.13-0+deb12u1)`, `17beta1`, `9.6.24`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Self { major: digits.parse().ok()? })
    }

    /// Before the server has told it.
    pub(super) fn unknown() -> Self {
        Self { major: 0 }
    }

    /// 15 for 15.13.
    pub fn major(self) -> u32 {
        self.major
    }

    /// Whether its stream can be read at all.
    pub fn is_supported(self) -> bool {
        self.major >= OLDEST
    }

    /// pgoutput passes on `pg_logical_emit_message` from 14.
    pub fn has_messages(self) -> bool {
        self.major >= 14
    }

    /// Slots can be for standbys too from 17.
    pub fn has_failover(self) -> bool {
        self.major >= 17
    }

    /// How CREATE_REPLICATION_SLOT spells its options: in parentheses from 15.
    pub(super) fn slot_options(self, export: bool, failover: bool) -> &'static str {
        match (self.major >= 15, export, failover && self.has_failover()) {
            (true, true, true) => "(SNAPSHOT 'export', FAILOVER true)",
            (true, true, false) => "(SNAPSHOT 'export')",
            (true, false, true) => "(SNAPSHOT 'nothing', FAILOVER true)",
            (true, false, false) => "(SNAPSHOT 'nothing')",
            (false, true, _) => "EXPORT_SNAPSHOT",
            (false, false, _) => "NOEXPORT_SNAPSHOT",
        }
    }

    /// Options of START_REPLICATION beside the publications.
    pub(super) fn stream_options(self) -> &'static str {
        if self.has_messages() { ", messages 'true'" } else { "" }
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.major)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majors_are_read_from_every_spelling() {
        for (text, major) in [
            ("15.13 (Debian 15.13-0+deb12u1)", 15),
            ("17beta1", 17),
            ("18.4", 18),
            ("9.6.24", 9),
            ("19devel", 19),
        ] {
            assert_eq!(ServerVersion::parse(text).unwrap().major(), major, "{text}");
        }
        assert_eq!(ServerVersion::parse("devel"), None);
    }

    #[test]
    fn a_slot_for_standbys_is_asked_for_where_it_is_known() {
        let options =
            |version, failover| ServerVersion::parse(version).unwrap().slot_options(true, failover);
        assert_eq!(options("14.1", true), "EXPORT_SNAPSHOT");
        assert_eq!(options("16.1", true), "(SNAPSHOT 'export')");
        assert_eq!(options("17.1", false), "(SNAPSHOT 'export')");
        assert_eq!(options("17.1", true), "(SNAPSHOT 'export', FAILOVER true)");
    }
}
