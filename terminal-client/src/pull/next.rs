//! What a pull would do if it ran at this moment, by what target and relay say.

use serde::Serialize;
use wire::{Behind, Lsn};

use super::{begin::choose, error::PullError, order::Order, settings::Settings};
use crate::{
    fetch::{BehindQuestion, FetchError, Refusal},
    target::{LoadRecord, Stored, StoredState, snapshot_id},
};

/// What the next pull does first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// The first load.
    Load,
    /// Goes on with a load that was interrupted.
    Resume,
    /// Loads a snapshot over what is there.
    Reload,
    /// Pulls what lies behind the position.
    Pull,
    /// Nothing: it is at the head.
    Nothing,
    /// Waits for what the relay does not have yet.
    Wait,
    /// Stops.
    Stop,
    /// That depends on a relay that did not tell.
    Unknown,
}

/// What the next pull does, as far as it can be told before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NextRun {
    /// What it does.
    pub does: Does,
    /// Why, where that is not plain.
    pub why: Option<String>,
    /// The snapshot that it loads.
    pub snapshot: Option<Lsn>,
    /// Bytes to fetch, compressed, at least.
    pub fetch_bytes: Option<u64>,
    /// What lies behind the position.
    #[serde(skip)]
    pub behind: Option<Behind>,
}

/// What a pull with these settings would do to a target with this position and this unfinished load.
/// Changes nothing, reports nothing, waits for nothing but answers.
pub async fn next_run(
    settings: &Settings,
    stored: Option<&Stored>,
    unfinished: Option<&LoadRecord>,
) -> NextRun {
    let found = match stored.filter(|stored| stored.state == StoredState::Ready) {
        None => load(settings, Order::First, unfinished).await,
        Some(stored) => go_on(settings, stored, unfinished).await,
    };
    found.unwrap_or_else(|error| NextRun::failed(&error))
}

async fn go_on(
    settings: &Settings,
    stored: &Stored,
    unfinished: Option<&LoadRecord>,
) -> Result<NextRun, PullError> {
    settings.check_channels(stored)?;
    if let Some(reload) = unfinished.filter(|record| record.plan.reload.is_some()) {
        return load(settings, Order::Again(stored.clone()), Some(reload)).await;
    }
    let question = BehindQuestion {
        from: stored.position.clone(),
        channels: settings.channels.clone(),
        loaded: settings.channels.is_empty().then(|| stored.channel_set()),
    };
    match settings.relays.behind(&question).await.map_err(PullError::from) {
        Ok(behind) => Ok(NextRun {
            does: if behind.lag_bytes == 0 { Does::Nothing } else { Does::Pull },
            fetch_bytes: Some(behind.fetch_bytes),
            behind: Some(behind),
            ..NextRun::of(Does::Pull)
        }),
        Err(PullError::Fetch(error @ FetchError::Behind { .. })) => {
            Ok(NextRun { why: Some(error.to_string()), ..NextRun::of(Does::Nothing) })
        }
        Err(error) if error.is_expired() => {
            let next = load(settings, Order::Beyond(stored.clone()), unfinished).await?;
            Ok(next.because(&error))
        }
        Err(error) if error.is_succeeded() => {
            let next = load(settings, Order::Succeeding(stored.clone()), unfinished).await?;
            Ok(next.because(&error))
        }
        Err(error) => Err(error),
    }
}

async fn load(
    settings: &Settings,
    order: Order,
    unfinished: Option<&LoadRecord>,
) -> Result<NextRun, PullError> {
    let offer = settings.relays.snapshots(&settings.channels).await?;
    let (relay, source_name) = (settings.relays.in_use(), settings.source.clone());
    if order.ended().is_some_and(|own| !offer.succeeds.contains(&own)) {
        return Err(PullError::StillOld { relay, source_name });
    }
    if offer.snapshots.is_empty() {
        return Err(PullError::NotReady { relay, source_name });
    }
    let again = !matches!(order, Order::First);
    let unfinished = unfinished.filter(|record| record.plan.reload.is_some() == again);
    let snapshot = choose(offer.snapshots, unfinished);
    order.permits(settings, &snapshot, &offer.channels, &offer.succeeds)?;
    let resumed = unfinished.filter(|record| record.snapshot == snapshot_id(&snapshot));
    let tables = snapshot.tables.iter().enumerate();
    let objects = tables.flat_map(|(table, of)| {
        of.objects.iter().enumerate().map(move |(object, of)| (table, object, of.len))
    });
    let missing = objects.filter(|(table, object, _)| {
        resumed.is_none_or(|record| !record.point.has(*table, *object))
    });
    let does = match (resumed, again) {
        (Some(_), _) => Does::Resume,
        (None, true) => Does::Reload,
        (None, false) => Does::Load,
    };
    let why = (resumed.is_none() && unfinished.is_some()).then(|| {
        "the snapshot of the load that was interrupted is not offered any more: what it left is removed"
            .to_owned()
    });
    let fetch_bytes = Some(missing.map(|(_, _, len)| len).sum());
    Ok(NextRun { why, snapshot: Some(snapshot.lsn), fetch_bytes, ..NextRun::of(does) })
}

impl NextRun {
    fn of(does: Does) -> Self {
        Self { does, why: None, snapshot: None, fetch_bytes: None, behind: None }
    }

    fn because(self, error: &PullError) -> Self {
        Self { why: self.why.or_else(|| Some(error.to_string())), ..self }
    }

    fn failed(error: &PullError) -> Self {
        let does = match error {
            PullError::Fetch(FetchError::Unreachable { .. }) => Does::Unknown,
            // Its capture may be about to begin.
            PullError::Fetch(fetch) if fetch.refusal() == Some(Refusal::UnknownSource) => {
                Does::Wait
            }
            error if error.is_transient() => Does::Wait,
            _ => Does::Stop,
        };
        Self::of(does).because(error)
    }
}
