use wire::{Hash, Manifest, ManifestChannel, ManifestObject, ManifestRange, Part, PartObject};

use super::link::Links;
use crate::log::{Channels, ClosedRange, Standing};

/// The manifest of the ranges, with the channels asked for.
pub(super) fn manifest(
    standing: &Standing,
    ranges: &[ClosedRange],
    channels: &Channels,
    links: &Links,
) -> Manifest {
    let source = standing.source.clone();
    let object =
        |PartObject { name, len }: PartObject| ManifestObject { name, len, url: links.to(name) };
    let ranges = ranges.iter().map(|range| manifest_range(range, channels, &object)).collect();
    Manifest { source: source.clone(), lineage: standing.lineage, ranges }
}

fn manifest_range(
    range: &ClosedRange,
    channels: &Channels,
    object: &impl Fn(PartObject) -> ManifestObject,
) -> ManifestRange {
    let header = &range.header;
    let kept = header.channels.iter().zip(&range.objects);
    let kept = kept.filter(|(part, _)| channels.keep(&part.channel));
    ManifestRange {
        after: header.after,
        through: header.through,
        commit: header.commit,
        transactions: header.transactions,
        changes: header.changes,
        channels: kept.map(|(part, of)| manifest_channel(part, object(*of), object)).collect(),
    }
}

fn manifest_channel(
    part: &Part,
    of: ManifestObject,
    object: &impl Fn(PartObject) -> ManifestObject,
) -> ManifestChannel {
    let (before, after): (Hash, Hash) = (part.before, part.after);
    ManifestChannel {
        channel: part.channel.clone(),
        before,
        after,
        transactions: part.transactions,
        changes: part.changes,
        raw_len: part.raw_len,
        object: of,
        parts: part.parts.iter().map(|part| object(*part)).collect(),
    }
}
