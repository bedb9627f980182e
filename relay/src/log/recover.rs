//! Finding out how a log stands from what is on disk, and whether that is all that was
//! acknowledged.

use wire::{Lsn, SliceHeader, SourceName};

use super::{
    catalog::Catalog,
    damage::Damage,
    error::StoreError,
    head::{Head, digest},
    standing::{Standing, channel_map},
    tail::{StoredHeader, Tail},
};

/// Reads catalogue and tail; none where the source was never begun. Damage in the tail is part of
/// the answer, damage in the catalogue an error.
pub(super) fn recover(
    source: &SourceName,
    catalog: &Catalog,
    tail: &dyn Tail,
    acknowledged: Head,
) -> Result<Option<Standing>, StoreError> {
    let Some(record) = catalog.source()? else { return Ok(None) };
    let mut standing = Standing::of(source.clone(), record, catalog.closed()?);
    if let Err(error) = walk(&mut standing, tail, acknowledged) {
        let lsn = standing.head.unwrap_or_default();
        let detail = format!(
            "{error}. Everything up to {lsn} is whole and is served; what follows is not, and nothing is appended. \
             Put the source's folder back from a copy, or move it away and let capture begin the source anew"
        );
        standing.damage = Some(Damage { lsn, detail });
    }
    Ok(Some(standing))
}

fn walk(standing: &mut Standing, tail: &dyn Tail, acknowledged: Head) -> Result<(), StoreError> {
    prove(standing, None, acknowledged)?;
    while let Some(position) = standing.head {
        let Some(stored) = tail.header(position).map_err(|error| error.at(position))? else {
            break;
        };
        let header = &stored.header;
        if header.after != position {
            let detail = format!("the next slice there is begins at {}", header.after);
            return Err(StoreError::corrupt("gap in the log", Some(position), detail));
        }
        verify(tail, &stored)?;
        prove(standing, Some(header), acknowledged)?;
        let refused = |error| StoreError::corrupt("slice", Some(position), error);
        standing.check_chain(header).map_err(refused)?;
        let map = channel_map(header).map_err(refused)?;
        standing.advance(header, map);
        prove(standing, None, acknowledged)?;
    }
    let head = standing.head.unwrap_or_default();
    if head < acknowledged.lsn {
        let detail = format!(
            "the log ends there, but up to {} was acknowledged: its newest part is lost",
            acknowledged.lsn
        );
        return Err(StoreError::corrupt("log", Some(head), detail));
    }
    Ok(())
}

/// Reads every piece of a slice, so that its checksums are compared.
pub(super) fn verify(tail: &dyn Tail, stored: &StoredHeader) -> Result<(), StoreError> {
    let mut at = 0;
    while at < stored.len {
        at += tail.piece(stored.header.through, at, usize::MAX)?.len() as u64;
    }
    Ok(())
}

/// Compares with what was acknowledged, where the log stands just there. A progress slice may
/// have taken the place of the one that was acknowledged; it changes no hash.
fn prove(
    standing: &Standing,
    next: Option<&SliceHeader>,
    acknowledged: Head,
) -> Result<(), StoreError> {
    let lsn = acknowledged.lsn;
    let here = match next {
        None => standing.head == Some(lsn),
        Some(next) => next.after < lsn && lsn < next.through,
    };
    if !here || lsn == Lsn::ZERO {
        return Ok(());
    }
    if next.is_none_or(SliceHeader::is_progress) && digest(&standing.hashes) == acknowledged.hash {
        return Ok(());
    }
    let detail = "what was acknowledged there is not what the log holds: another history was put in its place";
    Err(StoreError::corrupt("log", Some(lsn), detail))
}
