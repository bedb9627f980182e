use wire::TypeDefinition;

use super::{
    super::{create::attempted, place::Place},
    refusal::{Blame, Failure},
    types::{FoundType, find, renamed, type_acts},
};
use crate::target::TargetError;

/// Brings the types of a table to what they are on the master now; each is here before what uses it.
pub(super) async fn alter_types(
    place: Place<'_>,
    blame: &Blame,
    before: &[TypeDefinition],
    after: &[TypeDefinition],
) -> Result<(), Failure> {
    for names in renamed(before, after) {
        let new = here(place, blame, names.is).await?;
        let old = match names.was {
            Some(was) if new.is_none() => here(place, blame, was).await?,
            _ => None,
        };
        for (schema, name, act) in type_acts(&names, old.as_ref(), new.as_ref()) {
            let sql = act.sql(&schema, &name);
            match attempted(place.target, place.client, &sql).await? {
                None => tracing::info!("{sql}"),
                Some(refused) if act.may_fail() => {
                    tracing::warn!(why = refused.words, "not done here: {sql}");
                }
                Some(refused) => return Err(blame.refused(&sql, &refused)),
            }
        }
    }
    Ok(())
}

async fn here(
    place: Place<'_>,
    blame: &Blame,
    of: &TypeDefinition,
) -> Result<Option<FoundType>, TargetError> {
    find(place.client, &of.schema, &of.name).await.map_err(|error| blame.lookup(&error))
}
