//! A terminal's side.

mod download;
mod link;
mod manifest;
mod pull;
mod reported;
mod snapshots;

pub(super) use download::download;
pub(super) use pull::pull;
pub(super) use snapshots::snapshots;
