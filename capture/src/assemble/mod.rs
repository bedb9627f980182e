//! Messages of the stream become transactions, transactions become slices. Pure: what goes in and
//! in which order decides every byte that comes out; nothing here waits, reads a clock or asks anyone.

mod assembler;
mod changes;
mod error;
mod history;
mod huge;
#[cfg(test)]
mod keepalives;
mod mapping;
#[cfg(test)]
mod marking;
mod marks;
mod open;
#[cfg(test)]
mod order;
mod outline;
#[cfg(test)]
mod refusals;
mod relations;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod tests;
mod type_names;

pub use self::{
    assembler::Assembler,
    error::AssembleError,
    history::{HistoryError, Proof},
    huge::PartUpload,
    marks::{ChannelState, Forgotten},
    outline::{AssemblerSettings, Output, StartingPoint},
};
