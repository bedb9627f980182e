//! A small client of PostgreSQL's streaming replication protocol (manual, 55.2 "Message Flow" and 55.4
//! "Streaming Replication Protocol"). It owns its socket, because `tokio_postgres` knows no CopyBoth.
//!
//! [`Walsender`] logs in and runs commands; [`Walsender::start`] turns it into a [`StreamReader`] and a
//! [`Feedback`], which lives on its own, so that the server hears of us whatever the reader waits for.

mod auth;
mod certificate_hash;
mod command;
mod connection;
mod copy_data;
mod error;
mod feedback;
mod frame;
mod reader;
mod response;
mod silence;
mod socket;
mod start;
mod startup;
mod status;
mod timeline;
mod version;

pub use self::{
    command::{CreatedSlot, Identity, SlotSnapshot},
    connection::{Row, Walsender},
    copy_data::{CopyData, CopyDataError, Keepalive, XLogData},
    error::WalsenderError,
    feedback::Feedback,
    frame::{Frame, FrameBuffer, FrameError, LONGEST_FRAME},
    reader::StreamReader,
    start::{StartReplication, StreamSettings},
    status::Positions,
    timeline::{TimelineHistory, TimelineSwitch},
    version::ServerVersion,
};
