//! The tables: how they are named and made, and what is found in the file.

mod create;
mod find_rows;
mod generated;
mod indexes;
mod names;
mod record;
mod shape;

pub(super) use create::{ColumnSql, row_id_key, table_sql};
pub(super) use find_rows::{ensure_row_index, rows_are_found};
pub(super) use generated::same_in_sqlite;
pub(super) use indexes::{create_index, indexes_of};
pub(super) use names::{is_ours, quote, shadow_table_name, table_name};
pub(super) use record::{CREATE_RECORDS, read_record, write_record};
pub(super) use shape::Shape;
