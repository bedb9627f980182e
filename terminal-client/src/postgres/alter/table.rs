use wire::{Sequence, SequenceBond, TableDefinition};

use super::{
    super::{
        create::{attempt, attempted, create_defined},
        place::Place,
        quote::{ident, qualified},
    },
    act::Act,
    columns::columns,
    found::{Found, find},
    keys::keys,
    names::{columns_renamed, table_renamed},
    refusal::{Blame, Failure},
};
use crate::target::TargetError;

/// One change of one table.
#[derive(Clone, Copy)]
pub(super) struct Altering<'a> {
    pub(super) place: Place<'a>,
    pub(super) blame: &'a Blame,
    pub(super) foreign_keys: bool,
}

impl Altering<'_> {
    /// Makes the table, with its keys.
    pub(super) async fn create(&self, is: &TableDefinition) -> Result<(), Failure> {
        let Place { target, client, .. } = self.place;
        let above = match &is.partition_of {
            Some(of) => self.find(&of.schema, &of.name).await?.filter(|above| above.kind == 'p'),
            None => None,
        };
        let above = is.partition_of.as_ref().filter(|_| above.is_some());
        create_defined(target, client, is, above).await?;
        if above.is_some() {
            // It was made with those of the whole, which it need not have.
            let found = self.there(is).await?;
            let has_one =
                |name: &str| found.column(name).is_some_and(|here| here.default.is_some());
            let without = is.columns.iter().filter(|column| column.default.is_none());
            let without = without.filter(|column| has_one(&column.name));
            let acts: Vec<Act> =
                without.map(|column| Act::DropDefault(column.name.clone())).collect();
            self.acts(is, &acts).await?;
        }
        self.keys(None, is).await
    }

    /// Gives the table its name and place. False where it is not here at all.
    pub(super) async fn rename(
        &self,
        was: &TableDefinition,
        is: &TableDefinition,
    ) -> Result<bool, Failure> {
        let same = (&was.schema, &was.name) == (&is.schema, &is.name);
        let old = self.find(&was.schema, &was.name).await?;
        let new = if same { None } else { self.find(&is.schema, &is.name).await? };
        let Some(old) = old else {
            if new.is_none() {
                tracing::warn!(
                    "{was} was altered on the master, and is not here: nothing to alter"
                );
            }
            return Ok(new.is_some());
        };
        if !matches!(old.kind, 'r' | 'p') {
            let why =
                format!("there is something else of that name (pg_class.relkind '{}')", old.kind);
            let advice = "rename or drop it, then pull again".into();
            return Err(self.blame.stopped(why, advice).into());
        }
        if new.is_some() {
            let why = format!("{was} is {is} now, and there is another table of that name here");
            let advice = "rename or drop that, then pull again".into();
            return Err(self.blame.stopped(why, advice).into());
        }
        let (mut schema, mut name) = (was.schema.clone(), was.name.clone());
        for act in table_renamed(was, is, &old) {
            self.act(&schema, &name, &act).await?;
            match act {
                Act::RenameTable(to) => name = to,
                Act::SetSchema(to) => schema = to,
                _ => {}
            }
        }
        Ok(true)
    }

    /// Sequences are known by their columns, and those by their numbers.
    pub(super) async fn rename_sequences(
        &self,
        was: &[Sequence],
        is: &[Sequence],
    ) -> Result<(), TargetError> {
        let Place { target, client, .. } = self.place;
        let named = |of: &Sequence| (of.schema.clone(), of.name.clone());
        let going = |of: &&Sequence| !is.iter().any(|is| named(is) == named(of));
        let coming = |of: &&Sequence| !was.iter().any(|was| named(was) == named(of));
        // One statement renames one; where it is not clear which, the new one is made.
        let going: Vec<&Sequence> = was.iter().filter(going).collect();
        let coming: Vec<&Sequence> = is.iter().filter(coming).collect();
        let ([from], [to]) = (going.as_slice(), coming.as_slice()) else { return Ok(()) };
        if from.bond == SequenceBond::Identity {
            return Ok(());
        }
        // An owned one has gone to the new schema with its table.
        for schema in [&from.schema, &to.schema] {
            let old = qualified(schema, &from.name);
            let sql = format!("ALTER SEQUENCE IF EXISTS {old} RENAME TO {}", ident(&to.name));
            if from.name != to.name {
                drop(attempt(target, client, &sql).await?);
            }
        }
        let old = qualified(&from.schema, &to.name);
        let sql = format!("ALTER SEQUENCE IF EXISTS {old} SET SCHEMA {}", ident(&to.schema));
        if from.schema != to.schema {
            drop(attempt(target, client, &sql).await?);
        }
        Ok(())
    }

    /// Does the rest to the table, which has its name.
    pub(super) async fn alter(
        &self,
        was: &TableDefinition,
        is: &TableDefinition,
    ) -> Result<(), Failure> {
        let found = self.there(is).await?;
        let acts = columns_renamed(was, is, &found).map_err(|taken| {
            let advice =
                format!("rename or drop the column \"{}\" here, then pull again", taken.to);
            self.blame.stopped(taken.to_string(), advice)
        })?;
        self.acts(is, &acts).await?;
        let found = self.there(is).await?;
        self.acts(is, &keys(Some(was), is, &found).go).await?;
        let acts = columns(was, is, &found).map_err(|other| {
            let advice =
                format!("rename or drop the column \"{}\" here, then pull again", other.column);
            self.blame.stopped(other.to_string(), advice)
        })?;
        let retypes = acts.iter().any(|act| matches!(act, Act::Retype { .. }));
        let acts = match retypes && !self.has_rows(is).await? {
            true => acts.into_iter().map(Act::on_empty).collect(),
            false => acts,
        };
        self.acts(is, &acts).await?;
        self.keys(Some(was), is).await?;
        self.attach(was, is).await
    }

    async fn keys(
        &self,
        was: Option<&TableDefinition>,
        is: &TableDefinition,
    ) -> Result<(), Failure> {
        let found = self.there(is).await?;
        let foreign = |act: &Act| matches!(act, Act::AddConstraint { kind: 'f', .. });
        let come = keys(was, is, &found).come;
        let come: Vec<Act> =
            come.into_iter().filter(|act| self.foreign_keys || !foreign(act)).collect();
        self.acts(is, &come).await
    }

    async fn attach(&self, was: &TableDefinition, is: &TableDefinition) -> Result<(), Failure> {
        let (None, Some(of)) = (&was.partition_of, &is.partition_of) else { return Ok(()) };
        let above = self.find(&of.schema, &of.name).await?;
        if above.is_none_or(|above| above.kind != 'p') || self.there(is).await?.parent.is_some() {
            return Ok(());
        }
        let (schema, name, bound) = (of.schema.clone(), of.name.clone(), of.bound.clone());
        self.acts(is, &[Act::Attach { schema, name, bound }]).await
    }

    async fn find(&self, schema: &str, name: &str) -> Result<Option<Found>, TargetError> {
        find(self.place.client, schema, name).await.map_err(|error| self.blame.lookup(&error))
    }

    pub(super) async fn has_rows(&self, is: &TableDefinition) -> Result<bool, TargetError> {
        let sql = format!("SELECT EXISTS (SELECT FROM {})", qualified(&is.schema, &is.name));
        let any = self.place.client.query_one(&sql, &[]).await.and_then(|row| row.try_get(0));
        any.map_err(|error| self.blame.lookup(&error))
    }

    async fn there(&self, is: &TableDefinition) -> Result<Found, TargetError> {
        Ok(self.find(&is.schema, &is.name).await?.unwrap_or_default())
    }

    async fn acts(&self, of: &TableDefinition, acts: &[Act]) -> Result<(), Failure> {
        for act in acts {
            self.act(&of.schema, &of.name, act).await?;
        }
        Ok(())
    }

    async fn act(&self, schema: &str, name: &str, act: &Act) -> Result<(), Failure> {
        let Place { target, client, .. } = self.place;
        let (sql, second) = act.sql(schema, name);
        let Some(mut refused) = attempted(target, client, &sql).await? else {
            tracing::info!("{sql}");
            return Ok(());
        };
        if let Some(second) = second {
            match attempted(target, client, &second).await? {
                None => {
                    tracing::warn!(why = refused.words, "not `{sql}`, but {second}");
                    return Ok(());
                }
                Some(again) => refused = again,
            }
        }
        match act.may_fail() {
            true => {
                tracing::warn!(why = refused.words, "not done here: {sql}");
                Ok(())
            }
            false => Err(self.blame.refused(&sql, &refused)),
        }
    }
}
