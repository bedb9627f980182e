use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_postgres::{IsolationLevel, Transaction};
use wire::Definitions;

use super::{
    definitions,
    error::CopyError,
    locks::{LOCKED_WITHIN, lock_statements},
    pieces::{TableSize, sizes},
    rows::{Rows, Work, read_pieces},
};
use crate::{
    begin::{PublishedTable, published},
    source::{Source, SqlError, answer, answer_within},
};

/// How long reading the tables' definitions may take: there may be many.
const DEFINED_WITHIN: Duration = Duration::from_secs(600);

/// Connections that read the tables, all in one snapshot. Each has locked all tables before there is a
/// slot: who waits for one of them from then on waits for all of the copy, and no reader behind him.
pub struct Readers {
    /// A reader ends when nothing is left to read; it goes when this is dropped.
    tasks: JoinSet<Result<(), CopyError>>,
    orders: Vec<oneshot::Sender<Order>>,
    locked: BTreeSet<u32>,
}

/// What a reader is told once there is a snapshot.
struct Order {
    snapshot: String,
    /// It has the snapshot.
    imported: mpsc::Sender<()>,
    /// It looks at the catalogue for all of them.
    look: Option<(String, oneshot::Sender<Catalogue>)>,
    work: oneshot::Receiver<(Arc<Work>, mpsc::Sender<Rows>)>,
}

/// The published tables as of the snapshot.
pub(super) struct Catalogue {
    pub(super) tables: Vec<PublishedTable>,
    pub(super) definitions: Definitions,
    /// In the tables' order.
    pub(super) sizes: Vec<TableSize>,
}

/// The readers at work.
pub(super) struct Reading {
    pub(super) tasks: JoinSet<Result<(), CopyError>>,
    begin: Vec<oneshot::Sender<(Arc<Work>, mpsc::Sender<Rows>)>>,
}

impl Readers {
    /// At most so many, at least one: where the server has no room for more, fewer do. An error where the
    /// first cannot lock the tables at once.
    pub(super) async fn open(
        source: &Source,
        tables: &[PublishedTable],
        most: usize,
    ) -> Result<Self, SqlError> {
        let shared: Arc<[PublishedTable]> = tables.into();
        let locked = tables.iter().map(|table| table.oid).collect();
        let mut readers = Self { tasks: JoinSet::new(), orders: Vec::new(), locked };
        while readers.orders.len() < most.max(1) {
            let (order_to, order) = oneshot::channel();
            let (opened_to, opened) = oneshot::channel();
            readers.tasks.spawn(read(source.clone(), shared.clone(), opened_to, order));
            match opened.await {
                Ok(Ok(())) => readers.orders.push(order_to),
                Ok(Err(error)) if readers.orders.is_empty() => return Err(error),
                Ok(Err(error)) => {
                    let count = readers.orders.len();
                    let error = crate::explain::chain(&error);
                    tracing::warn!("copying with {count} connections instead of {most}: {error}");
                    break;
                }
                // It answers unless it panicked.
                Err(_) => break,
            }
        }
        Ok(readers)
    }

    pub(super) fn count(&self) -> usize {
        self.orders.len()
    }

    /// Gives all of them the snapshot; from then on nobody need export it.
    pub(super) async fn import(
        self,
        snapshot: &str,
        publication: &str,
    ) -> Result<(Reading, Catalogue), CopyError> {
        let Self { mut tasks, orders, locked } = self;
        let (imported_to, mut imported) = mpsc::channel(orders.len().max(1));
        let (look, looked) = oneshot::channel();
        let mut look = Some((publication.to_owned(), look));
        let mut begin = Vec::new();
        for order in orders {
            let (work_to, work) = oneshot::channel();
            begin.push(work_to);
            let (snapshot, imported) = (snapshot.to_owned(), imported_to.clone());
            // One that is gone is met below, with its error.
            let _ = order.send(Order { snapshot, imported, look: look.take(), work });
        }
        drop(imported_to);
        let mut missing = begin.len();
        while missing > 0 {
            match imported.recv().await {
                Some(()) => missing -= 1,
                None => return Err(why(&mut tasks).await),
            }
        }
        let Ok(catalogue) = looked.await else { return Err(why(&mut tasks).await) };
        match catalogue.tables.iter().find(|table| !locked.contains(&table.oid)) {
            Some(table) => {
                Err(CopyError::Joined { table: format!("{}.{}", table.schema, table.name) })
            }
            None => Ok((Reading { tasks, begin }, catalogue)),
        }
    }
}

impl Reading {
    /// Lets them read; their rows come from what is returned, which ends with the last of them.
    pub(super) fn begin(&mut self, work: &Arc<Work>) -> mpsc::Receiver<Rows> {
        // What is packed waits in its reader, not here.
        let (rows_to, rows) = mpsc::channel(1);
        for begin in self.begin.drain(..) {
            // One that is gone is met with its error.
            let _ = begin.send((work.clone(), rows_to.clone()));
        }
        rows
    }
}

/// The error of the reader that failed.
async fn why(tasks: &mut JoinSet<Result<(), CopyError>>) -> CopyError {
    while let Some(done) = tasks.join_next().await {
        if let Err(error) = joined(done) {
            return error;
        }
    }
    CopyError::Ended
}

/// A task of ours is not cancelled while it is waited for.
pub(super) fn joined(
    done: Result<Result<(), CopyError>, tokio::task::JoinError>,
) -> Result<(), CopyError> {
    match done {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(CopyError::Ended),
        },
    }
}

/// One reader's life: its locks, then the snapshot, then rows until there are none left.
async fn read(
    source: Source,
    tables: Arc<[PublishedTable]>,
    opened: oneshot::Sender<Result<(), SqlError>>,
    order: oneshot::Receiver<Order>,
) -> Result<(), CopyError> {
    let mut sql = match source.connect_sql().await {
        Ok(sql) => sql,
        Err(error) => {
            let _ = opened.send(Err(error));
            return Ok(());
        }
    };
    let transaction = match locked(sql.client_mut(), &tables).await {
        Ok(transaction) => transaction,
        Err(error) => {
            let _ = opened.send(Err(error));
            return Ok(());
        }
    };
    let _ = opened.send(Ok(()));
    let Ok(Order { snapshot, imported, look, work }) = order.await else { return Ok(()) };
    import(&transaction, &snapshot).await?;
    let _ = imported.send(()).await;
    drop(imported);
    if let Some((publication, to)) = look {
        let _ = to.send(catalogue(&transaction, &publication).await?);
    }
    let Ok((work, rows_to)) = work.await else { return Ok(()) };
    read_pieces(&transaction, &work, &rows_to).await?;
    answer(transaction.rollback()).await?;
    Ok(())
}

/// A transaction that has the tables locked and no snapshot yet, which LOCK does not take.
async fn locked<'a>(
    client: &'a mut tokio_postgres::Client,
    tables: &[PublishedTable],
) -> Result<Transaction<'a>, SqlError> {
    let builder = client.build_transaction();
    let builder = builder.isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let transaction = answer(builder.start()).await?;
    for lock in lock_statements(tables, " NOWAIT") {
        answer_within(LOCKED_WITHIN, transaction.batch_execute(&lock)).await?;
    }
    Ok(transaction)
}

async fn import(transaction: &Transaction<'_>, snapshot: &str) -> Result<(), CopyError> {
    let snapshot = postgres_protocol::escape::escape_literal(snapshot);
    // Row security that hides rows must fail, not copy less. Texts in no known encoding pass as they are.
    // A table is read by several connections, not by one with helpers.
    let begin = format!(
        "SET TRANSACTION SNAPSHOT {snapshot}; SET LOCAL row_security = off;
         SET LOCAL enable_tidscan = on; SET LOCAL max_parallel_workers_per_gather = 0;
         SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', true)
         WHERE pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'"
    );
    Ok(answer(transaction.batch_execute(&begin)).await?)
}

async fn catalogue(
    transaction: &Transaction<'_>,
    publication: &str,
) -> Result<Catalogue, CopyError> {
    let tables = published(transaction, publication).await?;
    let definitions =
        answer_within(DEFINED_WITHIN, definitions::read(transaction, &tables)).await?;
    let sizes = answer_within(DEFINED_WITHIN, sizes(transaction, &tables)).await?;
    Ok(Catalogue { tables, definitions, sizes })
}
