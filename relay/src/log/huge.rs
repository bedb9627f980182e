//! Slices that name part objects: too large to be sent inline, so each is a closed range of its
//! own from the moment it is appended.

use std::collections::HashSet;

use bytes::Bytes;
use wire::{
    Hash, Lsn, ObjectHeader, ObjectKind, ObjectWriter, Part, PartObject, Slice, SliceHeader,
};

use super::{
    catalog::{Changes, Upload, UploadKind},
    error::StoreError,
    range::ClosedRange,
    shared::Shared,
    tail::Tail,
};

/// The header of the object that holds one channel's records of a range.
pub(super) fn object_header(range: &SliceHeader, part: &Part) -> ObjectHeader {
    ObjectHeader {
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
    }
}

/// The range that the slice is, and its objects' bytes, in the order of the channels.
pub(super) fn as_range(slice: &Slice) -> Result<(ClosedRange, Vec<Bytes>), StoreError> {
    let header = slice.header();
    let mut objects = Vec::new();
    let mut contents = Vec::new();
    for (part, payload) in slice.parts() {
        let (bytes, name) = ObjectWriter::assemble(&object_header(header, part), &payload)
            .map_err(|error| StoreError::corrupt("slice", Some(header.after), error))?;
        objects.push(PartObject { name, len: bytes.len() as u64 });
        contents.push(bytes);
    }
    Ok((ClosedRange { header: header.clone(), objects }, contents))
}

/// Stores the objects of a slice that names part objects.
pub(super) fn store_objects(
    shared: &Shared,
    slice: &Slice,
    session: u64,
) -> Result<(), StoreError> {
    let (range, contents) = as_range(slice)?;
    let mut notes = Changes::new();
    for object in &range.objects {
        notes.upload(object.name, Upload { kind: UploadKind::Log, session })?;
    }
    shared.catalog.write(notes)?;
    for (object, bytes) in range.objects.iter().zip(&contents) {
        shared.objects.put(object.name, bytes)?;
    }
    Ok(())
}

/// The names of all objects that slices of the tail behind `position` refer to.
pub(super) fn references(tail: &dyn Tail, mut position: Lsn) -> Result<HashSet<Hash>, StoreError> {
    let mut names = HashSet::new();
    while let Some(stored) = tail.header(position)? {
        if stored.header.is_huge()
            && let Some(slice) = tail.slice(position)?
        {
            let (range, _) = as_range(&slice)?;
            names.extend(range.objects.iter().map(|object| object.name));
            let parts = range.header.channels.iter().flat_map(|part| &part.parts);
            names.extend(parts.map(|object| object.name));
        }
        position = stored.header.through;
    }
    Ok(names)
}
