//! The tables: how they are named and made, and what is found in the file.

mod columns;
mod create;
mod find_rows;
mod generated;
mod indexes;
mod names;
mod record;
mod shape;

pub(super) use columns::{sent_columns, tell_left_out, with_generated};
pub(super) use create::{ColumnSql, NO_COLUMNS, row_id_key, table_sql};
pub(super) use find_rows::{ensure_row_index, make_indexes, rows_are_found};
pub(super) use indexes::{IndexSql, create_index, indexes_of};
pub(super) use names::{is_ours, quote, shadow_table_name, table_name};
pub(super) use record::{CREATE_RECORDS, forget_record, read_record, write_record};
pub(super) use shape::{Shape, ShapeColumn};
