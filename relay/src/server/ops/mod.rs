//! Everyone's: reports, lag, sources, probes.

mod lag;
mod probes;
mod report;

pub(super) use lag::lag;
pub(super) use probes::{healthz, readyz};
pub(super) use report::{forget, report, sources};
