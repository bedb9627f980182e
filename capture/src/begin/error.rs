use std::time::Duration;

use super::{finding::Finding, rules::Violation, tables::TableFacts};
use crate::{
    append::RelayError,
    settings::Settings,
    source::{Refusal, SqlError},
    walsender::WalsenderError,
};

/// Why capture cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// An SQL statement failed, or there is no connection.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The replication connection.
    #[error(transparent)]
    Walsender(#[from] WalsenderError),
    /// The relay.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// Going on would damage the history.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The master lacks something.
    #[error("the master is not ready to be captured:\n{}", list(.0))]
    NotReady(Vec<Finding>),
    /// Tables whose updates would fail once published.
    #[error("{}", keyless(.0))]
    Keyless(Vec<TableFacts>),
    /// Columns cannot be left out as the configuration says.
    #[error("columns cannot be left out. Nothing was changed.\n  {}", .0.join("\n  "))]
    Exclude(Vec<String>),
    /// The publication carries what is to be left out.
    #[error(
        "the publication '{publication}' carries columns that are to be left out: {}. Nothing of them was passed on since this was \
         noticed. Take them out of the publication (ALTER PUBLICATION … SET TABLE … with the columns that may leave), or out of \
         --exclude; if they were captured before, the relay's log and the terminals have them: to be rid of them capture under \
         a new source name", columns.join(", ")
    )]
    ExcludedCarried { publication: String, columns: Vec<String> },
    /// The publication cannot be made or changed.
    #[error(
        "the publication '{name}' cannot be made or extended: {source}. {}",
        publication_advice(source)
    )]
    Publication { name: String, source: Box<SqlError> },
    /// The publication is gone while the slot is there.
    #[error(
        "the publication '{name}' is not there any more, and the replication slot is: without it the server sends nothing. \
         What was committed while it was missing cannot be had; to begin anew, the terminals \
         loading it by themselves: `tailwater-capture adopt`"
    )]
    PublicationGone { name: String },
    /// Making the slot waits for transactions that do not end.
    #[error(
        "the replication slot cannot be made: for {} s transactions have been open on the master that began before. {whom}. End them \
         (pg_terminate_backend(PID), ROLLBACK PREPARED), then start again; --slot-within waits longer", after.as_secs()
    )]
    SlotWait { after: Duration, whom: String },
    /// Tables cannot be kept from changing their shape while they are copied.
    #[error("the tables cannot be locked against ALTER TABLE while they are copied: {source}")]
    Lock { source: Box<SqlError> },
    /// The channels of the configuration do not fit the log.
    #[error(
        "the configuration puts {table} into channel '{wanted}', but the log has it in '{bound}': a table cannot change its channel \
         (yet), because its rows at the terminals would not follow. Put channels.{bound}.tables back as they were"
    )]
    ChannelMoved { table: String, wanted: String, bound: String },
}

impl BeginError {
    pub(super) fn publication(settings: &Settings, source: SqlError) -> Self {
        Self::Publication { name: settings.publication.clone(), source: Box::new(source) }
    }
}

fn publication_advice(error: &SqlError) -> &'static str {
    match error.refusal() {
        Some(Refusal::NoRights) => {
            "The role must own the tables and may create in the database: `tailwater-capture check` prints the SQL"
        }
        _ => "`tailwater-capture check` lists what is missing",
    }
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn keyless(tables: &[TableFacts]) -> String {
    let mut text = format!(
        "{} no usable replica identity; once published, every UPDATE and DELETE on them would fail. Nothing was changed.\n",
        match tables.len() {
            1 => "1 table has".to_owned(),
            many => format!("{many} tables have"),
        }
    );
    for table in tables {
        text += &format!("  {}.{}: {}\n", table.schema, table.name, table.identity.reason());
    }
    text += "Give each a primary key, or let all columns identify a row:\n";
    for table in tables {
        text += &format!("  ALTER TABLE {} REPLICA IDENTITY FULL;\n", table.quoted());
    }
    text + "Or start with --keyless full (does the same), or --keyless skip (leaves them out)."
}
