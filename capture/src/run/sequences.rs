use tokio::time::Instant;
use wire::{ControlRecord, Sequence};

use crate::{
    copy::sequences,
    source::{Refusal, SqlError, SqlSession, answer, emit},
};

/// The sequences of the captured tables: told of in the stream when they moved.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    told: Vec<Sequence>,
    /// The role may not write messages.
    mute: bool,
}

impl Sequences {
    /// Looks where they stand, and writes into the WAL which of them moved since the last time.
    pub(super) async fn look(&mut self, sql: &SqlSession, tables: &[u32]) -> Result<(), SqlError> {
        if self.mute {
            return Ok(());
        }
        let begun = Instant::now();
        let now = answer(sequences(&**sql, tables)).await?;
        let moved: Vec<Sequence> = now
            .iter()
            .filter(|sequence| sequence.last.is_some() && !self.told.contains(sequence))
            .cloned()
            .collect();
        if moved.is_empty() {
            return Ok(());
        }
        tracing::debug!(moved = moved.len(), took = ?begun.elapsed(), "sequences moved");
        match emit(&**sql, &ControlRecord::Sequences { sequences: moved }).await {
            // It is said where heartbeats are.
            Err(error) if error.refusal() == Some(&Refusal::NoRights) => self.mute = true,
            done => done?,
        }
        self.told = now;
        Ok(())
    }
}
