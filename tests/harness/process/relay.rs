//! A relay, and the questions a test asks it.

use std::{
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    binary::binary,
    running::{Process, ProcessBuilder},
};
use wire::Lsn;

use crate::{http, lag::Lag, port::free_port, scratch::Scratch, test::eventually};

const READY_LIMIT: Duration = Duration::from_secs(30);

/// A relay that keeps its port and its data over restarts.
#[derive(Debug)]
pub struct RelayProcess {
    process: Process,
    port: u16,
    data_dir: PathBuf,
    token: Option<String>,
    _folder: Option<Scratch>,
}

/// Settings of a relay to be started.
#[derive(Debug, Default, Clone)]
pub struct RelayBuilder {
    data_dir: Option<PathBuf>,
    upstream: Option<String>,
    token: Option<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl RelayBuilder {
    /// Data to go on with; otherwise an empty folder that goes with the relay.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Fed by other relays instead of a capture.
    #[must_use]
    pub fn upstream(mut self, urls: &str) -> Self {
        self.upstream = Some(urls.to_owned());
        self
    }

    /// The token this harness shows when it asks for the lag.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the relay and waits until it is ready.
    pub async fn start(self) -> Result<RelayProcess> {
        let mut relay = self.spawn()?;
        relay.wait_ready().await?;
        Ok(relay)
    }

    /// Starts the relay without waiting.
    pub fn spawn(self) -> Result<RelayProcess> {
        let folder = if self.data_dir.is_none() { Some(Scratch::new("relay")?) } else { None };
        let data_dir = self.data_dir.or_else(|| Some(folder.as_ref()?.path().join("data")));
        let data_dir = data_dir.context("no data folder")?;
        let port = free_port()?;
        let mut command =
            ProcessBuilder::new(&format!("relay on port {port}"), binary("tailwater-relay")?)
                .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
                .arg("--data-dir")
                .arg(&data_dir)
                .args(&self.args);
        if let Some(urls) = &self.upstream {
            command = command.args(["--upstream", urls]);
        }
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        let process = command.spawn()?;
        Ok(RelayProcess { process, port, data_dir, token: self.token, _folder: folder })
    }
}

impl RelayProcess {
    pub fn builder() -> RelayBuilder {
        RelayBuilder::default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Waits until `/readyz` says so; fails at once when the process ends.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let url = format!("{}/readyz", self.url());
        let process = &mut self.process;
        eventually("the relay is ready", READY_LIMIT, async || {
            if !process.is_running()? {
                bail!("it ended: {}", process.stderr().trim());
            }
            Ok(http::client()?
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success()))
        })
        .await
    }

    /// `kill -9`, start, wait until it is ready.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.start()?;
        self.wait_ready().await
    }

    /// A request to this relay, with the token if there is one. `path` begins with a slash.
    pub fn get(&self, path: &str) -> Result<http::RequestBuilder> {
        let request = http::client()?.get(format!("{}{path}", self.url()));
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    /// The lag table of `source`.
    pub async fn lag(&self, source: &str) -> Result<Lag> {
        let answer = self.get(&format!("/v1/{source}/lag"))?.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("the relay answers the question for lag with {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("not the lag JSON of DESIGN: {text}"))
    }

    /// The newest position that is durable at this relay.
    pub async fn head(&self, source: &str) -> Result<Lsn> {
        Ok(self.lag(source).await?.relay.head)
    }

    /// Waits until the relay's head is at `lsn` or beyond. Errors on the way count as "not yet".
    pub async fn wait_head(&self, source: &str, lsn: Lsn, limit: Duration) -> Result<()> {
        let what = format!("the relay's head is at {lsn}");
        eventually(&what, limit, async || Ok(self.head(source).await.is_ok_and(|head| head >= lsn)))
            .await
    }

    /// Waits until the terminal `name` has reported `lsn` or beyond.
    pub async fn wait_applied(
        &self,
        source: &str,
        name: &str,
        lsn: Lsn,
        limit: Duration,
    ) -> Result<()> {
        let what = format!("terminal {name} has applied {lsn}");
        eventually(&what, limit, async || {
            let Ok(lag) = self.lag(source).await else { return Ok(false) };
            Ok(lag.terminal(name).is_some_and(|terminal| terminal.applied >= Some(lsn)))
        })
        .await
    }
}

impl Deref for RelayProcess {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for RelayProcess {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
