use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::Client;
use wire::SnapshotTable;

use super::{
    super::{
        connect::error_of,
        create::run,
        quote::{idents, qualified},
    },
    Load, Place, record,
};
use crate::target::{LoadPoint, TargetError};

pub(super) const BEGIN_PART: &str = "BEGIN; SET LOCAL synchronous_commit = off";

fn failed(target: &str, table: &str, error: &tokio_postgres::Error) -> TargetError {
    error_of(target, &format!("load the rows of {table}"), error)
}

impl Load {
    /// Opens a transaction where none is open. A part that a crash of the server undoes goes with the record
    /// of it; what is `ready` is flushed, and all before it.
    async fn open(&mut self, target: &str, client: &Client) -> Result<(), TargetError> {
        if !self.open {
            run(target, client, "begin a transaction", BEGIN_PART).await?;
            self.open = true;
        }
        Ok(())
    }

    /// Begins rows of a table.
    pub(in super::super) async fn begin_table(
        &mut self,
        target: &str,
        client: &Client,
        table: &SnapshotTable,
    ) -> Result<(), TargetError> {
        self.open(target, client).await?;
        let into = self.destination(table);
        let name = qualified(&into.schema, &into.name);
        self.begin_copy(target, client, name, &table.columns).await
    }

    /// Begins rows of these columns, in the open transaction, into the table of that (quoted) name.
    pub(in super::super) async fn begin_copy(
        &mut self,
        target: &str,
        client: &Client,
        name: String,
        columns: &[String],
    ) -> Result<(), TargetError> {
        let columns = match columns.is_empty() {
            true => String::new(),
            false => format!(" ({})", idents(columns.iter().map(String::as_str))),
        };
        let sink = client.copy_in(&format!("COPY {name}{columns} FROM STDIN")).await;
        let sink = sink.map_err(|error| failed(target, &name, &error))?;
        self.copy = Some((name, Box::pin(sink)));
        Ok(())
    }

    /// More of them.
    pub(in super::super) async fn rows(
        &mut self,
        target: &str,
        rows: Bytes,
    ) -> Result<(), TargetError> {
        let Some((table, sink)) = &mut self.copy else { return Ok(()) };
        match sink.send(rows).await {
            Ok(()) => Ok(()),
            // The server's reason comes with the end of the copy.
            Err(error) => {
                let (error, table) = match sink.as_mut().finish().await {
                    Err(reason) if reason.as_db_error().is_some() => (reason, table.clone()),
                    _ => (error, table.clone()),
                };
                Err(failed(target, &table, &error))
            }
        }
    }

    /// Ends them; gives their number.
    pub(in super::super) async fn end_table(&mut self, target: &str) -> Result<u64, TargetError> {
        let Some((table, mut sink)) = self.copy.take() else { return Ok(0) };
        sink.as_mut().finish().await.map_err(|error| failed(target, &table, &error))
    }

    /// Commits the rows since the last part, and how far the load is, together.
    pub(in super::super) async fn end_part(
        &mut self,
        place: Place<'_>,
        point: &LoadPoint,
    ) -> Result<(), TargetError> {
        self.open(place.target, place.client).await?;
        let mut committed = self.point.lock().await;
        let point = LoadPoint { run: committed.run.clone(), ..point.clone() };
        record::advance(place, &committed, &point).await?;
        run(place.target, place.client, "commit a part of the load", "COMMIT").await?;
        *committed = point;
        self.open = false;
        Ok(())
    }
}
