use tokio::sync::oneshot;
use wire::Lsn;

use super::error::SnapshotError;
use crate::assemble::{ChannelState, Forgotten};

/// What the task asks of the stream: to note how the channels stand from now on, and then, when it
/// knows the position, how they stood there.
#[derive(Debug)]
pub(super) struct Ask {
    noting: Option<oneshot::Sender<()>>,
    lsn: oneshot::Receiver<Lsn>,
    state: oneshot::Sender<Result<ChannelState, Forgotten>>,
}

/// The task's end of it; dropping it takes the question back.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) noting: oneshot::Receiver<()>,
    pub(super) lsn: oneshot::Sender<Lsn>,
    pub(super) state: oneshot::Receiver<Result<ChannelState, Forgotten>>,
}

impl Ask {
    pub(super) fn new() -> (Self, Question) {
        let (noting_to, noting) = oneshot::channel();
        let (lsn, lsn_from) = oneshot::channel();
        let (state_to, state) = oneshot::channel();
        let ask = Self { noting: Some(noting_to), lsn: lsn_from, state: state_to };
        (ask, Question { noting, lsn, state })
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.state.is_closed()
    }

    /// It is noted from here on.
    pub(super) fn noting(&mut self) {
        if let Some(noting) = self.noting.take() {
            let _ = noting.send(());
        }
    }

    /// The position, once.
    pub(super) fn lsn(&mut self) -> Option<Lsn> {
        self.lsn.try_recv().ok()
    }

    pub(super) fn answer(self, found: Result<ChannelState, Forgotten>) {
        let _ = self.state.send(found);
    }
}

/// What the stream answers; it may have ended instead.
pub(super) async fn heard<T>(answer: oneshot::Receiver<T>) -> Result<T, SnapshotError> {
    answer.await.map_err(|_| SnapshotError::Ended)
}
