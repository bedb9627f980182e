use tokio_postgres::Client;
use wire::{Definitions, TypeKind};

use super::{
    super::{connect::error_of, create::run},
    types::{FoundKind, FoundType, Names, find, type_acts},
};
use crate::target::TargetError;

/// Adds, outside of a transaction, labels that enums lack which are here. Where one of their own is not
/// among those to come, it may be about to be renamed, and nothing is added.
pub(in super::super) async fn add_labels(
    target: &str,
    client: &Client,
    definitions: &Definitions,
) -> Result<(), TargetError> {
    for of in &definitions.types {
        let TypeKind::Enum { labels } = &of.kind else { continue };
        let found = find(client, &of.schema, &of.name).await;
        let found = found.map_err(|error| error_of(target, "look up the types", &error))?;
        let Some(FoundType { kind: FoundKind::Enum { labels: here }, .. }) = &found else {
            continue;
        };
        if !here.iter().all(|label| labels.contains(label)) {
            continue;
        }
        for (schema, name, act) in type_acts(&Names { was: None, is: of }, None, found.as_ref()) {
            let sql = act.sql(&schema, &name);
            run(target, client, "add a label to an enum", &sql).await?;
            tracing::info!("{sql}");
        }
    }
    Ok(())
}
