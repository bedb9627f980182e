use std::time::Duration;

use tokio::time::{Instant, sleep};
use wire::{CaptureState, Lsn, Request, RequestAnswer, SourceName};

use super::{
    args::SnapshotArgs,
    config::Config,
    duration,
    failure::Failure,
    settings::{given, nameless, relays, token},
    signals::stop_signal,
};
use crate::{
    append::{Relay, RelayError, Remedy},
    explain,
    run::RunError,
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A capture that ended may be started again so soon.
const RESTART: Duration = Duration::from_secs(5);

/// Asks for a snapshot; with `--wait`, until terminals can take it.
pub(super) async fn run(args: SnapshotArgs) -> Result<(), Failure> {
    let mut config = Config::read(args.config.as_deref())?;
    let name = given(args.name, config.name.take()).ok_or_else(nameless)?;
    let name = SourceName::new(&name).map_err(|error| Failure::usage(error.to_string()))?;
    let addresses = relays(args.relay, &mut config)?;
    let token = token(args.token_file, &mut config)?;
    let within =
        args.wait.map(|text| duration::parse(&text).map_err(Failure::usage)).transpose()?;
    let mut last = None;
    for address in addresses {
        let relay = Relay::new(address, name.clone(), token.clone()).map_err(RunError::from)?;
        match relay.want(Request::Snapshot).await {
            Ok(answer) => return follow(&relay, &name, &answer, within).await,
            Err(error) if error.remedy() == Remedy::Again => last = Some(error),
            Err(error) => return Err(RunError::from(error).into()),
        }
    }
    Err(last
        .map_or_else(|| Failure::usage("no relay is named"), |error| RunError::from(error).into()))
}

async fn follow(
    relay: &Relay,
    name: &SourceName,
    answer: &RequestAnswer,
    within: Option<Duration>,
) -> Result<(), Failure> {
    if let Some(state) = idle(answer.capture) {
        return Err(absent(name, &state));
    }
    let Some(within) = within else {
        println!("asked for a snapshot of {name}: capture takes it beside the stream");
        return Ok(());
    };
    println!(
        "asked for a snapshot of {name}: capture takes it beside the stream; waiting until terminals can take it, at most {} s",
        within.as_secs_f32()
    );
    let stop = stop_signal()?;
    tokio::select! {
        done = wait(relay, name, answer, within) => done,
        () = stop.cancelled() => Err(Failure {
            code: 1,
            text: format!(
                "stopped by a signal, and there is no new snapshot of {name} yet; the request stays noted at the relay: capture takes it all the same"
            ),
        }),
    }
}

async fn wait(
    relay: &Relay,
    name: &SourceName,
    answer: &RequestAnswer,
    within: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + within;
    let mut idle_since = None;
    loop {
        let trouble = match look(relay).await {
            Ok((newest, _)) if newest >= Some(answer.head) && newest > answer.newest => {
                let lsn = newest.unwrap_or_default();
                println!("there is a snapshot of {name} at {lsn}: new terminals start from it");
                return Ok(());
            }
            Ok((_, state)) => {
                match state.and_then(idle) {
                    None => idle_since = None,
                    Some(state) => {
                        let since = *idle_since.get_or_insert_with(Instant::now);
                        if since.elapsed() >= RESTART {
                            return Err(absent(name, &state));
                        }
                    }
                }
                None
            }
            Err(error) if error.remedy() == Remedy::Again => Some(explain::chain(&error)),
            Err(error) => return Err(RunError::from(error).into()),
        };
        if Instant::now() >= deadline {
            let why = trouble.unwrap_or_else(|| "capture's log says how far it is".to_owned());
            let text = format!(
                "no new snapshot of {name} within {} s: {why}; the request stays noted",
                within.as_secs_f32()
            );
            return Err(Failure { code: 4, text });
        }
        sleep(LOOK_EVERY).await;
    }
}

fn absent(name: &SourceName, state: &str) -> Failure {
    let text = format!(
        "the relay has noted the request, but no capture of '{name}' is there to take a snapshot (its state is {state}): \
         start it, or see `tailwater-relay status`"
    );
    Failure { code: 4, text }
}

/// The newest snapshot, and what capture is doing.
async fn look(relay: &Relay) -> Result<(Option<Lsn>, Option<CaptureState>), RelayError> {
    let (list, state, _) = relay.snapshots().await?;
    Ok((list.snapshots.iter().map(|snapshot| snapshot.lsn).max(), state))
}

/// What keeps a capture from ever looking at the request.
fn idle(state: CaptureState) -> Option<String> {
    let works = matches!(
        state,
        CaptureState::Starting
            | CaptureState::WaitingForSlot
            | CaptureState::Copying
            | CaptureState::Streaming
            | CaptureState::Unproved
            | CaptureState::PublicationChanged
    );
    (!works).then(|| serde_json::to_value(state).ok()?.as_str().map(str::to_owned)).flatten()
}
