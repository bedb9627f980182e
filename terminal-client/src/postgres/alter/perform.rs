use wire::{Definitions, Lsn, SchemaChange, TableDefinition};

use super::{
    super::{
        create::{
            Rows, bind_sequences, ensure_defined, ensure_sequences, ensure_types, run,
            set_sequences,
        },
        place::Place,
        seen,
    },
    drops::Drops,
    found::find,
    refusal::{Blame, Failure},
    reshape::{to_take, widen},
    table::Altering,
    user_types::alter_types,
};
use crate::target::{Named, TargetError};

/// What is kept from schema change to schema change of a transaction.
#[derive(Debug, Default)]
pub(in super::super) struct Alterations {
    drops: Drops,
    /// Those on whose tables something hung, with what was in the way.
    waiting: Vec<(Lsn, SchemaChange, TargetError)>,
}

impl Alterations {
    /// Does what one schema change says, in the open transaction. Where something hangs on what is to go,
    /// it waits for the next, or for [`Self::settle`].
    pub(in super::super) async fn alter(
        &mut self,
        place: Place<'_>,
        lsn: Lsn,
        change: &SchemaChange,
        foreign_keys: bool,
    ) -> Result<(), TargetError> {
        let mut due = vec![(lsn, change.clone())];
        due.extend(self.waiting.drain(..).map(|(lsn, change, _)| (lsn, change)));
        for (lsn, change) in due {
            if let Err(error) = self.whole(place, lsn, &change, foreign_keys).await? {
                self.waiting.push((lsn, change, error));
            }
        }
        Ok(())
    }

    /// To be called before rows come and at the end of the source transaction.
    pub(in super::super) fn settle(&mut self) -> Result<(), TargetError> {
        self.waiting.pop().map_or(Ok(()), |(_, _, error)| Err(error))
    }

    /// To be called at the end of the source transaction: what could not be dropped before must go now.
    pub(in super::super) async fn finish(&mut self, place: Place<'_>) -> Result<(), TargetError> {
        self.settle()?;
        Ok(self.drops.finish(place).await?)
    }

    /// All of a change, or nothing and what hangs on its table.
    async fn whole(
        &mut self,
        place: Place<'_>,
        lsn: Lsn,
        change: &SchemaChange,
        foreign_keys: bool,
    ) -> Result<Result<(), TargetError>, TargetError> {
        let Place { target, client, .. } = place;
        run(target, client, "set a savepoint", "SAVEPOINT tailwater_change").await?;
        let drops = self.drops.clone();
        let (done, end) = match self.one(place, lsn, change, foreign_keys).await {
            Ok(()) => (Ok(()), "RELEASE SAVEPOINT tailwater_change"),
            Err(Failure::Depends(error)) => (
                Err(error),
                "ROLLBACK TO SAVEPOINT tailwater_change; RELEASE SAVEPOINT tailwater_change",
            ),
            Err(Failure::Other(error)) => return Err(error),
        };
        run(target, client, "end a savepoint", end).await?;
        if done.is_err() {
            self.drops = drops;
        }
        Ok(done)
    }

    async fn one(
        &mut self,
        place: Place<'_>,
        lsn: Lsn,
        change: &SchemaChange,
        foreign_keys: bool,
    ) -> Result<(), Failure> {
        let Some(table) = change.table() else { return Ok(()) };
        let blame = Blame { target: place.target.to_owned(), table: table.to_string(), lsn };
        match (&change.before, &change.after) {
            _ if change.dropped => {
                let table = change.before.as_ref().and_then(|of| of.tables.first());
                self.drops.drop_table(place, &blame, table.map(named)).await
            }
            (before, Some(after)) => {
                self.drops.free(place, &blame, &named(table)).await?;
                let before = before.as_ref();
                Changing { place, blame, foreign_keys }.change(before, after, table).await
            }
            (_, None) => {
                tracing::info!(%lsn, "{table} is not published any more: it stays as it is here");
                Ok(())
            }
        }
    }
}

/// One change of a table that stays or comes.
struct Changing<'a> {
    place: Place<'a>,
    blame: Blame,
    foreign_keys: bool,
}

impl Changing<'_> {
    async fn change(
        self,
        before: Option<&Definitions>,
        after: &Definitions,
        is: &TableDefinition,
    ) -> Result<(), Failure> {
        let Place { target, client, source } = self.place;
        let around = Definitions { types: Vec::new(), ..after.clone() };
        ensure_types(target, client, &around).await?;
        let types = before.map_or(&[][..], |before| &before.types);
        alter_types(self.place, &self.blame, types, &after.types).await?;
        let Some(was) = before.and_then(|before| before.tables.first()) else {
            return self.create(after, is).await;
        };
        let altering = self.altering();
        if !altering.rename(was, is).await? {
            return Ok(());
        }
        let sequences = before.map_or(&[][..], |before| &before.sequences);
        if sequences != after.sequences {
            altering.rename_sequences(sequences, &after.sequences).await?;
            ensure_sequences(target, client, &after.sequences).await?;
        }
        altering.alter(was, is).await?;
        if sequences != after.sequences {
            bind_sequences(target, client, &after.sequences).await?;
            set_sequences(target, client, &after.sequences).await?;
        }
        if (&was.schema, &was.name) != (&is.schema, &is.name) {
            seen::renamed(target, client, source, &named(was), Some(&named(is))).await?;
        }
        Ok(())
    }

    fn altering(&self) -> Altering<'_> {
        let Self { place, ref blame, foreign_keys } = *self;
        Altering { place, blame, foreign_keys }
    }

    /// Makes a table that is new to the stream, with all that a first load makes behind the rows; one that
    /// is here already must be able to take the rows; it may have some, for they can come before it is told of.
    async fn create(&self, after: &Definitions, is: &TableDefinition) -> Result<(), Failure> {
        let Place { target, client, .. } = self.place;
        ensure_sequences(target, client, &after.sequences).await?;
        let found = find(client, &is.schema, &is.name);
        if found.await.map_err(|error| self.blame.lookup(&error))?.is_some() {
            if !self.altering().has_rows(is).await? {
                widen(self.place, self.blame.lsn, is).await?;
                for sql in to_take(self.place, is).await? {
                    run(target, client, &format!("bring the table {is} to its shape"), &sql)
                        .await?;
                }
            }
            ensure_defined(target, client, is, after, Rows::Any).await?;
            return Ok(());
        }
        let altering = self.altering();
        altering.create(is).await?;
        bind_sequences(target, client, &after.sequences).await?;
        set_sequences(target, client, &after.sequences).await?;
        tracing::info!("made the table {is}, which is new on the master");
        Ok(())
    }
}

fn named(table: &TableDefinition) -> Named {
    Named::new(&table.schema, &table.name)
}
