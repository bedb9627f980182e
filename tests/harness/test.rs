//! The frame of an integration test: a runtime, a time limit, and evidence when it fails.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{evidence, seed};

/// No test may take longer, so that a hang is a failure with evidence and not a CI time-out.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs one test's body on a runtime of its own, for at most three minutes. When it fails, what
/// the processes it started had to say is printed, and the seed.
///
/// # Panics
/// When the body fails, so that the test does.
pub fn test(body: impl Future<Output = Result<()>>) {
    test_within(LIMIT, body);
}

/// [`test()`] with another time limit.
///
/// # Panics
/// When the body fails, so that the test does.
pub fn test_within(limit: Duration, body: impl Future<Output = Result<()>>) {
    evidence::clear();
    seed::clear();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(limit, body)));
    if !matches!(outcome, Ok(Ok(()))) {
        evidence::show();
        if let Some(hint) = seed::replay_hint() {
            eprintln!("──── {hint}");
        }
    }
    evidence::clear();
    match outcome {
        Ok(Ok(())) => {}
        #[expect(clippy::panic, reason = "this is how a test fails")]
        Ok(Err(error)) => panic!("{error:#}"),
        Err(panic) => resume_unwind(panic),
    }
}

fn run(limit: Duration, body: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::time::timeout(limit, body)
            .await
            .unwrap_or_else(|_| bail!("not done after {} s", limit.as_secs()))
    })
}

/// Waits until `condition` holds, looking every 20 ms, for at most `limit`; the failure says what
/// was waited for.
pub async fn eventually<F>(what: &str, limit: Duration, mut condition: F) -> Result<()>
where
    F: AsyncFnMut() -> Result<bool>,
{
    let poll = async {
        while !condition().await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    tokio::time::timeout(limit, poll)
        .await
        .unwrap_or_else(|_| bail!("in vain for {:.1} s", limit.as_secs_f32()))
        .with_context(|| format!("waiting until {what}"))
}
