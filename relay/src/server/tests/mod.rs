//! The interface over real sockets, with real bytes.

mod basics;
mod relay;
