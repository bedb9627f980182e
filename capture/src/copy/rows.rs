use std::pin::pin;

use futures_util::StreamExt;
use tokio_postgres::Transaction;
use wire::{SnapshotObject, SnapshotTable};

use super::{
    error::CopyError,
    packer::{Packed, RowPacker, TableLabel},
    progress::Progress,
};
use crate::{
    append::Pipeline,
    begin::{PublishedTable, quoted},
    source::SqlError,
};

/// Copies the rows of one table to the relay.
pub(super) async fn copy_table(
    transaction: &Transaction<'_>,
    table: &PublishedTable,
    label: TableLabel,
    pipeline: &mut Pipeline,
    progress: &mut Progress,
) -> Result<SnapshotTable, CopyError> {
    let name = format!("{}.{}", table.schema, table.name);
    let failed = |error| {
        let source = Box::new(SqlError::of("the master", error));
        CopyError::Table { table: name.clone(), source }
    };
    let unpackable = |source| CopyError::Object { table: name.clone(), source };
    let channel = label.channel.clone();
    let mut packer = RowPacker::new(label).map_err(unpackable)?;
    let mut objects = Vec::new();
    let rows = transaction.copy_out(&copy_statement(table)).await.map_err(failed)?;
    let mut rows = pin!(rows);
    while let Some(row) = rows.next().await {
        let row = row.map_err(failed)?;
        // The server sends each row as one message (`CopySendEndOfRow`).
        if row.last() != Some(&b'\n') {
            return Err(CopyError::Torn { table: name });
        }
        progress.row(row.len());
        let packed = packer.row(&row).map_err(unpackable)?;
        drop(row);
        send(packed, pipeline, &mut objects).await?;
    }
    send(packer.finish().map_err(unpackable)?, pipeline, &mut objects).await?;
    Ok(SnapshotTable {
        oid: table.oid,
        schema: table.schema.clone(),
        name: table.name.clone(),
        channel,
        columns: table.columns.clone(),
        rows: objects.iter().map(|object| object.rows).sum(),
        raw_len: objects.iter().map(|object| object.raw_len).sum(),
        objects,
    })
}

async fn send(
    packed: Option<Packed>,
    pipeline: &mut Pipeline,
    objects: &mut Vec<SnapshotObject>,
) -> Result<(), CopyError> {
    let Some(Packed { object, bytes }) = packed else { return Ok(()) };
    objects.push(object);
    pipeline.part(bytes);
    while !pipeline.has_room() {
        pipeline.next().await?;
    }
    Ok(())
}

/// Rows of the table itself, not of those that inherit from it; a partitioned table that is published
/// under its own name stands for all its partitions.
fn copy_statement(table: &PublishedTable) -> String {
    let quote = postgres_protocol::escape::escape_identifier;
    let columns: Vec<String> = table.columns.iter().map(|column| quote(column)).collect();
    let columns = columns.join(", ");
    let name = quoted(&table.schema, &table.name);
    let only = if table.partitioned { "" } else { "ONLY " };
    match &table.row_filter {
        None if !table.partitioned && !table.columns.is_empty() => {
            format!("COPY {name} ({columns}) TO STDOUT")
        }
        None => format!("COPY (SELECT {columns} FROM {only}{name}) TO STDOUT"),
        Some(filter) => {
            format!("COPY (SELECT {columns} FROM {only}{name} WHERE {filter}) TO STDOUT")
        }
    }
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
        assert_eq!(copy_statement(&table), r#"COPY "public"."a ""b" ("id", "V") TO STDOUT"#);
        table.row_filter = Some("(id > 5)".into());
        assert_eq!(
            copy_statement(&table),
            r#"COPY (SELECT "id", "V" FROM ONLY "public"."a ""b" WHERE (id > 5)) TO STDOUT"#
        );
        table.row_filter = None;
        table.columns.clear();
        assert_eq!(
            copy_statement(&table),
            r#"COPY (SELECT  FROM ONLY "public"."a ""b") TO STDOUT"#
        );
    }
}
