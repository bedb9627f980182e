//! The end of a reload: the rows of the shadows take the place of what the tables hold (decision 0050).

use wire::{Snapshot, SnapshotTable, TableDefinition};

use super::{
    super::{
        alter::to_take,
        connect::error_of,
        create::{attempt, run},
        quote::{idents, qualified},
        seen::{Missing, not_in},
    },
    Place,
    count::{count, only},
    shadow::shadow,
};
use crate::target::{Named, TargetError, not_exchanged};

/// Keys of other tables that would act on those tables' rows when ours go for a moment.
const ACTING: &str = "
SELECT k.conrelid::pg_catalog.regclass::text, k.conname::text
FROM pg_catalog.pg_constraint k
WHERE k.contype = 'f' AND k.confdeltype IN ('c', 'n', 'd')
    AND k.confrelid IN (SELECT pg_catalog.to_regclass(n) FROM pg_catalog.unnest($1::text[]) n)
    AND k.conrelid NOT IN (SELECT pg_catalog.to_regclass(n) FROM pg_catalog.unnest($1::text[]) n)
LIMIT 1";

/// Statements that exchange all rows of some tables.
struct Exchange {
    missing: Vec<Missing>,
    /// All tables, quoted.
    tables: Vec<String>,
    lock: String,
    delete: String,
    /// What makes the emptied tables take the rows; and what inserts where that is nothing.
    reshape: Vec<String>,
    insert: String,
    rehearsed: String,
}

impl Exchange {
    /// Each of them is one statement over all tables, so that foreign keys among them, where they are
    /// active, are checked when all rows are there. Tables that joined after the snapshot are emptied:
    /// all their rows are in the log behind it. None where there is no table at all.
    async fn of(place: Place<'_>, snapshot: &Snapshot) -> Result<Option<Self>, TargetError> {
        let (mut locked, mut deletes, mut inserts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut tables, mut reshape, mut rehearsed) = (Vec::new(), Vec::new(), Vec::new());
        // Those above partitions too, which have no rows of their own: what is done to them is done to all.
        for definition in &snapshot.definitions.tables {
            reshape.extend(to_take(place, definition).await?);
        }
        let Place { target, client, source } = place;
        let missing = not_in(target, client, source, snapshot).await?;
        let joined = missing.iter().filter(|missing| missing.joined);
        for (number, Missing { table, .. }) in joined.enumerate() {
            let own = only(place, table).await?;
            deletes.push(format!("j{number} AS (DELETE FROM {own})"));
            locked.push(own);
            tables.push(qualified(&table.schema, &table.name));
        }
        for (number, table) in snapshot.tables.iter().enumerate() {
            let of = Named::new(&table.schema, &table.name);
            let own = only(place, &of).await?;
            let name = qualified(&of.schema, &of.name);
            let shadow = shadow(&of);
            let shadow = qualified(&shadow.schema, &shadow.name);
            let columns = idents(table.columns.iter().map(String::as_str));
            let into = if columns.is_empty() { String::new() } else { format!(" ({columns})") };
            deletes.push(format!("t{number} AS (DELETE FROM {own})"));
            let insert = format!(
                "t{number} AS (INSERT INTO {name}{into} OVERRIDING SYSTEM VALUE SELECT {columns} FROM {shadow})"
            );
            if reshape.is_empty() {
                rehearsed.push(insert.clone());
            }
            inserts.push(insert);
            locked.push(own);
            tables.push(name);
        }
        Ok((!locked.is_empty()).then(|| Self {
            missing,
            tables,
            lock: format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", locked.join(", ")),
            delete: all_of(&deletes),
            reshape,
            insert: all_of(&inserts),
            rehearsed: all_of(&rehearsed),
        }))
    }
}

/// The definition of a table of a snapshot.
pub(super) fn definition_of<'a>(
    snapshot: &'a Snapshot,
    table: &SnapshotTable,
) -> Option<&'a TableDefinition> {
    let mut definitions = snapshot.definitions.tables.iter();
    definitions.find(|of| of.schema == table.schema && of.name == table.name)
}

/// One statement that does all of these.
fn all_of(parts: &[String]) -> String {
    let with = if parts.is_empty() { "" } else { "WITH " };
    format!("{with}{} SELECT", parts.join(", "))
}

/// Finds out before the first row whether the exchange could be made: rights, columns, foreign keys.
pub(super) async fn rehearse(
    place: Place<'_>,
    snapshot: &Snapshot,
    foreign_keys_act: bool,
) -> Result<(), TargetError> {
    let Some(exchange) = Exchange::of(place, snapshot).await? else { return Ok(()) };
    if foreign_keys_act {
        refuse_acting_keys(place, &exchange.tables).await?;
    }
    let sql = format!("EXPLAIN {}; EXPLAIN {}", exchange.delete, exchange.rehearsed);
    run(place.target, place.client, "prepare the exchange of the tables' rows", &sql).await
}

/// Puts the shadows' rows in the place of the tables', in the open transaction. Readers go on and see
/// the old rows until it commits; other writers wait from here on.
pub(super) async fn exchange(
    place: Place<'_>,
    snapshot: &Snapshot,
    foreign_keys_act: bool,
) -> Result<(), TargetError> {
    let Some(exchange) = Exchange::of(place, snapshot).await? else { return Ok(()) };
    let Place { target, client, .. } = place;
    // A server that can (14 and later) ends this soon after the program was killed, and its lock with it.
    drop(attempt(target, client, "SET LOCAL client_connection_check_interval = 2000").await?);
    run(target, client, "lock the tables against other writers", &exchange.lock).await?;
    if foreign_keys_act {
        run(target, client, "defer constraints", "SET CONSTRAINTS ALL DEFERRED").await?;
    }
    run(target, client, "remove the rows that are replaced", &exchange.delete).await?;
    for sql in &exchange.reshape {
        run(target, client, &format!("bring a table to its shape on the master ({sql})"), sql)
            .await?;
    }
    run(target, client, "put the loaded rows in their place", &exchange.insert).await?;
    for Missing { table: Named { schema, name }, joined } in &exchange.missing {
        match joined {
            true => tracing::info!(
                "{schema}.{name} joined after the snapshot: empty until the next pull"
            ),
            false => {
                tracing::info!("{schema}.{name} is not in the snapshot any more: left as it is")
            }
        }
    }
    for table in &snapshot.tables {
        let rows = count(place, &Named::new(&table.schema, &table.name)).await?;
        if let Some(wrong) = not_exchanged(target, table, rows) {
            run(target, client, "roll back", "ROLLBACK").await?;
            return Err(wrong);
        }
    }
    Ok(())
}

pub(in super::super) async fn refuse_acting_keys(
    place: Place<'_>,
    names: &[String],
) -> Result<(), TargetError> {
    let failed = |error| error_of(place.target, "look up foreign keys", &error);
    let Some(row) = place.client.query_opt(ACTING, &[&names]).await.map_err(failed)? else {
        return Ok(());
    };
    let (table, key): (String, String) =
        (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    Err(TargetError::Table {
        target: place.target.to_owned(),
        table: table.clone(),
        why: format!(
            "it is not the source's, and its foreign key {key} would delete or change its rows when those it refers to are replaced"
        ),
        advice: "drop that key until that is done, or let the target's role set session_replication_role, under which keys do not act"
            .into(),
    })
}
