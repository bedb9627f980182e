use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use futures_util::StreamExt;
use tokio::sync::{Semaphore, mpsc};
use tokio_postgres::Transaction;

use super::{
    error::CopyError,
    packer::{Packed, RowPacker, TableLabel},
    pieces::{Blocks, Piece},
    progress::{Meter, Progress},
};
use crate::{
    begin::{PublishedTable, quoted},
    source::SqlError,
};

/// A longer row is packed by one reader at a time, into an object of its own: several at once would need
/// several times its memory.
const LONG_ROW: usize = 4 << 20;
/// What the objects under construction may hold together, of what does not compress.
const STORED_LIMIT: usize = 32 << 20;

/// All that is to be read, shared by those who read.
pub(super) struct Work {
    tables: Vec<TableWork>,
    pieces: Vec<Piece>,
    next: AtomicUsize,
    readers: usize,
    long_rows: Semaphore,
    pub(super) progress: Progress,
}

/// A table, and what its objects say of themselves.
pub(super) struct TableWork {
    pub(super) table: PublishedTable,
    pub(super) label: TableLabel,
    parts: Arc<AtomicU32>,
}

/// An object of the table at that place.
pub(super) struct Rows {
    pub(super) table: usize,
    pub(super) packed: Packed,
}

impl TableWork {
    pub(super) fn new(table: PublishedTable, label: TableLabel) -> Self {
        Self { table, label, parts: Arc::default() }
    }
}

impl Work {
    pub(super) fn new(
        tables: Vec<TableWork>,
        pieces: Vec<Piece>,
        readers: usize,
        progress: Progress,
    ) -> Self {
        let (next, long_rows) = (AtomicUsize::new(0), Semaphore::new(1));
        Self { tables, pieces, next, readers: readers.max(1), long_rows, progress }
    }

    pub(super) fn tables(&self) -> &[TableWork] {
        &self.tables
    }

    fn next(&self) -> Option<&Piece> {
        self.pieces.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn packer(&self, table: &TableWork) -> Result<RowPacker, CopyError> {
        let limit = STORED_LIMIT / self.readers;
        let packer = RowPacker::new(table.label.clone(), table.parts.clone(), limit);
        packer.map_err(|source| CopyError::Object { table: name(&table.table), source })
    }
}

fn name(table: &PublishedTable) -> String {
    format!("{}.{}", table.schema, table.name)
}

/// Reads pieces until none is left. Pieces of one table that follow each other share their objects.
pub(super) async fn read_pieces(
    transaction: &Transaction<'_>,
    work: &Work,
    rows_to: &mpsc::Sender<Rows>,
) -> Result<(), CopyError> {
    let mut open: Option<TableRows<'_>> = None;
    while let Some(piece) = work.next() {
        let mut rows = match open.take() {
            Some(rows) if rows.place == piece.table => rows,
            before => {
                if let Some(before) = before {
                    before.end().await?;
                }
                let Some(table) = work.tables.get(piece.table) else { continue };
                let packer = work.packer(table)?;
                TableRows { place: piece.table, table, packer, work, rows_to }
            }
        };
        rows.piece(transaction, piece).await?;
        open = Some(rows);
    }
    match open {
        Some(rows) => rows.end().await,
        None => Ok(()),
    }
}

/// The rows of one table that one reader has.
struct TableRows<'a> {
    place: usize,
    table: &'a TableWork,
    packer: RowPacker,
    work: &'a Work,
    rows_to: &'a mpsc::Sender<Rows>,
}

impl TableRows<'_> {
    async fn piece(
        &mut self,
        transaction: &Transaction<'_>,
        piece: &Piece,
    ) -> Result<(), CopyError> {
        let table = &self.table.table;
        let failed = |error| {
            let source = Box::new(SqlError::of("the master", error));
            CopyError::Table { table: name(table), source }
        };
        let mut meter = Meter::new(&self.work.progress, piece.bytes);
        let statement = copy_statement(table, piece.blocks);
        let rows = transaction.copy_out(&statement).await.map_err(failed)?;
        let mut rows = pin!(rows);
        while let Some(row) = rows.next().await {
            let row = row.map_err(failed)?;
            // The server sends each row as one message (`CopySendEndOfRow`).
            if row.last() != Some(&b'\n') {
                return Err(CopyError::Torn { table: name(table) });
            }
            meter.row(row.len());
            if row.len() > LONG_ROW {
                self.long_row(&row).await?;
            } else {
                let packed = self.packer.row(&row);
                drop(row);
                self.send(packed).await?;
            }
        }
        meter.end();
        Ok(())
    }

    async fn long_row(&mut self, row: &[u8]) -> Result<(), CopyError> {
        let _alone = self.work.long_rows.acquire().await;
        let before = self.packer.finish();
        self.send(before).await?;
        let full = self.packer.row(row);
        self.send(full).await?;
        let packed = self.packer.finish();
        self.send(packed).await
    }

    async fn end(mut self) -> Result<(), CopyError> {
        let packed = self.packer.finish();
        self.send(packed).await
    }

    /// Waits until it is taken: rows are not read faster than the relay takes them.
    async fn send(
        &self,
        packed: Result<Option<Packed>, wire::ObjectError>,
    ) -> Result<(), CopyError> {
        let unpackable = |source| CopyError::Object { table: name(&self.table.table), source };
        let Some(packed) = packed.map_err(unpackable)? else { return Ok(()) };
        let sent = self.rows_to.send(Rows { table: self.place, packed }).await;
        sent.map_err(|_| CopyError::Ended)
    }
}

/// Rows of the table itself, not of those that inherit from it; a partitioned table that is published
/// under its own name stands for all its partitions.
fn copy_statement(table: &PublishedTable, blocks: Option<Blocks>) -> String {
    let quote = postgres_protocol::escape::escape_identifier;
    let columns: Vec<String> = table.columns.iter().map(|column| quote(column)).collect();
    let columns = columns.join(", ");
    let name = quoted(&table.schema, &table.name);
    let only = if table.partitioned { "" } else { "ONLY " };
    let filter = table.row_filter.as_ref().map(|filter| format!("({filter})"));
    let from = blocks.map(|blocks| format!("ctid >= '({},0)'", blocks.from));
    let to = blocks.and_then(|blocks| blocks.to).map(|to| format!("ctid < '({to},0)'"));
    let conditions: Vec<String> = from.into_iter().chain(to).chain(filter).collect();
    if conditions.is_empty() {
        return if table.partitioned || table.columns.is_empty() {
            format!("COPY (SELECT {columns} FROM {only}{name}) TO STDOUT")
        } else {
            format!("COPY {name} ({columns}) TO STDOUT")
        };
    }
    let conditions = conditions.join(" AND ");
    format!("COPY (SELECT {columns} FROM {only}{name} WHERE {conditions}) TO STDOUT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        let mut table = PublishedTable {
            oid: 1,
            schema: "public".into(),
            name: "a \"b".into(),
            partitioned: false,
            columns: vec!["id".into(), "V".into()],
            unpublished: Vec::new(),
            row_filter: None,
            rows_guess: 0,
        };
        let all = |table: &PublishedTable| copy_statement(table, None);
        let range =
            |table: &PublishedTable, from, to| copy_statement(table, Some(Blocks { from, to }));
        assert_eq!(all(&table), r#"COPY "public"."a ""b" ("id", "V") TO STDOUT"#);
        assert_eq!(
            range(&table, 0, Some(7)),
            r#"COPY (SELECT "id", "V" FROM ONLY "public"."a ""b" WHERE ctid >= '(0,0)' AND ctid < '(7,0)') TO STDOUT"#
        );
        table.row_filter = Some("(id > 5) OR false".into());
        assert_eq!(
            all(&table),
            r#"COPY (SELECT "id", "V" FROM ONLY "public"."a ""b" WHERE ((id > 5) OR false)) TO STDOUT"#
        );
        assert_eq!(
            range(&table, 7, None),
            r#"COPY (SELECT "id", "V" FROM ONLY "public"."a ""b" WHERE ctid >= '(7,0)' AND ((id > 5) OR false)) TO STDOUT"#
        );
        table.row_filter = None;
        table.columns.clear();
        assert_eq!(all(&table), r#"COPY (SELECT  FROM ONLY "public"."a ""b") TO STDOUT"#);
    }
}
