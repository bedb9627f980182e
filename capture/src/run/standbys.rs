use super::error::RunError;
use crate::{begin::SlotFacts, settings::Settings, walsender::Walsender};

/// Does to a slot that is there what `--failover` does to a new one.
pub(super) async fn promise_to_standbys(
    settings: &Settings,
    walsender: &mut Walsender,
    slot: &SlotFacts,
) -> Result<(), RunError> {
    if !settings.failover || slot.failover == Some(true) {
        return Ok(());
    }
    let name = &settings.slot;
    if !walsender.version().has_failover() {
        tracing::warn!(
            "standbys do not get the slot '{name}' (--failover): that needs PostgreSQL 17 or later"
        );
    } else if slot.active_pid.is_some() {
        tracing::warn!(
            "the slot '{name}' is in use: standbys get it (--failover) once capture is started again"
        );
    } else {
        walsender.set_failover(name).await?;
        tracing::info!("standbys get the slot '{name}' from now on");
    }
    Ok(())
}
