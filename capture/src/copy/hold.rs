use std::time::Duration;

use super::{
    locks::{LOCKED_WITHIN, lock_statements},
    readers::Readers,
};
use crate::{
    begin::PublishedTable,
    source::{Source, SqlError, SqlSession, answer, answer_within},
};

/// Taken on the master by whoever makes a source's first copy; the second number is the slot's.
const LOCK_CLASS: i32 = 0x7477_6372;
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// A connection that keeps others from making the same source's first copy, and the tables from being
/// altered while they are copied. Both end with it.
pub struct Hold {
    sql: SqlSession,
    /// How many locks of tables readers may take: half of what the whole server has room for.
    lock_room: usize,
}

impl Hold {
    /// Waits until no other capture copies for this slot. `waiting` is called once if it has to.
    pub async fn take(
        source: &Source,
        slot: &str,
        mut waiting: impl FnMut(),
    ) -> Result<Self, SqlError> {
        let sql = source.connect_sql().await?;
        let mut said = false;
        loop {
            let query = "SELECT pg_catalog.pg_try_advisory_lock($1, pg_catalog.hashtext($2))";
            if answer(sql.query_one(query, &[&LOCK_CLASS, &slot])).await?.get(0) {
                return Self::on(sql).await;
            }
            if !said {
                waiting();
                said = true;
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }

    /// A connection that keeps nobody from copying.
    pub async fn free(source: &Source) -> Result<Self, SqlError> {
        Self::on(source.connect_sql().await?).await
    }

    async fn on(sql: SqlSession) -> Result<Self, SqlError> {
        let room = "SELECT pg_catalog.current_setting('max_locks_per_transaction')::int8
                         * pg_catalog.current_setting('max_connections')::int8 / 2";
        let room: i64 = answer(sql.query_one(room, &[])).await?.get(0);
        Ok(Self { sql, lock_room: usize::try_from(room).unwrap_or(0) })
    }

    /// Who waits for one of the tables because they are locked here, if anybody does.
    pub async fn waited_for(&self) -> Result<Option<String>, SqlError> {
        // Not pg_stat_activity, which stands still within a transaction.
        let query = "
            SELECT string_agg(pg_catalog.format('PID %s waits for %s', pid, coalesce(relation::regclass::text, locktype)), ', ')
            FROM pg_catalog.pg_locks
            WHERE NOT granted AND pg_catalog.pg_backend_pid() = ANY(pg_catalog.pg_blocking_pids(pid))";
        Ok(answer(self.sql.query_one(query, &[])).await?.get(0))
    }

    /// Locks the tables against ALTER, TRUNCATE and DROP, not against reading and writing.
    pub async fn tables(&self, tables: &[PublishedTable]) -> Result<(), SqlError> {
        self.lock(tables, "").await
    }

    /// The same, or an error where it would have to wait: who waits for one table and holds others may be
    /// half of a deadlock, and the other half the one that the server ends.
    pub async fn tables_at_once(&self, tables: &[PublishedTable]) -> Result<(), SqlError> {
        self.lock(tables, " NOWAIT").await
    }

    async fn lock(&self, tables: &[PublishedTable], or: &str) -> Result<(), SqlError> {
        answer(self.sql.batch_execute("BEGIN; SET LOCAL lock_timeout = '60s'")).await?;
        for lock in lock_statements(tables, or) {
            answer_within(LOCKED_WITHIN, self.sql.batch_execute(&lock)).await?;
        }
        Ok(())
    }

    /// Lets go of the tables, not of the right to copy.
    pub async fn release(&self) -> Result<(), SqlError> {
        answer(self.sql.batch_execute("ROLLBACK")).await
    }

    /// Connections that read the tables locked here: at most `most`, at least one. They do not wait for a
    /// lock: somebody who came between would wait for this hold, and they for him.
    pub async fn readers(
        &self,
        source: &Source,
        tables: &[PublishedTable],
        most: usize,
    ) -> Result<Readers, SqlError> {
        let room = self.lock_room / tables.len().max(1);
        Readers::open(source, tables, most.min(room)).await
    }
}
