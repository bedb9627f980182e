use wire::Lsn;

use crate::log::{error::StoreError, shared::Shared};

/// When the oldest commit behind `position` was made, microseconds since 1970; none where the log
/// holds no commit behind it.
pub(in crate::log) fn commit_after(
    shared: &Shared,
    mut position: Lsn,
) -> Result<Option<i64>, StoreError> {
    let head = shared.standing.borrow().head.unwrap_or_default();
    while position < head {
        let in_ring = shared.ring().from(position).next().map(|slice| {
            let header = slice.header();
            (header.transactions > 0, header.first_commit_us, header.through)
        });
        let found = match in_ring {
            Some(found) => Some(found),
            None => stored(shared, position)?,
        };
        match found {
            Some((true, first_commit_us, _)) => return Ok(Some(first_commit_us)),
            Some((false, _, through)) if through > position => position = through,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn stored(shared: &Shared, position: Lsn) -> Result<Option<(bool, i64, Lsn)>, StoreError> {
    let tail = shared.tail.header(position)?.map(|stored| stored.header);
    let header = match tail.filter(|header| header.after <= position) {
        Some(header) => Some(header),
        None => shared.catalog.range(position)?.map(|range| range.header),
    };
    Ok(header.map(|header| (header.transactions > 0, header.first_commit_us, header.through)))
}
