//! `make demo`: a master, a relay, a capture and two terminals in a temporary folder; load; three
//! kills; and the proof that nothing was lost.

mod figures;
mod first_copy;
mod load;
mod proof;
mod screen;
mod show;
mod sparkline;
mod stage;
mod watch;

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    first_copy::await_first_copy, load::run_load, proof::prove, screen::Screen, stage::Stage,
    watch::Watch,
};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                outcome = demo() => outcome.map(|()| ExitCode::SUCCESS),
                _ = tokio::signal::ctrl_c() => Ok(interrupted()),
            }
        })
    });
    outcome.unwrap_or_else(|error| {
        harness::show_outputs();
        eprintln!("\nThe demo did not work: {error:#}\nNothing of it is left running.");
        ExitCode::FAILURE
    })
}

fn interrupted() -> ExitCode {
    eprintln!("\nStopped and removed.");
    // As shells say it: 128 and the signal's number.
    ExitCode::from(130)
}

async fn demo() -> Result<()> {
    let mut screen = Screen::new();
    screen.title("Tailwater: changes of one PostgreSQL, at databases that come and go");
    let mut stage = Stage::set(&mut screen).await?;
    let mut watch = Watch::new(&stage).await?;
    await_first_copy(&mut stage, &mut screen, &mut watch).await?;
    let load = run_load(&mut stage, &mut screen, &mut watch).await?;
    prove(&stage, &mut screen, &load).await?;
    if std::env::var_os("STAY").is_some_and(|stay| !stay.is_empty()) {
        stage.stay(&mut screen).await?;
    }
    stage.end().await;
    screen.say("Everything is stopped and removed.");
    screen.next_steps();
    Ok(())
}
