//! Whether an answer is what was asked for: bytes and headers in, a reason out. Pure.

use bytes::Bytes;
use wire::{Lineage, Lsn, Manifest, Slice, Snapshot, SourceName, split_slice};

use super::standing::Standing;

/// A row of slices: ours, without a gap from at or before `after` to where the answer claims to
/// lead, every checksum right.
pub(super) fn check_slices(
    mut body: Bytes,
    source: &SourceName,
    after: Lsn,
    standing: &Standing,
) -> Result<Vec<Slice>, String> {
    let mut slices: Vec<Slice> = Vec::new();
    let mut way = Way::new(after);
    while let Some((slice, rest)) = split_slice(body).map_err(|error| error.to_string())? {
        let header = slice.header();
        same_history(source, standing.lineage, &header.source, header.lineage)?;
        way.step(header.after, header.through)?;
        if header.is_huge() {
            return Err(format!("the slice at {} has part objects", header.after));
        }
        slice.check().map_err(|error| error.to_string())?;
        slices.push(slice);
        body = rest;
    }
    way.end(standing.through)?;
    Ok(slices)
}

/// A manifest: ours, without a gap from at or before `after` to where the answer claims to lead.
pub(super) fn check_manifest(
    manifest: &Manifest,
    source: &SourceName,
    after: Lsn,
    standing: &Standing,
) -> Result<(), String> {
    same_history(source, standing.lineage, &manifest.source, manifest.lineage)?;
    let mut way = Way::new(after);
    for range in &manifest.ranges {
        way.step(range.after, range.through)?;
    }
    way.end(standing.through)
}

/// A snapshot as a terminal is given it: each object has a URL.
pub(super) fn check_snapshot(snapshot: &Snapshot) -> Result<(), String> {
    for table in &snapshot.tables {
        if let Some(object) = table.objects.iter().find(|object| object.url.is_none()) {
            return Err(format!(
                "the snapshot at {} gives no URL for the object {} of table {}.{}",
                snapshot.lsn, object.name, table.schema, table.name
            ));
        }
    }
    Ok(())
}

fn same_history(
    source: &SourceName,
    lineage: Lineage,
    found_source: &SourceName,
    found: Lineage,
) -> Result<(), String> {
    if source == found_source && lineage == found {
        Ok(())
    } else {
        Err(format!(
            "it holds source {found_source}, lineage {found} where {source}, lineage {lineage} was asked for"
        ))
    }
}

/// Ranges that follow each other.
struct Way {
    from: Lsn,
    reached: Option<Lsn>,
}

impl Way {
    fn new(from: Lsn) -> Self {
        Self { from, reached: None }
    }

    fn step(&mut self, after: Lsn, through: Lsn) -> Result<(), String> {
        let joins = match self.reached {
            Some(reached) => after == reached,
            None => after <= self.from,
        };
        if !joins || through < after {
            let at = self.reached.unwrap_or(self.from);
            return Err(format!("the range ({after}, {through}] does not go on from {at}"));
        }
        self.reached = Some(through);
        Ok(())
    }

    fn end(&self, claimed: Lsn) -> Result<(), String> {
        let Some(reached) = self.reached else { return Err("it is empty".into()) };
        if reached != claimed {
            return Err(format!("it reaches {reached} where {claimed} is claimed"));
        }
        if reached <= self.from {
            return Err(format!("it reaches {reached}, no further than {}", self.from));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wire::{
        Change, ChannelHashes, ChannelName, Hash, PartObject, SliceBuilder, TransactionEncoder,
        TransactionHeader,
    };

    use super::*;

    fn source(name: &str) -> SourceName {
        SourceName::new(name).unwrap()
    }

    /// A slice of one transaction; in part objects, where `huge`.
    fn slice(source: SourceName, lineage: Lineage, huge: bool) -> Bytes {
        let channel = ChannelName::default_channel();
        let mut encoder = TransactionEncoder::new(TransactionHeader { xid: 7, commit_time_us: 1 });
        let (prefix, content) = ("p".to_owned(), Bytes::from_static(b"content"));
        encoder.push(&channel, &Change::Message { prefix, content, transactional: true });
        let parts = match huge {
            true => vec![(channel, vec![PartObject { name: Hash::of(b"part"), len: 9 }])],
            false => Vec::new(),
        };
        let (start, end) = (Lsn::new(190), Lsn::new(200));
        let mut builder =
            SliceBuilder::new(source, lineage, Lsn::new(100), ChannelHashes::default(), 1);
        builder.push(start, end, &encoder.finish(), &parts).unwrap();
        builder.finish(end).unwrap().bytes().clone()
    }

    #[test]
    fn slices_of_others_and_slices_without_their_parts() {
        let (ours, other) = (Lineage::from_bytes([7; 16]), Lineage::from_bytes([8; 16]));
        let standing = Standing { lineage: ours, head: Lsn::new(200), through: Lsn::new(200) };
        let check = |body| check_slices(body, &source("orders"), Lsn::new(100), &standing);
        assert!(check(slice(source("orders"), ours, false)).is_ok());
        for (body, what) in [
            (slice(source("orders2"), ours, false), "it holds source orders2"),
            (slice(source("orders"), other, false), "lineage 0808"),
            (slice(source("orders"), ours, true), "has part objects"),
        ] {
            let why = check(body).unwrap_err();
            assert!(why.contains(what), "{what}: {why}");
        }
    }
}
