use super::{
    context::{Context, Ended, Master},
    error::RunError,
    first, resume, session,
    slot_watch::look_at_slot,
};
use crate::{
    begin::{BeginError, Violation, check_slot},
    settings::Settings,
    source::answer,
    walsender::Walsender,
};

/// Connects, and does what is to be done: the first copy, or following the stream.
pub(super) async fn attempt(context: &Context<'_>) -> Result<Ended, RunError> {
    let Context { settings, stop, board, .. } = context;
    let master = tokio::select! {
        master = connect(settings) => master?,
        () = stop.cancelled() => return Ok(Ended::Stopped),
    };
    // Also where no attempt gets further than this: while no relay answers, the slot loses its WAL.
    let (_, slot) = look_at_slot(&master.sql, &settings.slot, board).await?;
    match slot {
        None => first::begin(context, master).await,
        Some(slot) => match check_slot(&slot, &settings.slot, &master.facts.database) {
            Ok(()) => resume::resume(context, master, &slot).await,
            Err(Violation::SlotLost { .. }) => first::begin(context, master).await,
            Err(other) => Err(BeginError::from(other).into()),
        },
    }
}

async fn connect(settings: &Settings) -> Result<Master, RunError> {
    let sql = settings.source.connect_sql().await?;
    // Before its timeline is asked for: a standby could be promoted afterwards, and commits of the next timeline
    // be taken for ones of this.
    let recovers = "SELECT pg_catalog.pg_is_in_recovery()";
    if answer(sql.query_one(recovers, &[])).await?.get(0) {
        return Err(RunError::Recovering);
    }
    let mut walsender = Walsender::connect(&settings.source).await?;
    let identity = walsender.identify_system().await?;
    let facts = session::facts(&sql, &identity, &settings.slot).await?;
    Ok(Master { sql, walsender, facts })
}
