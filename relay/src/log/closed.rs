//! Slices that are not kept in the tail themselves: those that name part objects, which are never
//! sent inline, and large ones, which would take memory there. Each becomes a closed range of its
//! own when it is appended; the tail holds the range.

use std::collections::HashSet;

use wire::{
    Hash, Lsn, ObjectHeader, ObjectKind, ObjectWriter, Part, PartObject, Slice, SliceHeader,
};

use super::{
    catalog::{Catalog, Changes, Upload, UploadKind},
    error::StoreError,
    objects::Objects,
    range::ClosedRange,
    tail::Tail,
};

/// Stores the object that holds one channel's records of a range: durable, noted before it is there.
pub(super) fn store_object(
    catalog: &Catalog,
    objects: &dyn Objects,
    range: &SliceHeader,
    part: &Part,
    payload: &[u8],
) -> Result<PartObject, StoreError> {
    let header = ObjectHeader {
        source: range.source.clone(),
        lineage: range.lineage,
        channel: part.channel.clone(),
        route: part.route.clone(),
        raw_len: part.raw_len,
        kind: ObjectKind::Log {
            after: range.after,
            through: range.through,
            before: part.before,
            after_hash: part.after,
        },
    };
    // Without its payload, which is not copied once more.
    let (front, _) = ObjectWriter::assemble(&header, &[])
        .map_err(|error| StoreError::corrupt("range", Some(range.after), error))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&front).update(payload);
    let name = Hash::from(hasher.finalize());
    let len = (front.len() + payload.len()) as u64;
    if objects.len(name)? != Some(len) {
        let mut note = Changes::new();
        note.upload(name, Upload { kind: UploadKind::Log, session: 0 })?;
        catalog.write(note)?;
        let mut spool = objects.spool()?;
        let written = spool.write_all(&front).and_then(|()| spool.write_all(payload));
        written.map_err(|source| StoreError::io("objects", source))?;
        spool.keep(name)?;
    }
    Ok(PartObject { name, len })
}

/// Stores a slice's payloads as objects: the closed range that it is.
pub(super) fn close_slice(
    catalog: &Catalog,
    objects: &dyn Objects,
    slice: &Slice,
) -> Result<ClosedRange, StoreError> {
    let header = slice.header().clone();
    let stored = slice
        .parts()
        .map(|(part, payload)| store_object(catalog, objects, &header, part, &payload))
        .collect::<Result<_, _>>()?;
    Ok(ClosedRange { header, objects: stored })
}

/// The names of all objects that items of the tail behind `position` refer to.
pub(super) fn references(tail: &dyn Tail, mut position: Lsn) -> Result<HashSet<Hash>, StoreError> {
    let mut names = HashSet::new();
    while let Some(stored) = tail.header(position)? {
        position = stored.header.through;
        if let Some(range) = stored.into_range() {
            let parts = range.header.channels.iter().flat_map(|part| &part.parts);
            names.extend(range.objects.iter().chain(parts).map(|object| object.name));
        }
    }
    Ok(names)
}
