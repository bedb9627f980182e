use std::collections::HashMap;

use tokio_postgres::{Error, Transaction};

use crate::begin::PublishedTable;

/// What one COPY reads: so many bytes of a table on the master's disk.
const PIECE: u64 = 16 << 20;

/// A table as it lies on the master's disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TableSize {
    /// With its long values.
    pub(super) bytes: u64,
    /// Blocks of the table itself; none where it cannot be read in ranges of them.
    pub(super) blocks: Option<u64>,
}

/// A part of a table that is read by one COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which of the tables.
    pub(super) table: usize,
    /// None for the whole table.
    pub(super) blocks: Option<Blocks>,
    /// Its share of the table's bytes.
    pub(super) bytes: u64,
}

/// Blocks of a table, from the one on and up to, not including, the other; without it, all that follow:
/// the table may have grown since it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) from: u64,
    pub(super) to: Option<u64>,
}

/// The tables in pieces, the largest table first, so that none is left to one reader at the end. One
/// reader alone takes them whole.
pub(super) fn cut(sizes: &[TableSize], readers: usize) -> Vec<Piece> {
    let mut order: Vec<(usize, TableSize)> = sizes.iter().copied().enumerate().collect();
    order.sort_by_key(|(table, size)| (std::cmp::Reverse(size.bytes), *table));
    let cut = order.into_iter().map(|(table, size)| cut_table(table, size, readers > 1));
    cut.flatten().collect()
}

fn cut_table(table: usize, size: TableSize, several: bool) -> Vec<Piece> {
    let count = match size.blocks {
        Some(blocks) if several => size.bytes.div_ceil(PIECE).min(blocks),
        _ => 1,
    };
    let Some(blocks) = size.blocks.filter(|_| count > 1) else {
        return vec![Piece { table, blocks: None, bytes: size.bytes }];
    };
    let each = blocks.div_ceil(count);
    let last = blocks.div_ceil(each).saturating_sub(1);
    let piece = |number: u64| {
        let (from, end) = (number * each, ((number + 1) * each).min(blocks));
        let share = u128::from(size.bytes) * u128::from(end - from) / u128::from(blocks);
        Piece {
            table,
            blocks: Some(Blocks { from, to: (number < last).then_some(end) }),
            bytes: u64::try_from(share).unwrap_or(u64::MAX),
        }
    };
    (0..=last).map(piece).collect()
}

/// Ranges of blocks can be read from 14 on; of what is no heap nobody knows what a block is.
const SIZES: &str = "
SELECT c.oid,
       CASE WHEN c.relkind = 'p'
            THEN (SELECT coalesce(sum(pg_catalog.pg_table_size(t.relid)), 0)::int8 FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.isleaf)
            ELSE pg_catalog.pg_table_size(c.oid) END,
       CASE WHEN c.relkind = 'r' AND m.amname = 'heap' AND pg_catalog.current_setting('server_version_num')::int4 >= 140000
            THEN pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8 END
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam
WHERE c.oid = ANY($1)";

/// How large the tables are, in their order.
pub(super) async fn sizes(
    transaction: &Transaction<'_>,
    tables: &[PublishedTable],
) -> Result<Vec<TableSize>, Error> {
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    let rows = transaction.query(SIZES, &[&oids]).await?;
    let size = |row: &tokio_postgres::Row| TableSize {
        bytes: number(row.get::<_, Option<i64>>(1).unwrap_or(0)),
        blocks: row.get::<_, Option<i64>>(2).map(number),
    };
    let found: HashMap<u32, TableSize> = rows.iter().map(|row| (row.get(0), size(row))).collect();
    Ok(oids.iter().map(|oid| found.get(oid).copied().unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(mib: u64, blocks: Option<u64>) -> TableSize {
        TableSize { bytes: mib << 20, blocks }
    }

    #[test]
    fn each_block_is_in_one_piece_and_the_last_is_open() {
        for (mib, blocks) in [(17, 2), (17, 2176), (100, 12_800), (1000, 5), (1 << 20, 134_217_729)]
        {
            let pieces = cut(&[size(mib, Some(blocks))], 4);
            let mut at = 0;
            for (number, piece) in pieces.iter().enumerate() {
                let range = piece.blocks.unwrap();
                assert_eq!(range.from, at);
                assert_eq!(range.to.is_none(), number + 1 == pieces.len(), "{range:?} of {blocks}");
                at = range.to.unwrap_or(blocks);
                assert!(at > range.from && at <= blocks, "{range:?} of {blocks}");
                assert!(piece.bytes <= (mib << 20));
            }
            assert_eq!(at, blocks);
            assert!(pieces.len() > 1, "{mib} MiB in {blocks} blocks");
        }
    }

    #[test]
    fn whole_where_cutting_is_of_no_use_or_not_possible() {
        let sizes = [size(1, Some(128)), size(500, None), size(500, Some(1)), size(0, Some(0))];
        let pieces = cut(&sizes, 4);
        let order: Vec<usize> = pieces.iter().map(|piece| piece.table).collect();
        assert_eq!(order, [1, 2, 0, 3], "the largest first");
        assert!(pieces.iter().all(|piece| piece.blocks.is_none()));
        let alone = cut(&[size(500, Some(64_000))], 1);
        assert_eq!(alone, [Piece { table: 0, blocks: None, bytes: 500 << 20 }]);
    }
}
