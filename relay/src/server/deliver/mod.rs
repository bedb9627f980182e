//! A terminal's side.

mod behind;
mod download;
mod link;
mod manifest;
mod pull;
mod reported;
mod snapshots;

pub(super) use behind::behind;
pub(super) use download::download;
pub(super) use pull::pull;
pub(super) use snapshots::snapshots;
