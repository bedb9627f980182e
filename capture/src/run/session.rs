use std::sync::Arc;

use wire::{Facts, SessionAnswer, SessionRequest, Succession};

use crate::{
    append::{Relay, RelayError, Remedy},
    explain,
    settings::Settings,
    source::{SqlError, SqlSession, answer},
    walsender::Identity,
};

/// A client for each relay, in the order they are tried.
pub(super) fn relays(settings: &Settings) -> Result<Vec<Arc<Relay>>, RelayError> {
    let client = |address: &crate::append::RelayAddress| {
        let relay = Relay::new(address.clone(), settings.name.clone(), settings.token.clone())?;
        Ok(Arc::new(relay))
    };
    settings.relays.iter().map(client).collect()
}

/// What a session is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// To go on with what there is.
    GoOn,
    /// To begin a log where there is none.
    Begin,
    /// To begin a log that takes the place of the one there is.
    Succeed(Succession),
}

/// Opens a session at the first relay that can be reached.
pub(crate) async fn open(
    relays: &[Arc<Relay>],
    facts: &Facts,
    opening: Opening,
) -> Result<(Arc<Relay>, SessionAnswer), RelayError> {
    let begin = opening != Opening::GoOn;
    let succeed = match opening {
        Opening::Succeed(succession) => Some(succession),
        Opening::GoOn | Opening::Begin => None,
    };
    let succeeds = succeed.is_some();
    let request = SessionRequest { facts: facts.clone(), begin, succeed };
    let mut last = None;
    for relay in relays {
        match relay.session(&request).await {
            // Who does not know of it goes on with the log there is.
            Ok(answer) if succeeds && answer.head.is_some() => {
                return Err(knows_no_succession(relay));
            }
            Ok(answer) => return Ok((relay.clone(), answer)),
            Err(error) if error.remedy() == Remedy::Again => {
                if relays.len() > 1 {
                    tracing::warn!("{}; trying the next relay", explain::chain(&error));
                }
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    // There is at least one relay, see the command line.
    Err(last.unwrap_or_else(unreachable_relay))
}

fn knows_no_succession(relay: &Relay) -> RelayError {
    let detail = "it does not let a history take the place of the one it has, for it is of an earlier version: update it, then try \
                  again. Slot and history are as they were";
    let problem = Box::new(wire::Problem::new(wire::ProblemKind::BadRequest, detail));
    RelayError::Refused { url: relay.address().to_string(), doing: "the session", problem }
}

fn unreachable_relay() -> RelayError {
    let problem = wire::Problem::new(wire::ProblemKind::Unavailable, "no relay is configured");
    RelayError::Refused { url: String::new(), doing: "the session", problem: Box::new(problem) }
}

/// What the relay keeps of the master beside the log.
pub(crate) async fn facts(
    sql: &SqlSession,
    identity: &Identity,
    slot: &str,
) -> Result<Facts, SqlError> {
    let query = "SELECT oid, datname::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
    let row = answer(sql.query_one(query, &[])).await?;
    Ok(Facts {
        system_identifier: identity.system_identifier.to_string(),
        database_oid: row.get(0),
        database: row.get(1),
        timeline: identity.timeline,
        slot: slot.to_owned(),
    })
}
