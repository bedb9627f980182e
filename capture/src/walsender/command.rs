use bytes::Bytes;
use postgres_protocol::escape::escape_identifier;
use wire::Lsn;

use super::{
    connection::{Row, Walsender},
    error::WalsenderError,
    timeline::TimelineHistory,
};

/// Who the server is, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Given to the cluster by initdb; a copy or a restored backup keeps it.
    pub system_identifier: u64,
    /// Changes with each promotion and each point-in-time recovery.
    pub timeline: u32,
    /// How far its WAL is flushed. Never a place to start from.
    pub position: Lsn,
    /// The connected database.
    pub database: String,
}

/// What becomes of the snapshot that a new slot begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotSnapshot {
    /// Exported: other connections may `SET TRANSACTION SNAPSHOT` until this connection's **next command**.
    Export,
    /// Thrown away.
    Nothing,
}

/// A slot just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSlot {
    /// All that is committed at or before this is in the snapshot; the slot gives what comes after.
    pub consistent_point: Lsn,
    /// The exported snapshot's name.
    pub snapshot: Option<String>,
}

impl Walsender {
    /// Asks who the server is. Ends an exported snapshot.
    pub async fn identify_system(&mut self) -> Result<Identity, WalsenderError> {
        let rows = self.query("to identify itself", "IDENTIFY_SYSTEM").await?;
        let identity = || {
            let row = rows.first()?;
            Some(Identity {
                system_identifier: text(row, 0)?.parse().ok()?,
                timeline: text(row, 1)?.parse().ok()?,
                position: text(row, 2)?.parse().ok()?,
                database: text(row, 3)?,
            })
        };
        identity().ok_or_else(|| unexpected("an incomplete answer to IDENTIFY_SYSTEM"))
    }

    /// Makes a logical slot for pgoutput.
    ///
    /// Waits until every transaction open at this moment has ended, however long that takes: the caller
    /// sets a limit and, from another connection, sees whom it waits for. After a limit drop the connection.
    pub async fn create_slot(
        &mut self,
        name: &str,
        snapshot: SlotSnapshot,
    ) -> Result<CreatedSlot, WalsenderError> {
        self.create_slot_for(name, snapshot, false).await
    }

    /// As [`Walsender::create_slot`]; with `failover`, standbys get the slot too where the server can do that.
    pub async fn create_slot_for(
        &mut self,
        name: &str,
        snapshot: SlotSnapshot,
        failover: bool,
    ) -> Result<CreatedSlot, WalsenderError> {
        let options = self.version().slot_options(snapshot == SlotSnapshot::Export, failover);
        self.create(name, &format!("LOGICAL pgoutput {options}")).await
    }

    /// As [`Walsender::create_slot`], of a slot that ends with this connection.
    pub async fn create_temporary_slot(
        &mut self,
        name: &str,
        snapshot: SlotSnapshot,
    ) -> Result<CreatedSlot, WalsenderError> {
        let options = self.version().slot_options(snapshot == SlotSnapshot::Export, false);
        self.create(name, &format!("TEMPORARY LOGICAL pgoutput {options}")).await
    }

    async fn create(&mut self, name: &str, what: &str) -> Result<CreatedSlot, WalsenderError> {
        let command = format!("CREATE_REPLICATION_SLOT {} {what}", escape_identifier(name));
        let rows = self
            .query_patiently(&format!("to create the replication slot {name}"), &command)
            .await?;
        let created = || {
            let row = rows.first()?;
            Some(CreatedSlot {
                consistent_point: text(row, 1)?.parse().ok()?,
                snapshot: text(row, 2),
            })
        };
        created().ok_or_else(|| unexpected("an incomplete answer to CREATE_REPLICATION_SLOT"))
    }

    /// Lets standbys have a slot that nobody uses just now; while somebody does, the server waits.
    pub async fn set_failover(&mut self, name: &str) -> Result<(), WalsenderError> {
        let command = format!("ALTER_REPLICATION_SLOT {} (FAILOVER true)", escape_identifier(name));
        self.query(&format!("to let standbys have the slot {name}"), &command).await.map(drop)
    }

    /// Drops a slot, waiting for the connection that uses it to let go.
    pub async fn drop_slot(&mut self, name: &str) -> Result<(), WalsenderError> {
        let command = format!("DROP_REPLICATION_SLOT {} WAIT", escape_identifier(name));
        self.query_patiently(&format!("to drop the replication slot {name}"), &command)
            .await
            .map(drop)
    }

    /// Where the timelines before `timeline` ended. Timeline 1 has no history, and none is asked for.
    pub async fn timeline_history(
        &mut self,
        timeline: u32,
    ) -> Result<TimelineHistory, WalsenderError> {
        if timeline <= 1 {
            return Ok(TimelineHistory { switches: Vec::new() });
        }
        let rows = self
            .query("to show its timeline history", &format!("TIMELINE_HISTORY {timeline}"))
            .await?;
        rows.first()
            .and_then(|row| TimelineHistory::parse(&text(row, 1)?))
            .ok_or_else(|| unexpected("a timeline history that cannot be read"))
    }

    /// One setting of the server.
    pub async fn show(&mut self, setting: &str) -> Result<String, WalsenderError> {
        let rows = self
            .query("to show a setting", &format!("SHOW {}", escape_identifier(setting)))
            .await?;
        rows.first().and_then(|row| text(row, 0)).ok_or_else(|| unexpected("no answer to SHOW"))
    }
}

fn text(row: &Row, column: usize) -> Option<String> {
    let value: &Bytes = row.get(column)?.as_ref()?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn unexpected(what: &str) -> WalsenderError {
    WalsenderError::Unexpected { what: what.to_owned(), doing: "running a command" }
}
