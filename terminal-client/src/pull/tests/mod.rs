//! What the target sees: whole transactions, each commit with its position, nothing of what is
//! damaged.

mod altering;
mod applying;
mod expired;
mod recorder;
mod refetch;
