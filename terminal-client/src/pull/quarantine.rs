//! Transactions that cannot be applied are kept aside, and what changes the same rows waits behind them.

use std::collections::HashMap;

use wire::{ColumnDefinition, Definitions, Lsn, SchemaChange, SourceName};

use super::{error::PullError, held_keys::HeldKeys};
use crate::target::{
    HeldTransaction, KnownTable, Named, OnError, Operation, Stored, Target, TargetError,
};

/// More changes, or bytes of their values, are not kept: something is wrong that nobody looks after.
const MAX_CHANGES: usize = 100_000;
const MAX_BYTES: usize = 64 << 20;

/// What waits in a target's quarantine.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    keys: HeldKeys,
    transactions: u64,
    changes: usize,
    bytes: usize,
    /// Something could not be applied in this run: transactions are applied one by one, to find which.
    suspects: bool,
}

/// What came of another try.
#[derive(Debug, Default)]
pub struct Retried {
    /// How many transactions were applied.
    pub applied: u64,
    /// Those that are still there: their positions, and why.
    pub left: Vec<(Lsn, String)>,
}

impl Quarantine {
    /// As the target has it; `suspects` where something could not be applied in this run.
    pub(super) async fn read<T: Target>(
        target: &mut T,
        source: &SourceName,
        suspects: bool,
    ) -> Result<Self, TargetError> {
        let held = target.held(source).await?;
        let references = if held.is_empty() { Vec::new() } else { target.references().await? };
        Ok(Self {
            keys: HeldKeys::new(&held, references),
            transactions: held.len() as u64,
            changes: held.iter().map(|held| held.operations.len()).sum(),
            bytes: held.iter().map(HeldTransaction::len).sum(),
            suspects,
        })
    }

    /// As the target has it by now.
    pub(super) async fn read_again<T: Target>(
        &mut self,
        target: &mut T,
        source: &SourceName,
    ) -> Result<(), TargetError> {
        *self = Self::read(target, source, self.suspects).await?;
        Ok(())
    }

    /// A range was applied: what could not be was not in it, or waits now.
    pub(super) fn calm(&mut self) {
        self.suspects = false;
    }

    /// How many transactions there are.
    pub(super) fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Whether each transaction has to be looked at before it is applied.
    pub(super) fn is_watchful(&self) -> bool {
        self.suspects || self.transactions > 0
    }

    /// Whether changes of a transaction that is not here as a whole may be applied.
    pub(super) fn check_part(&self, operations: &[Operation]) -> Result<(), PullError> {
        let Some(behind) = self.keys.behind(operations) else { return Ok(()) };
        let lsn = operations.last().map_or(Lsn::ZERO, |operation| operation.lsn);
        let why = format!(
            "it changes rows that wait in quarantine since {behind}, and is too large to wait with them"
        );
        Err(PullError::NotHeld { lsn, why })
    }

    /// Whether a table may be altered so: where changes of it wait, its name and the columns that they are of must
    /// stay.
    pub(super) fn check_altered(&self, lsn: Lsn, change: &SchemaChange) -> Result<(), PullError> {
        let first =
            |of: &Option<Definitions>| of.as_ref().and_then(|of| of.tables.first().cloned());
        let Some(before) = first(&change.before).filter(|_| self.keys.has_table(change.oid)) else {
            return Ok(());
        };
        let stays = first(&change.after).filter(|_| !change.dropped).is_some_and(|after| {
            let has = |of: &ColumnDefinition| {
                after.columns.iter().any(|to| (to.number, &to.name) == (of.number, &of.name))
            };
            (&after.schema, &after.name) == (&before.schema, &before.name)
                && before.columns.iter().all(has)
        });
        if stays {
            return Ok(());
        }
        let why = format!(
            "it alters {before} so that changes which wait in quarantine would not find their columns there"
        );
        Err(PullError::NotHeld { lsn, why })
    }

    /// Applies a whole transaction, or puts it into quarantine; whether it was applied.
    pub(super) async fn apply<T: Target>(
        &mut self,
        target: &mut T,
        source: &SourceName,
        on_error: OnError,
        operations: Vec<Operation>,
    ) -> Result<bool, PullError> {
        let Some(lsn) = operations.last().map(|operation| operation.lsn) else { return Ok(true) };
        let why = match self.keys.behind(&operations) {
            Some(behind) => waits(behind),
            None => match target.attempt(operations.clone()).await? {
                None => return Ok(true),
                Some(error) if on_error == OnError::Stop => return Err(error.into()),
                Some(error) => error.to_string(),
            },
        };
        self.hold(target, source, HeldTransaction { lsn, why, operations }).await?;
        Ok(false)
    }

    async fn hold<T: Target>(
        &mut self,
        target: &mut T,
        source: &SourceName,
        held: HeldTransaction,
    ) -> Result<(), PullError> {
        let (changes, bytes) = (held.operations.len() + self.changes, held.len() + self.bytes);
        if changes > MAX_CHANGES || bytes > MAX_BYTES {
            let (lsn, why) = (held.lsn, held.why);
            let why = format!("the quarantine is full ({} transactions): {why}", self.transactions);
            return Err(PullError::NotHeld { lsn, why });
        }
        tracing::error!("the transaction at {} is in quarantine: {}", held.lsn, held.why);
        target.hold(source, &held).await?;
        if self.keys.is_empty() {
            self.keys = HeldKeys::new([&held], target.references().await?);
        } else {
            self.keys.add(&held);
        }
        (self.changes, self.bytes) = (changes, bytes);
        self.transactions += 1;
        Ok(())
    }
}

/// Refuses to go on where something waits.
pub(super) async fn is_empty<T: Target>(
    target: &mut T,
    source: &SourceName,
) -> Result<(), PullError> {
    match target.held(source).await?.len() {
        0 => Ok(()),
        held => Err(PullError::HeldBack { source_name: source.clone(), held }),
    }
}

/// Applies what is in quarantine, as far as that can be, in one target transaction; `stored` stays.
///
/// # Errors
/// Those of the target; then nothing was done.
pub async fn retry<T: Target>(
    target: &mut T,
    source: &SourceName,
    stored: &Stored,
) -> Result<Retried, TargetError> {
    target.begin().await?;
    let held = target.held(source).await?;
    let known = target.known_tables(source).await?;
    let mut keys = HeldKeys::new([], target.references().await?);
    let mut retried = Retried::default();
    for mut held in held {
        let why = match keys.behind(&held.operations) {
            Some(behind) => Some(waits(behind)),
            None => match altered(target, &known, &held).await? {
                Some(why) => Some(why),
                None => {
                    let failed = target.attempt(held.operations.clone()).await?;
                    failed.map(|error| error.to_string())
                }
            },
        };
        let Some(why) = why else {
            target.release(source, held.lsn).await?;
            retried.applied += 1;
            continue;
        };
        held.why = why;
        target.hold(source, &held).await?;
        keys.add(&held);
        retried.left.push((held.lsn, held.why));
    }
    target.commit(source, stored).await?;
    Ok(retried)
}

fn waits(behind: Lsn) -> String {
    format!("it changes rows that wait in quarantine since {behind}")
}

/// Why a transaction does not fit any more: its tables have other names or columns by now, or are gone. It must
/// not make them anew, nor write to others of that name.
async fn altered<T: Target>(
    target: &mut T,
    known: &HashMap<u32, KnownTable>,
    held: &HeldTransaction,
) -> Result<Option<String>, TargetError> {
    for relation in held.operations.iter().flat_map(|of| of.change.relations()) {
        let fits = known.get(&relation.oid).is_some_and(|known| {
            let has = |name: &String| known.columns.contains(name);
            !known.is_renamed(relation) && relation.columns.iter().all(|of| has(&of.name))
        });
        let named = Named::new(&relation.schema, &relation.name);
        if !fits || !target.has_table(&named).await? {
            return Ok(Some(format!(
                "its table {relation} has another name or other columns by now, or is gone: `tailwater-terminal reload` loads the tables anew"
            )));
        }
    }
    Ok(None)
}
