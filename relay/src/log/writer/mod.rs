//! The one thread that changes a log.

mod apply;
mod job;
mod session;
mod succeed;
mod thread;
mod turns;

pub(crate) use job::{Append, Job, Succeed};
pub(crate) use thread::Writer;
