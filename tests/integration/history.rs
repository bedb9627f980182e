//! A relay's log as anybody with HTTP reads it, transaction by transaction.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Result, ensure};
use bytes::Bytes;
use harness::{Lsn, RelayProcess};
use wire::{
    Change, ChunkReader, Hash, MANIFEST_TYPE, Manifest, ObjectReader, Record, Records, Relation,
    TransactionDecoder, Value, split_slice,
};

use crate::setup::SOURCE;

/// A transaction's share of one channel.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) channel: String,
    /// The commit's end.
    pub(crate) end: Lsn,
    /// 0 for a message outside any transaction, and where the run is kept in part objects.
    pub(crate) xid: u32,
    /// None where the run is kept in part objects.
    pub(crate) changes: Vec<Change<Arc<Relation>>>,
    /// The blake3 of its bytes: what the running hashes go over.
    pub(crate) digest: Hash,
}

impl Run {
    /// The first column of the rows inserted into `table`, as text.
    pub(crate) fn inserted(&self, table: &str) -> Vec<String> {
        let insert = |change: &Change<Arc<Relation>>| match change {
            Change::Insert { relation, new } if relation.name == table => match new.first()? {
                Value::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                _ => None,
            },
            _ => None,
        };
        self.changes.iter().filter_map(insert).collect()
    }

    /// The contents of logical messages with this prefix.
    pub(crate) fn messages(&self, wanted: &str) -> Vec<String> {
        let message = |change: &Change<Arc<Relation>>| match change {
            Change::Message { prefix, content, .. } if prefix == wanted => {
                Some(String::from_utf8_lossy(content).into_owned())
            }
            _ => None,
        };
        self.changes.iter().filter_map(message).collect()
    }
}

/// The log behind `after`, or from its horizon. Checks on the way that nothing is missing between
/// its slices and that the commits of each channel come in the order of their ends.
pub(crate) async fn read(relay: &RelayProcess, after: Option<Lsn>) -> Result<Vec<Run>> {
    let mut at = match after {
        Some(after) => after,
        None => relay.lag(SOURCE).await?.relay.horizon,
    };
    let mut runs = Vec::new();
    loop {
        let answer = relay.get(&format!("/v1/{SOURCE}/log?after={at}&wait=0"))?.send().await?;
        if answer.status() == 204 {
            break;
        }
        ensure!(answer.status() == 200, "{}: {}", answer.status(), answer.text().await?);
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let before = at;
        at = if kind == Some(MANIFEST_TYPE) {
            closed(relay, &answer.json().await?, at, &mut runs).await?
        } else {
            live(answer.bytes().await?, at, &mut runs)?
        };
        ensure!(at > before, "an answer that does not go on from {before}");
    }
    let mut ends: HashMap<&str, Lsn> = HashMap::new();
    for run in &runs {
        let last = ends.insert(&run.channel, run.end);
        ensure!(last < Some(run.end), "{} comes behind {last:?} in {}", run.end, run.channel);
    }
    Ok(runs)
}

fn live(mut bytes: Bytes, mut at: Lsn, runs: &mut Vec<Run>) -> Result<Lsn> {
    let mut first = true;
    while let Some((slice, rest)) = split_slice(bytes)? {
        let header = slice.header();
        let joins = if first { header.after <= at } else { header.after == at };
        ensure!(joins, "a slice begins at {}, the one before ends at {at}", header.after);
        for (part, payload) in slice.parts() {
            decode(part.channel.as_str(), ChunkReader::new(payload)?, at, runs)?;
        }
        (at, bytes, first) = (header.through, rest, false);
    }
    Ok(at)
}

async fn closed(
    relay: &RelayProcess,
    manifest: &Manifest,
    mut at: Lsn,
    runs: &mut Vec<Run>,
) -> Result<Lsn> {
    for (number, range) in manifest.ranges.iter().enumerate() {
        let joins = if number == 0 { range.after <= at } else { range.after == at };
        ensure!(joins, "a range begins at {}, the one before ends at {at}", range.after);
        for share in &range.channels {
            let path = format!("/{}", share.object.url.trim_start_matches('/'));
            let bytes = relay.get(&path)?.send().await?.error_for_status()?.bytes().await?;
            let object = ObjectReader::named(bytes, share.object.name)?;
            decode(share.channel.as_str(), object.chunks()?, at, runs)?;
        }
        at = range.through;
    }
    Ok(at)
}

fn decode(channel: &str, mut chunks: ChunkReader, after: Lsn, runs: &mut Vec<Run>) -> Result<()> {
    let mut relations = HashMap::new();
    while let Some(chunk) = chunks.next_chunk()? {
        for record in Records::new(chunk) {
            let run = match record? {
                Record::Relation(relation) => {
                    relations.insert(relation.id(), Arc::new(relation));
                    continue;
                }
                Record::Transaction { lsn, run } => {
                    let (header, mut entries) = TransactionDecoder::header(&run)?;
                    let mut decoder = TransactionDecoder::new();
                    let mut changes = Vec::new();
                    while let Some((_, change)) = decoder.next(&mut entries, &relations)? {
                        changes.push(change);
                    }
                    let (xid, digest) = (header.xid, Hash::of(&run));
                    Run { channel: channel.to_owned(), end: lsn, xid, changes, digest }
                }
                Record::Huge(huge) => {
                    let (end, digest) = (huge.lsn, huge.digest);
                    let channel = channel.to_owned();
                    Run { channel, end, xid: 0, changes: Vec::new(), digest }
                }
            };
            if run.end > after {
                runs.push(run);
            }
        }
    }
    Ok(())
}

/// All the rows inserted into `table`, by their first column, in the order of the log.
pub(crate) fn inserted(runs: &[Run], table: &str) -> Vec<String> {
    runs.iter().flat_map(|run| run.inserted(table)).collect()
}
