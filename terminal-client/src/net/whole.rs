use std::collections::HashMap;

use wire::{Tuple, Value};

use super::{
    identity::bytes_of,
    row::{Irregular, NetRow, Row},
};

/// Rows known by all of their values. Of several that are alike, any one is as good.
#[derive(Default)]
pub(super) struct Whole<'a> {
    rows: Vec<NetRow<'a>>,
    /// The rows that were met, by the values that they have.
    by_values: HashMap<Box<[u8]>, Vec<usize>>,
}

impl<'a> Whole<'a> {
    pub(super) fn insert(&mut self, new: &'a Tuple) -> Result<(), Irregular> {
        let after: Row<'a> = new.iter().collect();
        let row = self.rows.len();
        self.by_values.entry(bytes_of(new.iter())?).or_default().push(row);
        self.rows.push(NetRow { before: None, after: Some(after) });
        Ok(())
    }

    pub(super) fn update(&mut self, old: &'a Tuple, new: &'a Tuple) -> Result<(), Irregular> {
        let place = self.take(old)?;
        // The old row has the large values that did not change.
        let kept = |(new, old): (&'a Value, &'a Value)| match new {
            Value::Unchanged => old,
            new => new,
        };
        let after: Row<'a> = new.iter().zip(old).map(kept).collect();
        self.by_values.entry(bytes_of(after.iter().copied())?).or_default().push(place);
        self.rows.get_mut(place).ok_or(Irregular)?.after = Some(after);
        Ok(())
    }

    pub(super) fn delete(&mut self, old: &'a Tuple) -> Result<(), Irregular> {
        let place = self.take(old)?;
        self.rows.get_mut(place).ok_or(Irregular)?.after = None;
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<NetRow<'a>> {
        self.rows
    }

    /// A row with these values: one that was met, or one that was there before.
    fn take(&mut self, old: &'a Tuple) -> Result<usize, Irregular> {
        let values = bytes_of(old.iter())?;
        if let Some(place) = self.by_values.get_mut(&values).and_then(Vec::pop) {
            return Ok(place);
        }
        self.rows.push(NetRow { before: Some(old.iter().collect()), after: None });
        Ok(self.rows.len() - 1)
    }
}
