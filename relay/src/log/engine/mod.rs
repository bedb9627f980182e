//! The engines behind the log's traits: sled for the tail and the catalogue, plain files for
//! objects. Nothing outside this folder names either.

mod chunk;
mod database;
mod files;
mod records;
mod tail;
#[cfg(test)]
mod torn;

pub(super) use database::sync_folder;
pub(super) use files::FileObjects;
pub(super) use records::SledRecords;
pub(super) use tail::SledTail;
