use std::time::Duration;

use bytes::Bytes;
use wire::{
    ChannelHashes, ChannelName, ChannelSet, Lineage, Lsn, MANIFEST_TYPE, Manifest, SLICES_TYPE,
    Slice, headers,
};

use super::{
    answer::Answer,
    check::{check_manifest, check_slices},
    endpoint::Endpoint,
    error::FetchError,
    failure::{Failure, FailureKind},
    relays::{Question, Relays},
    report::{PullReport, with_report},
    standing::Standing,
};

/// A pull of what lies behind a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// The position.
    pub after: Lsn,
    /// The history that the position belongs to; none where none is followed yet.
    pub lineage: Option<Lineage>,
    /// The channels' running hashes **at `after`**, for the relay to compare; none where they are
    /// not known.
    pub hashes: Option<ChannelHashes>,
    /// The channels; empty for all that the token allows. `control` always comes with them.
    pub channels: Vec<ChannelName>,
    /// The channels that the target has, where none are named: the token must allow just these, or
    /// something would be passed over. None where that is all the same.
    pub loaded: Option<ChannelSet>,
    /// Bytes of slices, uncompressed. The protocol's own default is 16 MiB, its most 64 MiB.
    pub limit_bytes: u64,
    /// How long the relay waits for something new, whole seconds, at most 60.
    pub wait: Duration,
    /// What the terminal says of itself.
    pub report: PullReport,
}

/// What a pull gave.
#[derive(Clone, Debug)]
pub enum Pulled {
    /// Slices without a gap, their checksums found right. The first may begin before the position.
    Slices {
        /// The slices, at least one.
        slices: Vec<Slice>,
        /// Where they lead.
        standing: Standing,
    },
    /// Closed ranges, whose objects are to be fetched.
    Manifest {
        /// The ranges, at least one.
        manifest: Manifest,
        /// The relay that signed the URLs, by its place in the list.
        relay: usize,
        /// Where they lead.
        standing: Standing,
    },
    /// Nothing came within the wait.
    Nothing {
        /// `through` is the position asked for.
        standing: Standing,
    },
    /// No relay that answers has come as far as the position: wait.
    Behind {
        /// The newest position at the one that said so.
        head: Option<Lsn>,
    },
}

impl Relays {
    /// Pulls what lies behind a position, from the first relay that gives it. What is handed out is
    /// whole and in order: broken answers are asked for again.
    pub async fn pull(&self, request: &PullRequest) -> Result<Pulled, FetchError> {
        match self.ask(request, self.settings().patience).await {
            Ok((relay, found)) => Ok(found.pulled(relay)),
            Err(FetchError::Behind { head, .. }) => Ok(Pulled::Behind { head }),
            Err(error) => Err(error),
        }
    }
}

/// A good answer of one relay.
#[derive(Debug)]
pub(super) struct Found {
    standing: Standing,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Slices(Vec<Slice>),
    Manifest(Manifest),
    Nothing,
}

impl Found {
    fn pulled(self, relay: usize) -> Pulled {
        let standing = self.standing;
        match self.body {
            Body::Slices(slices) => Pulled::Slices { slices, standing },
            Body::Manifest(manifest) => Pulled::Manifest { manifest, relay, standing },
            Body::Nothing => Pulled::Nothing { standing },
        }
    }
}

impl Question for PullRequest {
    type Answer = Found;

    async fn ask(&self, endpoint: &Endpoint) -> Result<Found, Failure> {
        let wait = Duration::from_secs(self.wait.as_secs().min(60));
        let mut query = vec![
            ("after", self.after.to_string()),
            ("limit", self.limit_bytes.to_string()),
            ("wait", wait.as_secs().to_string()),
        ];
        if !self.channels.is_empty() {
            query.push(("channels", channel_list(&self.channels)));
        }
        let request = endpoint.get("log").query(&query);
        let request = with_report(request, &self.report, self.lineage, self.hashes.as_ref());
        let answer = endpoint.send("pull", request, wait).await?;
        let content_type = answer.content_type();
        match (answer.status(), content_type.as_str()) {
            (200, SLICES_TYPE) => self.slices(endpoint, answer).await,
            (200, MANIFEST_TYPE) => self.manifest(endpoint, answer).await,
            (204, _) => self.nothing(answer),
            (200..400, _) => Err(answer.foreign().await),
            _ => Err(answer.refusal().await),
        }
    }
}

impl PullRequest {
    async fn slices(&self, endpoint: &Endpoint, mut answer: Answer) -> Result<Found, Failure> {
        let standing = self.standing(&answer)?;
        let bound = self.limit_bytes.saturating_add(endpoint.settings().slack_bytes);
        let body: Bytes = answer.body(bound).await?;
        let slices = check_slices(body, endpoint.source(), self.after, &standing)
            .map_err(|why| answer.malformed(why))?;
        Ok(Found { standing, body: Body::Slices(slices) })
    }

    async fn manifest(&self, endpoint: &Endpoint, mut answer: Answer) -> Result<Found, Failure> {
        let standing = self.standing(&answer)?;
        let body = answer.body(endpoint.settings().json_bytes).await?;
        let manifest: Manifest =
            serde_json::from_slice(&body).map_err(|error| answer.malformed(error.to_string()))?;
        check_manifest(&manifest, endpoint.source(), self.after, &standing)
            .map_err(|why| answer.malformed(why))?;
        Ok(Found { standing, body: Body::Manifest(manifest) })
    }

    fn nothing(&self, answer: Answer) -> Result<Found, Failure> {
        let standing = self.standing(&answer)?;
        if standing.through == self.after {
            return Ok(Found { standing, body: Body::Nothing });
        }
        let (after, through) = (self.after, standing.through);
        Err(answer.malformed(format!("it is empty, but claims to lead from {after} to {through}")))
    }

    fn standing(&self, answer: &Answer) -> Result<Standing, Failure> {
        let standing = Standing {
            lineage: answer.required(headers::LINEAGE)?,
            head: answer.required(headers::HEAD)?,
            through: answer.required(headers::THROUGH)?,
        };
        if let Some(loaded) = &self.loaded {
            let allowed: ChannelSet = answer.required(headers::CHANNELS)?;
            if allowed != *loaded {
                let (loaded, allowed) = (Box::new(loaded.clone()), Box::new(allowed));
                return Err(answer.failure(FailureKind::Channels { loaded, allowed }));
            }
        }
        match self.lineage {
            Some(own) if own != standing.lineage => Err(answer
                .malformed(format!("it is of lineage {}, {own} was asked for", standing.lineage))),
            _ if standing.head < standing.through => Err(answer.malformed(format!(
                "it leads to {}, behind the head {}",
                standing.through, standing.head
            ))),
            _ => Ok(standing),
        }
    }
}

/// Channels as a query carries them.
pub(super) fn channel_list(channels: &[ChannelName]) -> String {
    channels.iter().map(ChannelName::as_str).collect::<Vec<_>>().join(",")
}
