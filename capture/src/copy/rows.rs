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
    use std::sync::Arc;

    use bytes::Bytes;
    use futures_util::FutureExt;
    use wire::{Hash, Lsn, SourceName};

    use super::*;
    use crate::append::{PipelineLimits, Relay, RelayAddress};

    /// Objects that the relay does not take hold the copy up.
    #[tokio::test]
    async fn rows_are_not_read_faster_than_they_are_taken() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = RelayAddress::parse("http://127.0.0.1:1").unwrap();
        let relay = Relay::new(address, SourceName::new("s").unwrap(), None).unwrap();
        let limits = PipelineLimits { held_bytes: 2_500, ..PipelineLimits::default() };
        let mut pipeline = Pipeline::new(Arc::new(relay), 1, Lsn::new(1), limits);
        let mut objects = Vec::new();
        for part in 1..=3 {
            let object = SnapshotObject {
                name: Hash::of(b""),
                len: 1000,
                rows: 1,
                raw_len: 1000,
                url: None,
            };
            let packed = Some(Packed { object, bytes: Bytes::from(vec![part; 1000]) });
            let sent = send(packed, &mut pipeline, &mut objects).now_or_never();
            assert_eq!(
                sent.is_some(),
                part < 3,
                "after {part} of 1000 bytes, 2,500 being the bound"
            );
        }
    }

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
