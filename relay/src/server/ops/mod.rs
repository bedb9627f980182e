//! Everyone's: reports, lag, sources, probes, metrics, the page.

mod lag;
mod metrics;
mod page;
mod probes;
mod report;

pub(super) use lag::{lag, lag_of, lag_seconds};
pub(super) use metrics::metrics;
pub(super) use page::page;
pub(super) use probes::{healthz, readyz};
pub(super) use report::{forget, report, sources};
