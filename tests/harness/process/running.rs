//! A process, its output and its end.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::memory::Memory;
use crate::{
    evidence,
    scratch::temporary_files,
    spawn::{DeathSignal, send_signal, spawn},
};

/// A command to be started, perhaps several times.
#[derive(Debug, Clone)]
pub struct ProcessBuilder {
    label: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// A process under our control; killed when dropped.
#[derive(Debug)]
pub struct Process {
    builder: ProcessBuilder,
    stdout: PathBuf,
    stderr: PathBuf,
    child: Option<Child>,
    peak: u64,
}

/// What a process left behind.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; 128 + the signal's number if a signal ended it, as shells say it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The most resident memory seen, in bytes; looked at every 10 ms.
    pub peak: u64,
}

impl ProcessBuilder {
    /// `label` names it where its output is shown.
    pub fn new(label: &str, program: impl Into<PathBuf>) -> Self {
        let (program, label) = (program.into(), label.to_owned());
        Self { label, program, args: Vec::new(), env: Vec::new() }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Starts it in the background.
    pub fn spawn(self) -> Result<Process> {
        let (stdout, _) = evidence::output_file(&format!("{}, standard output", self.label))?;
        let (stderr, _) = evidence::output_file(&format!("{}, standard error", self.label))?;
        let mut process = Process { builder: self, stdout, stderr, child: None, peak: 0 };
        process.start()?;
        Ok(process)
    }

    /// Starts it and waits for its end, for at most `limit`.
    pub async fn run(self, limit: Duration) -> Result<Finished> {
        self.spawn()?.wait(limit).await
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(&self.program);
        // The surroundings of whoever runs the tests decide nothing.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["TAILWATER_", "PG", "RUST_LOG"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        let proxies_off =
            [("NO_PROXY", "127.0.0.1,localhost"), ("no_proxy", "127.0.0.1,localhost")];
        command
            .envs(proxies_off)
            // What a killed process leaves goes with everything else.
            .env("TMPDIR", temporary_files()?)
            .envs(self.env.iter().cloned())
            .args(&self.args)
            .stdin(Stdio::null());
        Ok(command)
    }
}

impl Process {
    /// Starts it with the same arguments; its output goes on in the same files.
    pub fn start(&mut self) -> Result<()> {
        if self.is_running()? {
            bail!("{} runs already", self.builder.label);
        }
        let open = |path| File::options().append(true).open(path);
        let mut command = self.builder.command()?;
        command.stdout(open(&self.stdout)?).stderr(open(&self.stderr)?);
        let child = spawn(command, DeathSignal::Kill);
        self.child = Some(
            child.with_context(|| format!("cannot start {}", self.builder.program.display()))?,
        );
        Ok(())
    }

    /// `kill -9`, and waits until it is gone. No harm if it ended before.
    pub fn kill(&mut self) -> Result<()> {
        self.memory();
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM); [`wait`](Self::wait) waits for that.
    pub fn terminate(&self) -> Result<()> {
        self.signal(libc::SIGTERM)
    }

    /// Holds it where it is (SIGSTOP): a machine that hangs. [`resume`](Self::resume) lets it go on.
    pub fn pause(&self) -> Result<()> {
        self.signal(libc::SIGSTOP)
    }

    pub fn resume(&self) -> Result<()> {
        self.signal(libc::SIGCONT)
    }

    fn signal(&self, signal: libc::c_int) -> Result<()> {
        let child =
            self.child.as_ref().with_context(|| format!("{} does not run", self.builder.label))?;
        send_signal(child, signal).with_context(|| format!("cannot signal {}", self.builder.label))
    }

    /// Waits for its end, for at most `limit`.
    pub async fn wait(&mut self, limit: Duration) -> Result<Finished> {
        let deadline = Instant::now() + limit;
        loop {
            self.memory();
            let child = self
                .child
                .as_mut()
                .with_context(|| format!("{} was not started", self.builder.label))?;
            if let Some(status) = child.try_wait()? {
                self.child = None;
                let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(-1);
                return Ok(Finished {
                    code,
                    stdout: self.stdout(),
                    stderr: self.stderr(),
                    peak: self.peak,
                });
            }
            if Instant::now() > deadline {
                bail!("{} has not ended after {:.1} s", self.builder.label, limit.as_secs_f32());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGTERM, then the end, which has to come within ten seconds.
    pub async fn stop(&mut self) -> Result<Finished> {
        self.terminate()?;
        self.wait(Duration::from_secs(10)).await
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(match self.child.as_mut() {
            Some(child) => child.try_wait()?.is_none(),
            None => false,
        })
    }

    /// The process id, while it is not waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// All it has printed to standard output, in all its runs.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// All it has printed to standard error, in all its runs.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Its memory; the peak is that of all its runs. Zero resident when it does not run.
    pub fn memory(&mut self) -> Memory {
        let now = self.pid().and_then(Memory::of).unwrap_or_default();
        self.peak = self.peak.max(now.peak);
        Memory { resident: now.resident, peak: self.peak }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn read(path: &PathBuf) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
