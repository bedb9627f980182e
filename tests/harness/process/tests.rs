use std::time::Duration;

use super::{Process, ProcessBuilder};
use crate::test::{eventually, test};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> ProcessBuilder {
    ProcessBuilder::new("shell", "/bin/sh").args(["-c", script])
}

#[test]
fn output_and_exit_code_are_kept() {
    test(async {
        let done = shell("echo out; echo err >&2; exit 3").run(SOON).await?;
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (3, "out\n", "err\n"));
        let done = shell("kill -TERM $$").run(SOON).await?;
        assert_eq!(done.code, 128 + libc::SIGTERM);
        assert!(shell("sleep 60").run(Duration::from_millis(100)).await.is_err());
        Ok(())
    });
}

#[test]
fn surroundings_decide_nothing_and_settings_arrive() {
    test(async {
        let script = "echo \"$TAILWATER_SEED$PGHOST$PGPORT|$TAILWATER_TOKEN|$NO_PROXY\"";
        let done = shell(script).env("TAILWATER_TOKEN", "secret").run(SOON).await?;
        assert_eq!(done.stdout, "|secret|127.0.0.1,localhost\n");
        Ok(())
    });
}

#[test]
fn killed_started_again_and_stopped() {
    test(async {
        let mut process =
            shell("trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done").spawn()?;
        let ups = |process: &Process, count: usize| process.stdout().lines().count() == count;
        eventually("it is up", SOON, async || Ok(ups(&process, 1))).await?;
        let first = process.pid();
        assert!(process.memory().resident > 0);

        process.kill()?;
        assert!(!process.is_running()? && process.pid().is_none());
        assert_eq!(process.memory().resident, 0);
        assert!(process.memory().peak > 0, "the peak outlives the process");

        process.start()?;
        assert!(process.start().is_err(), "twice at once");
        eventually("it is up again", SOON, async || Ok(ups(&process, 2))).await?;
        assert_ne!(process.pid(), first);
        assert_eq!(process.stop().await?.code, 0);
        Ok(())
    });
}

#[test]
fn paused_and_resumed() {
    test(async {
        let process = shell("while :; do echo tick; sleep 0.02; done").spawn()?;
        eventually("it ticks", SOON, async || Ok(process.stdout().lines().count() > 2)).await?;
        process.pause()?;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let held = process.stdout().len();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(process.stdout().len(), held);
        process.resume()?;
        eventually("it ticks again", SOON, async || Ok(process.stdout().len() > held)).await
    });
}
