use tokio_postgres::error::SqlState;

use super::{
    super::{create::attempted, place::Place, quote::qualified, seen},
    found::find,
    refusal::{Blame, Failure},
};
use crate::target::{Named, TargetError};

/// Tables that are to go, and that something hung on: one statement may drop several that refer to each
/// other, and each comes as a change of its own. At the end of the transaction they go together.
#[derive(Clone, Debug, Default)]
pub(super) struct Drops {
    waiting: Vec<(Named, Blame)>,
}

impl Drops {
    /// Drops a table, now or later.
    pub(super) async fn drop_table(
        &mut self,
        place: Place<'_>,
        blame: &Blame,
        table: Option<Named>,
    ) -> Result<(), Failure> {
        let Some(table) = table else { return Ok(()) };
        let found = find(place.client, &table.schema, &table.name).await;
        let Some(found) = found.map_err(|error| blame.lookup(&error))? else { return Ok(()) };
        if !matches!(found.kind, 'r' | 'p') {
            return Ok(());
        }
        let sql = drop_sql([&table]);
        match attempted(place.target, place.client, &sql).await? {
            None => Ok(gone(place, &table).await?),
            Some(refused) if refused.code == SqlState::DEPENDENT_OBJECTS_STILL_EXIST => {
                self.waiting.push((table, blame.clone()));
                Ok(())
            }
            Some(refused) => Err(blame.refused(&sql, &refused)),
        }
    }

    /// A table is about to take this name: one that waits under it must go first.
    pub(super) async fn free(
        &mut self,
        place: Place<'_>,
        blame: &Blame,
        name: &Named,
    ) -> Result<(), Failure> {
        match self.waiting.iter().any(|(table, _)| table == name) {
            true => self.go(place, blame).await,
            false => Ok(()),
        }
    }

    /// What waits must go.
    pub(super) async fn finish(&mut self, place: Place<'_>) -> Result<(), Failure> {
        let Some((_, blame)) = self.waiting.first().cloned() else { return Ok(()) };
        self.go(place, &blame).await
    }

    async fn go(&mut self, place: Place<'_>, blame: &Blame) -> Result<(), Failure> {
        let sql = drop_sql(self.waiting.iter().map(|(table, _)| table));
        if let Some(refused) = attempted(place.target, place.client, &sql).await? {
            return Err(blame.refused(&sql, &refused));
        }
        for (table, _) in std::mem::take(&mut self.waiting) {
            gone(place, &table).await?;
        }
        Ok(())
    }
}

async fn gone(place: Place<'_>, table: &Named) -> Result<(), TargetError> {
    tracing::info!("dropped the table {}.{}, as on the master", table.schema, table.name);
    seen::renamed(place.target, place.client, place.source, table, None).await
}

fn drop_sql<'a>(tables: impl IntoIterator<Item = &'a Named>) -> String {
    let names: Vec<String> =
        tables.into_iter().map(|table| qualified(&table.schema, &table.name)).collect();
    // Of partitions that wait with their whole, some may have gone with it.
    format!("DROP TABLE IF EXISTS {}", names.join(", "))
}
