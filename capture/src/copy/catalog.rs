//! The queries that say what tables are like, for whoever else runs them.

pub(crate) use super::{
    definitions::EXTENSIONS,
    sequences::SEQUENCES,
    tables::{COLUMNS, CONSTRAINTS, INDEXES, TABLES},
    user_types::USED_TYPES,
};
