use bytes::Bytes;
use wire::{
    ChannelBytes, ChannelName, ChunkWriter, Lineage, Lsn, ObjectHeader, ObjectKind, ObjectWriter,
    PartObject, SourceName, TransactionEncoder,
};

use super::error::AssembleError;

/// A run shorter than this stays in memory although its transaction is drained.
const LEAVE_BELOW: usize = 64 << 10;

/// An object to bring to the relay before the slice that names it.
#[derive(Debug, Clone)]
pub struct PartUpload {
    /// Its name and length.
    pub object: PartObject,
    /// Its bytes.
    pub bytes: Bytes,
}

/// How parts are made.
#[derive(Debug, Clone)]
pub(super) struct PartMaker {
    pub(super) source: SourceName,
    pub(super) lineage: Lineage,
    pub(super) session: u64,
    pub(super) level: i32,
    /// The most that one part holds, uncompressed.
    pub(super) raw_limit: usize,
}

/// The parts of one transaction so far, per channel in order.
#[derive(Debug, Default)]
pub(super) struct Parts {
    runs: Vec<(ChannelName, Vec<PartObject>)>,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn runs(&self) -> &[(ChannelName, Vec<PartObject>)] {
        &self.runs
    }

    /// Takes what the encoder holds, but for runs that are short.
    pub(super) fn drain(
        &mut self,
        encoder: &mut TransactionEncoder,
        maker: &PartMaker,
        start: Lsn,
    ) -> Result<Vec<PartUpload>, AssembleError> {
        self.take(encoder, maker, start, |run, _| run.bytes.len() >= LEAVE_BELOW)
    }

    /// Takes the rest of the runs of which something was taken before: a run is either whole in its
    /// slice or whole in parts.
    pub(super) fn drain_rest(
        &mut self,
        encoder: &mut TransactionEncoder,
        maker: &PartMaker,
        start: Lsn,
    ) -> Result<Vec<PartUpload>, AssembleError> {
        self.take(encoder, maker, start, |run, begun| begun && !run.bytes.is_empty())
    }

    fn take(
        &mut self,
        encoder: &mut TransactionEncoder,
        maker: &PartMaker,
        start: Lsn,
        wanted: impl Fn(&ChannelBytes, bool) -> bool,
    ) -> Result<Vec<PartUpload>, AssembleError> {
        let xid = encoder.header().xid;
        let mut uploads = Vec::new();
        for run in encoder.channels_mut() {
            let begun = self.runs.iter().any(|(channel, _)| *channel == run.channel);
            if !wanted(run, begun) {
                continue;
            }
            let bytes = run.drain(usize::MAX);
            if !begun {
                self.runs.push((run.channel.clone(), Vec::new()));
            }
            let run = self.runs.iter_mut().find(|(channel, _)| *channel == run.channel);
            let Some((channel, parts)) = run else { continue };
            for piece in bytes.chunks(maker.raw_limit.max(1)) {
                let upload = maker
                    .make(channel, xid, parts.len(), piece)
                    .map_err(|source| AssembleError::Part { xid, lsn: start, source })?;
                parts.push(upload.object);
                uploads.push(upload);
            }
        }
        Ok(uploads)
    }
}

impl PartMaker {
    fn make(
        &self,
        channel: &ChannelName,
        xid: u32,
        number: usize,
        raw: &[u8],
    ) -> Result<PartUpload, wire::ObjectError> {
        let mut chunks = ChunkWriter::new(self.level)?;
        chunks.stream(raw)?;
        let (payload, raw_len) = chunks.finish()?;
        let part = u32::try_from(number).unwrap_or(u32::MAX);
        let header = ObjectHeader {
            source: self.source.clone(),
            lineage: self.lineage,
            channel: channel.clone(),
            route: String::new(),
            raw_len,
            kind: ObjectKind::Transaction { session: self.session, xid, part },
        };
        let (bytes, name) = ObjectWriter::assemble(&header, &payload)?;
        Ok(PartUpload { object: PartObject { name, len: bytes.len() as u64 }, bytes })
    }
}
