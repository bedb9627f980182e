//! The program under test.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// The program with the arguments, and without any setting of ours from the environment.
pub(crate) fn relay(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater-relay"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TAILWATER_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    // A proxy of the machine's has nothing to do with loopback.
    command.env("NO_PROXY", "127.0.0.1").args(args).stdin(Stdio::null());
    command
}

/// What it said, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("ended by a signal");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

pub(crate) fn run(args: &[&str]) -> Said {
    finish(relay(args))
}

pub(crate) fn finish(mut command: Command) -> Said {
    command.output().unwrap().into()
}

/// A relay that serves, on a port of the system's choice; killed when dropped.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    pub(crate) url: String,
    lines: mpsc::Receiver<String>,
}

impl Serving {
    pub(crate) fn start(data_dir: &Path, more: &[&str]) -> Self {
        let data_dir = data_dir.to_str().unwrap();
        let mut args = vec![
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--data-dir",
            data_dir,
        ];
        args.extend(more);
        let mut child = relay(&args).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut serving = Self { child, url: String::new(), lines };
        let line = serving.line_with("serving");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        serving.url = format!("http://{}", line["address"].as_str().unwrap());
        serving
    }

    /// The next log line with this text.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(Duration::from_secs(20)) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => before.push(line),
                Err(_) => panic!("no line with '{text}'; there was: {before:#?}"),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code.
    pub(crate) fn ended(&mut self) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().expect("ended by a signal");
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
