use wire::{Definitions, Lsn, SchemaChange, SourceName, TableDefinition};

use super::{
    super::{
        database::Database,
        existing::check_existing,
        schema::{
            create_index, forget_record, make_indexes, quote, row_id_key, sent_columns, table_name,
            table_sql, tell_left_out, with_generated, write_record,
        },
        seen,
    },
    act::Act,
    altering::Altering,
    columns::{Rows, columns},
    extra::extra,
    names::{coming, renamed},
    rebuild::rebuild,
    reshape::reshape,
    views::readable_views,
};
use crate::target::{Named, TargetError};

/// Does what one schema change says, in the open transaction.
pub(in super::super) fn alter(
    database: &Database,
    source: &SourceName,
    lsn: Lsn,
    change: &SchemaChange,
) -> Result<(), TargetError> {
    let Some(table) = change.table() else { return Ok(()) };
    let altering = Altering { database, source, lsn, table };
    let views = altering.did("look up the views", readable_views(&database.connection))?;
    let was = change.before.as_ref().and_then(|of| of.tables.first());
    let is = change.after.as_ref().and_then(|of| of.tables.first());
    match (was, is) {
        (Some(was), _) if change.dropped => altering.drop_table(was)?,
        (None, Some(is)) => altering.create(is)?,
        (Some(was), Some(is)) => {
            let definitions = change.before.as_ref().zip(change.after.as_ref());
            if let Some((before, after)) = definitions {
                altering.alter((was, before), (is, after))?;
            }
        }
        (_, None) => {
            tracing::info!(%lsn, "{table} is not published any more: it stays as it is here");
        }
    }
    let now = altering.did("look up the views", readable_views(&database.connection))?;
    match views.iter().find(|view| !now.contains(view)) {
        None => Ok(()),
        Some(view) => {
            let advice =
                format!("run DROP VIEW {}, then pull again; make it anew afterwards", quote(view));
            Err(altering
                .stopped(format!("the view {} could not be read any more", quote(view)), advice))
        }
    }
}

impl Altering<'_> {
    fn drop_table(&self, was: &TableDefinition) -> Result<(), TargetError> {
        let name = table_name(&was.schema, &was.name);
        if self.shape(&name)?.is_none_or(|shape| shape.kind != "table") {
            return Ok(());
        }
        self.run(&format!("DROP TABLE {}", quote(&name)))?;
        self.did("write tailwater_tables", forget_record(&self.database.connection, &name))?;
        seen::renamed(self.database, self.source, &name, None)
    }

    /// Makes a table that is new to the stream; one that is there already must be empty and able to take
    /// the rows. A partitioned one is none here: its rows are those of its partitions.
    fn create(&self, is: &TableDefinition) -> Result<(), TargetError> {
        if is.partition_by.is_some() {
            return Ok(());
        }
        let name = table_name(&is.schema, &is.name);
        self.check_name(is, &name)?;
        let sent = sent_columns(is);
        let shape = self.shape(&name)?;
        if let Some(shape) = &shape {
            if !self.has_rows(&name)? {
                reshape(self.database, self.source, self.lsn, is)?;
            }
            let named = Named::new(&is.schema, &is.name);
            check_existing(self.database, self.source.as_str(), &named, &sent, shape, false)?;
        } else {
            let all = with_generated(is, &sent);
            tell_left_out(is, &all);
            self.run(&table_sql(&name, &all, row_id_key(is, &all)))?;
        }
        let connection = &self.database.connection;
        self.did("index the table", make_indexes(connection, &name, is, shape.is_some()))?;
        self.did("write tailwater_tables", write_record(connection, &name, self.source, is))
    }

    fn alter(
        &self,
        (was, before): (&TableDefinition, &Definitions),
        (is, after): (&TableDefinition, &Definitions),
    ) -> Result<(), TargetError> {
        let old_name = table_name(&was.schema, &was.name);
        let name = table_name(&is.schema, &is.name);
        if old_name != name {
            self.rename(is, &old_name, &name)?;
        }
        if self.shape(&name)?.is_none() {
            if is.partition_by.is_none() {
                tracing::warn!(
                    "{was} was altered on the master, and is not here: nothing to alter"
                );
            }
            return Ok(());
        }
        self.shape_up((was, before), (is, after), Rows::Stay)
    }

    /// Brings a table that has its name to what it is on the master.
    pub(super) fn shape_up(
        &self,
        (was, before): (&TableDefinition, &Definitions),
        (is, after): (&TableDefinition, &Definitions),
        rows: Rows,
    ) -> Result<(), TargetError> {
        let connection = &self.database.connection;
        let name = table_name(&is.schema, &is.name);
        let shape = self.there(&name)?;
        if shape.kind != "table" {
            let why = format!("there is a {} of the name {}", shape.kind, quote(&name));
            return Err(self.stopped(why, "rename or drop it, then pull again".into()));
        }
        let acts = renamed(was, is, &shape).map_err(|taken| {
            let advice = format!("rename or drop the column {}, then pull again", quote(&taken.to));
            self.stopped(taken.to_string(), advice)
        })?;
        self.acts(&name, &acts)?;
        let shape = self.there(&name)?;
        let own = self.did("look up the columns", extra(connection, was, is, &name))?;
        // Without any there is no value to be lost.
        let rows = if self.has_rows(&name)? { rows } else { Rows::None };
        let acts = columns((was, before), (is, after), &shape, &own.columns, rows);
        let acts = acts.map_err(|why| self.unable(&why))?;
        let rebuilds = acts.iter().any(|act| matches!(act, Act::Rebuild(_)));
        let kept = [("STRICT", shape.strict), ("WITHOUT ROWID", shape.without_row_id)];
        let kept = kept.into_iter().find(|(_, is)| *is).map(|(word, _)| word);
        if let Some(refused) = own.refused.or(kept).filter(|_| rebuilds) {
            let why =
                format!("it would have to be made anew, and is not as it would be made: {refused}");
            let advice =
                "rename it, and make a plain one of its name with the same rows, then pull again";
            return Err(self.stopped(why, advice.into()));
        }
        self.acts(&name, &acts)?;
        for index in coming(was, is, rebuilds) {
            let shape = self.there(&name)?;
            self.did("index the table", create_index(connection, &shape, &index))?;
        }
        self.did("write tailwater_tables", write_record(connection, &name, self.source, is))
    }

    fn has_rows(&self, name: &str) -> Result<bool, TargetError> {
        let any = format!("SELECT EXISTS (SELECT 1 FROM {})", quote(name));
        self.did("look for rows", self.database.connection.query_row(&any, [], |row| row.get(0)))
    }

    fn rename(&self, is: &TableDefinition, from: &str, to: &str) -> Result<(), TargetError> {
        if self.shape(from)?.is_none() {
            return Ok(());
        }
        self.check_name(is, to)?;
        if !from.eq_ignore_ascii_case(to) && self.shape(to)?.is_some() {
            let why =
                format!("{} is {} now, and there is another of that name", quote(from), quote(to));
            return Err(self.stopped(why, "rename or drop that, then pull again".into()));
        }
        self.acts(from, &[Act::RenameTable(to.to_owned())])?;
        self.did("write tailwater_tables", forget_record(&self.database.connection, from))?;
        seen::renamed(self.database, self.source, from, Some(to))
    }

    fn acts(&self, table: &str, acts: &[Act]) -> Result<(), TargetError> {
        for act in acts {
            match (act, act.sql(table)) {
                (Act::Rebuild(columns), _) => {
                    rebuild(self.database, table, columns)?;
                    tracing::info!("made the table {} anew", quote(table));
                }
                (_, Some(sql)) => self.run(&sql)?,
                (_, None) => {}
            }
        }
        Ok(())
    }
}
