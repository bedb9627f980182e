use super::{
    super::{
        create::{attempt, run},
        quote::qualified,
    },
    Place,
    count::{count, only},
    record,
    shadow::drop_shadows,
};
use crate::target::{LoadRecord, TargetError, strangers};

/// Removes what an unfinished load left, in one transaction, once nobody goes on with it any more.
pub(in super::super) async fn discard(place: Place<'_>) -> Result<(), TargetError> {
    let Place { target, client, .. } = place;
    let Some(unfinished) = &record::take_over(place).await? else { return Ok(()) };
    run(target, client, "begin a transaction", "BEGIN").await?;
    empty_kept(place, unfinished).await?;
    drop_shadows(place, &unfinished.plan).await?;
    for table in unfinished.plan.made.iter().rev() {
        let name = qualified(&table.schema, &table.name);
        let doing = format!("remove the half loaded table {name}");
        run(target, client, &doing, &format!("DROP TABLE IF EXISTS {name}")).await?;
    }
    for of in unfinished.plan.types.iter().rev() {
        let name = qualified(&of.schema, &of.name);
        // Somebody's own table may use it by now; then the next load finds it there.
        if let Some(why) = attempt(target, client, &format!("DROP TYPE IF EXISTS {name}")).await? {
            tracing::info!(type_name = %name, why, "not removed");
        }
    }
    record::remove(place).await?;
    run(target, client, "commit", "COMMIT").await
}

/// All in one statement, which foreign keys among them permit.
async fn empty_kept(place: Place<'_>, unfinished: &LoadRecord) -> Result<(), TargetError> {
    let mut names = Vec::new();
    for kept in &unfinished.plan.kept {
        let ours = unfinished.rows_in(kept);
        if ours == 0 {
            continue;
        }
        let rows = count(place, &kept.table).await?;
        let advice = format!(
            "run TRUNCATE {} if they may go, or take another database; then pull again",
            qualified(&kept.table.schema, &kept.table.name)
        );
        if let Some(error) = strangers(place.target, kept, (ours, rows), advice) {
            return Err(error);
        }
        names.push(only(place, &kept.table).await?);
    }
    if names.is_empty() {
        return Ok(());
    }
    let sql = format!("TRUNCATE {}", names.join(", "));
    run(place.target, place.client, "remove the half loaded rows", &sql).await
}
