use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::attempt,
    board::Board,
    context::{Context, Ended},
    error::{Fate, RunError},
    report::report,
    session,
    too_large::TooLarge,
};
use crate::{
    append::Patience,
    explain,
    settings::{OnLostSlot, Settings},
    source::Refusal,
};

/// So often the same doubtful failure is met before it counts as final.
const DOUBTS: u32 = 5;
/// After an attempt that lasted this long the pauses begin anew.
const STEADY: Duration = Duration::from_secs(5);
/// After one that lasted this long so do the doubts.
const SOLID: Duration = Duration::from_secs(60);
/// How long the last report before the end may take.
const LAST_WORD: Duration = Duration::from_secs(3);
/// How often a failure that stays the same is said again.
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// Captures until `stop`, over broken connections, restarts of master and relay, and whatever else
/// passes by itself. Returns early only for what needs the operator.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let relays = session::relays(&settings)?;
    let board = Board::new();
    let fallback = relays.first().cloned();
    let ending = CancellationToken::new();
    let reporter = report(board.clone(), settings.slot.clone(), fallback, ending.clone());
    let reporter = tokio::spawn(reporter);
    let context = Context { settings: &settings, relays: &relays, board: &board, stop: &stop };
    let result = keep_going(&context).await;
    match &result {
        Ok(()) => reporter.abort(),
        Err(error) => {
            board.state(error.state(), Some(explain::chain(error)));
            ending.cancel();
            let _ = timeout(LAST_WORD, reporter).await;
        }
    }
    result
}

async fn keep_going(context: &Context<'_>) -> Result<(), RunError> {
    let within = context.settings.start_within;
    let began = Instant::now();
    let mut patience = Patience::default();
    let mut started = false;
    let mut doubts = 0;
    let mut said = Said::default();
    loop {
        let attempted = Instant::now();
        let error = match attempt(context).await {
            Ok(Ended::Stopped) => return Ok(()),
            Ok(Ended::Again) => {
                started = true;
                continue;
            }
            Err(error) => error,
        };
        started |= context.board.now().relay.is_some();
        if attempted.elapsed() >= STEADY {
            patience.reset();
        }
        if attempted.elapsed() >= SOLID {
            doubts = 0;
        }
        let fate = fate(context.settings, &error);
        doubts += u32::from(fate == Fate::Doubtful);
        match fate {
            Fate::Stop if error.refusal() == Some(&Refusal::ValueTooLarge) => {
                context.board.state(error.state(), Some(explain::chain(&error)));
                let found = tokio::select! {
                    found = TooLarge::find(context.settings, error.position()) => found,
                    () = context.stop.cancelled() => return Ok(()),
                };
                return Err(RunError::TooLarge { found, source: Box::new(error) });
            }
            Fate::Stop => return Err(error),
            Fate::Doubtful if doubts >= DOUBTS => {
                return Err(RunError::GivenUp { times: doubts, source: Box::new(error) });
            }
            _ if !started && began.elapsed() >= within => {
                return Err(RunError::NotInTime { within, source: Box::new(error) });
            }
            _ if matches!(error, RunError::Moved { .. }) => tracing::warn!("{error}"),
            _ => said.say(explain::chain(&error)),
        }
        context.board.state(wire::CaptureState::Starting, Some(explain::chain(&error)));
        tokio::select! {
            () = sleep(patience.pause()) => {}
            () = context.stop.cancelled() => return Ok(()),
        }
    }
}

/// A slot that was lost on the way is met again by the next attempt, which may begin anew.
fn fate(settings: &Settings, error: &RunError) -> Fate {
    let lost = matches!(
        error.refusal(),
        Some(Refusal::SlotMissing | Refusal::SlotLost | Refusal::WalMissing)
    );
    match settings.on_lost_slot {
        OnLostSlot::Resnapshot if lost => Fate::Doubtful,
        _ => error.fate(),
    }
}

/// Says each failure once, and one that stays now and then.
#[derive(Debug, Default)]
struct Said {
    last: Option<(String, Instant)>,
}

impl Said {
    fn say(&mut self, text: String) {
        let known = self.last.as_ref();
        if known.is_none_or(|(last, at)| *last != text || at.elapsed() >= REMIND_EVERY) {
            tracing::warn!("{text}; trying again");
            self.last = Some((text, Instant::now()));
        }
    }
}
