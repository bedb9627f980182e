use std::collections::{HashMap, hash_map::Entry};

use wire::{Tuple, Value};

use super::{
    identity::{at, bytes_of},
    row::{Irregular, NetRow, Row},
};

/// Rows of which no two have the same key.
pub(super) struct Keyed<'a> {
    places: Vec<usize>,
    rows: Vec<NetRow<'a>>,
    /// What became of each key that was met.
    keys: HashMap<Box<[u8]>, Holder>,
}

/// Who has a key, by the place among the rows.
#[derive(Clone, Copy, Debug)]
enum Holder {
    Row(usize),
    /// Nobody: its row was deleted, and was there under this key before.
    Deleted(usize),
    /// Nobody: its row was never there before, or has another key now.
    Left,
}

impl<'a> Keyed<'a> {
    pub(super) fn new(places: Vec<usize>) -> Self {
        Self { places, rows: Vec::new(), keys: HashMap::new() }
    }

    pub(super) fn insert(&mut self, new: &'a Tuple) -> Result<(), Irregular> {
        let after: Row<'a> = new.iter().collect();
        if self.places.is_empty() {
            // Without a key it can only ever be inserted.
            self.rows.push(NetRow { before: None, after: Some(after) });
            return Ok(());
        }
        let key = key_of(&self.places, &after)?;
        let next = self.rows.len();
        match self.keys.entry(key) {
            Entry::Vacant(holder) => {
                holder.insert(Holder::Row(next));
            }
            Entry::Occupied(mut holder) => match *holder.get() {
                Holder::Row(_) => return Err(Irregular),
                Holder::Left => {
                    holder.insert(Holder::Row(next));
                }
                Holder::Deleted(row) => {
                    holder.insert(Holder::Row(row));
                    self.rows.get_mut(row).ok_or(Irregular)?.after = Some(after);
                    return Ok(());
                }
            },
        }
        self.rows.push(NetRow { before: None, after: Some(after) });
        Ok(())
    }

    pub(super) fn update(
        &mut self,
        old: Option<&'a Tuple>,
        new: &'a Tuple,
    ) -> Result<(), Irregular> {
        let known = at(old.unwrap_or(new), &self.places)?;
        let was = self.held(known.clone())?;
        let row = self.rows.get_mut(was.row).ok_or(Irregular)?;
        let mut after: Row<'a> = match &row.after {
            Some(before) => new.iter().zip(before).map(|(new, old)| kept(new, old)).collect(),
            None => new.iter().collect(),
        };
        // A large value of the key that did not change comes in the old row only.
        for (place, known) in self.places.iter().zip(known) {
            let value = after.get_mut(*place).ok_or(Irregular)?;
            *value = kept(value, &known);
        }
        let key = key_of(&self.places, &after)?;
        row.after = Some(after);
        if key != was.key {
            if matches!(self.keys.get(&key), Some(Holder::Row(_))) {
                return Err(Irregular);
            }
            self.keys.insert(was.key, Holder::Left);
            self.keys.insert(key, Holder::Row(was.row));
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, old: &'a Tuple) -> Result<(), Irregular> {
        let was = self.held(at(old, &self.places)?)?;
        let row = self.rows.get_mut(was.row).ok_or(Irregular)?;
        row.after = None;
        let first = row.before.as_ref().map(|before| bytes_of(before.iter().copied()));
        let here = first.transpose()?.is_some_and(|first| first == was.key);
        let holder = if here { Holder::Deleted(was.row) } else { Holder::Left };
        self.keys.insert(was.key, holder);
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<NetRow<'a>> {
        self.rows
    }

    /// The row that has the key; one that was not met was there before.
    fn held(&mut self, known: Row<'a>) -> Result<Held, Irregular> {
        if known.is_empty() {
            return Err(Irregular);
        }
        let key = bytes_of(known.iter().copied())?;
        match self.keys.get(&key) {
            Some(Holder::Row(row)) => Ok(Held { row: *row, key }),
            Some(Holder::Deleted(_) | Holder::Left) => Err(Irregular),
            None => {
                let row = self.rows.len();
                self.keys.insert(key.clone(), Holder::Row(row));
                self.rows.push(NetRow { before: Some(known), after: None });
                Ok(Held { row, key })
            }
        }
    }
}

fn key_of(places: &[usize], row: &Row<'_>) -> Result<Box<[u8]>, Irregular> {
    let values: Row<'_> = places
        .iter()
        .map(|place| row.get(*place).copied().ok_or(Irregular))
        .collect::<Result<_, _>>()?;
    bytes_of(values.into_iter())
}

struct Held {
    row: usize,
    key: Box<[u8]>,
}

/// What the row has afterwards.
fn kept<'a>(new: &'a Value, before: &&'a Value) -> &'a Value {
    if *new == Value::Unchanged { before } else { new }
}
