use serde::{Deserialize, Serialize};
use wire::SnapshotTable;

use super::named::Named;

/// How far a load is: what is in the target, committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPoint {
    /// Tables whose rows are all in, from the beginning of the snapshot's list.
    pub tables: usize,
    /// Objects of the next table that are in, without a gap.
    pub objects: usize,
    /// Rows of those.
    pub rows: u64,
    /// Bytes of rows in COPY text format, of all objects that are in.
    pub bytes: u64,
    /// Objects behind a gap that are in, in order: those before are still being written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<LoadedObject>,
    /// Tables (of partitioned ones, the topmost) whose keys and indexes are made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyed: Vec<Named>,
    /// Which run of the program wrote this, where several connections do: none of another writes any more.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
}

/// An object of a snapshot whose rows are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LoadedObject {
    /// The table's place in the snapshot's list.
    pub table: usize,
    /// The object's place in the table's list.
    pub object: usize,
    /// Its rows.
    pub rows: u64,
}

/// A table that got another number of rows than the snapshot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rows} rows came for the table at place {table} of the snapshot's list")]
pub struct WrongRows {
    /// Its place in the snapshot's list.
    pub table: usize,
    /// Its rows.
    pub rows: u64,
}

impl LoadPoint {
    /// Whether an object's rows are in.
    pub fn has(&self, table: usize, object: usize) -> bool {
        (table, object) < (self.tables, self.objects)
            || self.beyond.iter().any(|in_| (in_.table, in_.object) == (table, object))
    }

    /// Rows that are in of a table that is not complete.
    pub(super) fn rows_of(&self, table: usize) -> u64 {
        let beyond = self.beyond.iter().filter(|object| object.table == table);
        let first = if table == self.tables { self.rows } else { 0 };
        first + beyond.map(|object| object.rows).sum::<u64>()
    }

    /// Notes objects that came in, and goes on over all tables that are complete.
    ///
    /// # Errors
    /// A complete table's rows are not as many as they should be.
    pub fn add(
        &mut self,
        loaded: &[LoadedObject],
        tables: &[SnapshotTable],
    ) -> Result<(), WrongRows> {
        for of in loaded {
            let object = tables.get(of.table).and_then(|table| table.objects.get(of.object));
            self.bytes += object.map_or(0, |object| object.raw_len);
        }
        self.beyond.extend(loaded);
        self.beyond.sort_unstable();
        let mut beyond = std::mem::take(&mut self.beyond).into_iter().peekable();
        while let Some(table) = tables.get(self.tables) {
            let at = (self.tables, self.objects);
            if let Some(next) = beyond.next_if(|next| (next.table, next.object) == at) {
                self.rows += next.rows;
                self.objects += 1;
            } else if self.objects < table.objects.len() {
                break;
            } else if self.rows != table.rows {
                return Err(WrongRows { table: self.tables, rows: self.rows });
            } else {
                (self.tables, self.objects, self.rows) = (self.tables + 1, 0, 0);
            }
        }
        self.beyond = beyond.collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wire::{ChannelName, Hash, SnapshotObject};

    use super::*;

    /// A table of so many objects with 10 rows each.
    fn table(objects: usize) -> SnapshotTable {
        let rows = 10 * objects as u64;
        let object = |n: usize| SnapshotObject {
            name: Hash::of(&n.to_be_bytes()),
            len: 7,
            rows: 10,
            raw_len: 100,
            url: None,
        };
        SnapshotTable {
            oid: 7,
            schema: "public".into(),
            name: "t".into(),
            channel: ChannelName::default_channel(),
            columns: Vec::new(),
            rows,
            raw_len: 10 * rows,
            objects: (0..objects).map(object).collect(),
        }
    }

    fn object(table: usize, object: usize) -> LoadedObject {
        LoadedObject { table, object, rows: 10 }
    }

    #[test]
    fn objects_come_in_any_order_and_none_is_forgotten() {
        let tables = [table(0), table(3), table(0), table(1), table(0)];
        let all = [object(1, 0), object(1, 1), object(1, 2), object(3, 0)];
        // Every order in which four parts can be committed.
        for order in 0..256 {
            let order = [order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6];
            if (0..4).any(|of| !order.contains(&of)) {
                continue;
            }
            let mut point = LoadPoint::default();
            point.add(&[], &tables).unwrap();
            assert_eq!((point.tables, point.objects), (1, 0));
            for (done, at) in order.iter().enumerate() {
                point.add(&[all[*at]], &tables).unwrap();
                for (number, of) in all.iter().enumerate() {
                    let loaded = order[..=done].contains(&number);
                    assert_eq!(point.has(of.table, of.object), loaded, "{order:?} {point:?}");
                }
                let json = serde_json::to_string(&point).unwrap();
                assert_eq!(serde_json::from_str::<LoadPoint>(&json).unwrap(), point);
                assert_eq!(point.bytes, 100 * (done as u64 + 1));
                let rows: u64 = (1..4).map(|table| point.rows_of(table)).sum();
                let complete = if point.tables > 3 {
                    40
                } else if point.tables > 1 {
                    30
                } else {
                    0
                };
                assert_eq!(rows + complete, 10 * (done as u64 + 1));
            }
            assert_eq!(point, LoadPoint { tables: 5, bytes: 400, ..LoadPoint::default() });
        }
    }

    #[test]
    fn a_table_with_other_rows_than_announced_is_found() {
        let tables = [table(2), table(1)];
        let mut point = LoadPoint::default();
        let short = LoadedObject { rows: 9, ..object(0, 1) };
        point.add(&[short, object(1, 0)], &tables).unwrap();
        let wrong = point.add(&[object(0, 0)], &tables).unwrap_err();
        assert_eq!(wrong, WrongRows { table: 0, rows: 19 });
        let none = [SnapshotTable { rows: 1, ..table(0) }];
        assert!(LoadPoint::default().add(&[], &none).is_err());
    }

    #[test]
    fn what_an_earlier_version_wrote_is_read() {
        let old = r#"{"tables":1,"objects":2,"rows":20,"bytes":200}"#;
        let point: LoadPoint = serde_json::from_str(old).unwrap();
        assert!(point.has(0, 9) && point.has(1, 1) && !point.has(1, 2));
    }
}
