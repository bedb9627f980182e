//! The one thread that changes a log.

mod apply;
mod job;
mod session;
mod thread;
mod turns;

pub(crate) use job::{Append, Job};
pub(crate) use thread::Writer;
