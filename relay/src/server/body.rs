//! Taking bodies in, bounded.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use wire::ProblemKind;

use super::{app::App, problem::Refused};

/// The length that the request claims, if it does.
pub(super) fn claimed_len(headers: &axum::http::HeaderMap) -> Option<u64> {
    headers.get(axum::http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body, piece by piece.
pub(super) struct Pieces {
    stream: axum::body::BodyDataStream,
    left: u64,
    limit: u64,
    idle: Duration,
}

impl Pieces {
    pub(super) fn new(body: Body, limit: u64, idle: Duration) -> Self {
        Self { stream: body.into_data_stream(), left: limit, limit, idle }
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        let next = tokio::time::timeout(self.idle, self.stream.next()).await;
        let Ok(next) = next else {
            let detail = format!("nothing came for {} s; send the body again", self.idle.as_secs());
            return Err(Refused::bad_request(detail));
        };
        let Some(piece) = next else { return Ok(None) };
        let piece =
            piece.map_err(|error| Refused::bad_request(format!("the body breaks off: {error}")))?;
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or_else(|| too_large(self.limit))?;
        Ok(Some(piece))
    }
}

pub(super) fn too_large(limit: u64) -> Refused {
    Refused::new(ProblemKind::TooLarge, format!("the body is larger than {limit} bytes"))
}

/// A whole body in memory, and the permit to have it there: all uploads share one bound.
pub(super) async fn read_whole(
    app: &App,
    claimed: Option<u64>,
    body: Body,
    limit: u64,
) -> Result<(Bytes, OwnedSemaphorePermit), Refused> {
    let most = claimed.unwrap_or(limit);
    if most > limit {
        return Err(too_large(limit));
    }
    let kib = u32::try_from(most >> 10).unwrap_or(u32::MAX).saturating_add(1);
    let permit = app.uploads.clone().acquire_many_owned(kib);
    let permit = permit.await.map_err(|error| Refused::internal(error.to_string()))?;
    let mut pieces = Pieces::new(body, most, app.settings.body_timeout);
    let Some(first) = pieces.next().await? else { return Ok((Bytes::new(), permit)) };
    let Some(second) = pieces.next().await? else { return Ok((first, permit)) };
    // What is claimed is within the permit; untouched pages of it take no memory.
    let room = claimed.and_then(|claimed| usize::try_from(claimed).ok()).unwrap_or(0);
    let mut whole = Vec::with_capacity(room.max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(piece) = pieces.next().await? {
        whole.extend_from_slice(&piece);
    }
    whole.shrink_to_fit();
    Ok((whole.into(), permit))
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};

    use super::*;
    use crate::server::ServerSettings;

    const MIB: u64 = 1 << 20;

    fn app(data: &std::path::Path) -> App {
        App::open(data, ServerSettings::default()).unwrap()
    }

    /// A body of 10 MiB, in pieces, that does not say how long it is.
    fn long() -> Body {
        let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![0; 1 << 20]));
        Body::from_stream(stream::iter((0..10).map(move |_| piece())))
    }

    #[tokio::test]
    async fn a_body_longer_than_it_may_be_is_cut_off() {
        let data = tempfile::tempdir().unwrap();
        let app = app(data.path());
        let refused = read_whole(&app, None, long(), 3 * MIB).await.unwrap_err();
        assert_eq!(refused.0.kind, ProblemKind::TooLarge);
        // One that says less than it brings is cut off there.
        let refused = read_whole(&app, Some(2 * MIB), long(), 3 * MIB).await.unwrap_err();
        assert_eq!(refused.0.kind, ProblemKind::TooLarge);
    }

    /// All uploads share one bound: who does not fit in waits with nothing taken.
    #[tokio::test]
    async fn uploads_wait_for_room() {
        let data = tempfile::tempdir().unwrap();
        let app = app(data.path());
        let stalled = || Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
        let mut first = Box::pin(read_whole(&app, Some(60 * MIB), stalled(), 64 * MIB));
        assert!(first.as_mut().now_or_never().is_none());
        let body = Body::from(vec![0; 20 << 20]);
        let mut second = Box::pin(read_whole(&app, Some(20 * MIB), body, 64 * MIB));
        assert!(second.as_mut().now_or_never().is_none(), "80 MiB were taken in at once");
        drop(first);
        assert_eq!(second.await.unwrap().0.len(), 20 << 20);
    }
}
