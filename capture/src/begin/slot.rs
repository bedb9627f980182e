use serde::Deserialize;
use wire::Lsn;

use crate::source::{SqlError, SqlSession, answer};

/// A replication slot as the master shows it. What older servers do not say is missing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SlotFacts {
    /// `pgoutput` for one of ours.
    pub plugin: Option<String>,
    /// The database it decodes.
    pub database: Option<String>,
    /// The backend that uses it.
    pub active_pid: Option<u32>,
    /// What is before it is never sent again.
    pub confirmed_flush_lsn: Option<Lsn>,
    /// WAL from here on is kept for it.
    pub restart_lsn: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved`, `lost` (13 and later).
    #[serde(default)]
    pub wal_status: Option<String>,
    /// WAL that may still be written before the slot is in danger, bytes; negative once it is. None where
    /// `max_slot_wal_keep_size` sets no limit (13 and later).
    #[serde(default)]
    pub safe_wal_size: Option<i64>,
    /// Why it is of no use any more (17 and later).
    #[serde(default)]
    pub invalidation_reason: Option<String>,
    /// Whether standbys get it (17 and later).
    #[serde(default)]
    pub failover: Option<bool>,
    /// Whether it conflicted with recovery (16 and later).
    #[serde(default)]
    pub conflicting: Option<bool>,
}

impl SlotFacts {
    /// Reads the slot of that name.
    pub async fn read(sql: &SqlSession, slot: &str) -> Result<Option<Self>, SqlError> {
        let query =
            "SELECT to_jsonb(s)::text FROM pg_catalog.pg_replication_slots s WHERE slot_name = $1";
        let row = answer(sql.query_opt(query, &[&slot])).await?;
        row.map(|row| Self::parse(slot, row.get(0))).transpose()
    }

    /// One that is not understood is there all the same.
    fn parse(slot: &str, json: &str) -> Result<Self, SqlError> {
        serde_json::from_str(json).map_err(|source| SqlError::Unreadable {
            place: "the master".to_owned(),
            what: format!("the replication slot '{slot}'"),
            source,
        })
    }

    /// Why WAL that the slot needs is gone, if it is.
    pub fn lost(&self) -> Option<String> {
        match (&self.invalidation_reason, self.wal_status.as_deref(), self.conflicting) {
            (Some(reason), ..) => Some(reason.clone()),
            (None, Some("lost"), _) => Some("wal_status is 'lost'".to_owned()),
            (None, _, Some(true)) => Some("it conflicted with recovery".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(extra: &str) -> SlotFacts {
        serde_json::from_str(&format!(
            r#"{{"slot_name":"s","plugin":"pgoutput","database":"d","active_pid":null,
                "confirmed_flush_lsn":"0/1528460","restart_lsn":null{extra}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_slot_that_is_not_understood_is_an_error() {
        let error =
            SlotFacts::parse("mine", r#"{"plugin":"pgoutput","active_pid":-1}"#).unwrap_err();
        assert!(error.to_string().contains("'mine'"), "{error}");
    }

    #[test]
    fn read_from_old_and_new_servers() {
        assert_eq!(slot("").confirmed_flush_lsn, Some(Lsn::new(0x152_8460)));
        assert_eq!(slot("").lost(), None);
        assert_eq!(slot(r#","wal_status":"extended""#).lost(), None);
        assert!(slot(r#","wal_status":"lost""#).lost().is_some());
        assert_eq!(slot(r#","conflicting":false"#).lost(), None);
        assert!(slot(r#","wal_status":"reserved","conflicting":true"#).lost().is_some());
        assert_eq!(slot("").safe_wal_size, None);
        assert_eq!(slot(r#","safe_wal_size":-77"#).safe_wal_size, Some(-77));
        let idle = slot(r#","wal_status":"lost","invalidation_reason":"idle_timeout""#).lost();
        assert_eq!(idle.as_deref(), Some("idle_timeout"));
    }
}
