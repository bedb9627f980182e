use std::time::Duration;

use wire::{
    ChannelName, ChannelSet, Lag, Lineage, Lsn, Report, Request, RequestAnswer, Snapshot,
    SnapshotList, SourceList, SourceName, TerminalReport, headers,
};

use super::{
    check::check_snapshot,
    endpoint::Endpoint,
    error::FetchError,
    failure::Failure,
    pull::channel_list,
    relays::{Question, Relays},
};

impl Relays {
    /// The complete snapshots, newest first, with the tables of these channels (empty: all that the
    /// token allows).
    pub async fn snapshots(&self, channels: &[ChannelName]) -> Result<Offer, FetchError> {
        let question = Snapshots { channels: channels.to_vec() };
        Ok(self.ask(&question, self.settings().patience).await?.1)
    }

    /// Tells a relay of the terminal, its last word after its last commit. Tries each relay once.
    pub async fn report(&self, report: &TerminalReport) -> Result<(), FetchError> {
        self.ask(&Word(Report::Terminal(report.clone())), Duration::ZERO).await.map(drop)
    }

    /// Wants a snapshot from a position on of capture; one that is there or coming is the same.
    pub async fn want_snapshot(&self, from: Lsn) -> Result<RequestAnswer, FetchError> {
        Ok(self.ask(&WantSnapshot { from }, self.settings().patience).await?.1)
    }

    /// Where master, relay, capture and terminals are.
    pub async fn lag(&self) -> Result<Lag, FetchError> {
        Ok(self.ask(&LagQuestion, self.settings().patience).await?.1)
    }

    /// The newest durable position; none where the relay has no log of the source yet.
    pub async fn head(&self) -> Result<Option<Lsn>, FetchError> {
        Ok(self.lag().await?.relay.head)
    }

    /// The sources that the relay carries.
    pub async fn sources(&self) -> Result<Vec<SourceName>, FetchError> {
        Ok(self.ask(&Sources, self.settings().patience).await?.1.sources)
    }
}

/// What there is to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The snapshots, newest first.
    pub snapshots: Vec<Snapshot>,
    /// The channels whose tables they hold: those asked for, or all that the token allows.
    pub channels: ChannelSet,
    /// The lineages that theirs succeeds.
    pub succeeds: Vec<Lineage>,
}

/// Asks for the snapshots of some channels.
#[derive(Debug)]
pub(super) struct Snapshots {
    pub(super) channels: Vec<ChannelName>,
}

impl Question for Snapshots {
    type Answer = Offer;

    async fn ask(&self, endpoint: &Endpoint) -> Result<Offer, Failure> {
        let mut request = endpoint.get("snapshot");
        if !self.channels.is_empty() {
            request = request.query(&[("channels", channel_list(&self.channels))]);
        }
        let answer = endpoint.send("snapshot", request, Duration::ZERO).await?;
        let channels = match self.channels.as_slice() {
            [] => answer.required(headers::CHANNELS),
            asked => Ok(asked.iter().cloned().collect()),
        };
        let SnapshotList { snapshots, succeeds } =
            answer.json(endpoint.settings().json_bytes).await?;
        let wrong = snapshots.iter().try_for_each(check_snapshot).err();
        match wrong {
            Some(why) => Err(endpoint.malformed("snapshot", why)),
            None => Ok(Offer { snapshots, channels: channels?, succeeds }),
        }
    }
}

struct Word(Report);

impl Question for Word {
    type Answer = ();

    async fn ask(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        let request = endpoint.post("report").json(&self.0);
        let answer = endpoint.send("report", request, Duration::ZERO).await?.success().await?;
        if answer.content_type().ends_with("html") {
            return Err(answer.foreign().await);
        }
        Ok(())
    }
}

struct WantSnapshot {
    from: Lsn,
}

impl Question for WantSnapshot {
    type Answer = RequestAnswer;

    async fn ask(&self, endpoint: &Endpoint) -> Result<RequestAnswer, Failure> {
        let request = endpoint.post("requests").query(&[("from", self.from.to_string())]);
        let request = request.json(&Request::Snapshot);
        let answer = endpoint.send("request for a snapshot", request, Duration::ZERO).await?;
        answer.json(endpoint.settings().json_bytes).await
    }
}

struct LagQuestion;

impl Question for LagQuestion {
    type Answer = Lag;

    async fn ask(&self, endpoint: &Endpoint) -> Result<Lag, Failure> {
        let answer = endpoint.send("lag", endpoint.get("lag"), Duration::ZERO).await?;
        answer.json(endpoint.settings().json_bytes).await
    }
}

struct Sources;

impl Question for Sources {
    type Answer = SourceList;

    async fn ask(&self, endpoint: &Endpoint) -> Result<SourceList, Failure> {
        let request = endpoint.get_general("v1/sources");
        let answer = endpoint.send("sources", request, Duration::ZERO).await?;
        answer.json(endpoint.settings().json_bytes).await
    }
}
