//! Sequences of the source's columns, so that a terminal can hand out numbers when it is promoted.

use tokio_postgres::Client;
use wire::{Sequence, SequenceBond, SequenceType};

use super::{
    super::{
        connect::error_of,
        quote::{ident, literal, qualified},
    },
    attempt::attempt,
    tables::look_up,
};
use crate::target::TargetError;

/// Makes those that do not come with their column, so that defaults can name them.
pub(in super::super) async fn ensure_sequences(
    target: &str,
    client: &Client,
    sequences: &[Sequence],
) -> Result<(), TargetError> {
    for sequence in sequences.iter().filter(|of| of.bond != SequenceBond::Identity) {
        tell(sequence, "made without", attempt(target, client, &create_sql(sequence)).await?);
    }
    Ok(())
}

/// Binds them to the columns that were made meanwhile.
pub(in super::super) async fn bind_sequences(
    target: &str,
    client: &Client,
    sequences: &[Sequence],
) -> Result<(), TargetError> {
    for sequence in sequences {
        if has_column(target, client, sequence).await? {
            tell(sequence, "not bound:", attempt(target, client, &bind_sql(sequence)).await?);
        }
    }
    Ok(())
}

/// Puts them to where they stand at the source; those of columns that are not here stay away.
pub(in super::super) async fn set_sequences(
    target: &str,
    client: &Client,
    sequences: &[Sequence],
) -> Result<(), TargetError> {
    for sequence in sequences {
        if !has_column(target, client, sequence).await? {
            continue;
        }
        if sequence.bond != SequenceBond::Identity && !is_there(target, client, sequence).await? {
            let made = format!("{}; {}", create_sql(sequence), bind_sql(sequence));
            tell(sequence, "made without", attempt(target, client, &made).await?);
        }
        if let Some(sql) = value_sql(sequence) {
            tell(sequence, "left as it is:", attempt(target, client, &sql).await?);
        }
    }
    Ok(())
}

async fn has_column(target: &str, client: &Client, of: &Sequence) -> Result<bool, TargetError> {
    let (schema, table, column) = &of.column;
    let table = look_up(target, client, schema, table).await?;
    Ok(table.is_some_and(|table| table.column(column).is_some()))
}

async fn is_there(target: &str, client: &Client, of: &Sequence) -> Result<bool, TargetError> {
    let name = qualified(&of.schema, &of.name);
    let query = "SELECT pg_catalog.to_regclass($1::text) IS NOT NULL";
    let row = client.query_one(query, &[&name]).await;
    row.map(|row| row.get(0))
        .map_err(|error| error_of(target, &format!("look up the sequence {name}"), &error))
}

fn tell(sequence: &Sequence, what: &str, why: Option<String>) {
    if let Some(why) = why {
        tracing::info!(why, "{what} the sequence {}.{}", sequence.schema, sequence.name);
    }
}

fn create_sql(of: &Sequence) -> String {
    let values = match of.values {
        SequenceType::Smallint => "smallint",
        SequenceType::Integer => "integer",
        SequenceType::Bigint => "bigint",
    };
    format!(
        "CREATE SEQUENCE IF NOT EXISTS {} AS {values} INCREMENT BY {} MINVALUE {} MAXVALUE {} START WITH {} CACHE {} {}CYCLE",
        qualified(&of.schema, &of.name),
        of.increment,
        of.least,
        of.greatest,
        of.start,
        of.cache,
        if of.cycle { "" } else { "NO " }
    )
}

fn bind_sql(of: &Sequence) -> String {
    let (schema, table, column) = &of.column;
    let (table, column) = (qualified(schema, table), ident(column));
    match of.bond {
        SequenceBond::Identity => format!(
            "ALTER TABLE {table} ALTER COLUMN {column} SET INCREMENT BY {} SET MINVALUE {} SET MAXVALUE {} SET START WITH {} \
             SET CACHE {} SET {}CYCLE",
            of.increment,
            of.least,
            of.greatest,
            of.start,
            of.cache,
            if of.cycle { "" } else { "NO " }
        ),
        SequenceBond::Owned => {
            format!("ALTER SEQUENCE {} OWNED BY {table}.{column}", qualified(&of.schema, &of.name))
        }
        SequenceBond::Used => String::new(),
    }
}

/// An identity column's sequence may have another name here.
fn value_sql(of: &Sequence) -> Option<String> {
    let last = of.last?;
    let (schema, table, column) = &of.column;
    let sequence = match of.bond {
        SequenceBond::Identity => format!(
            "pg_catalog.pg_get_serial_sequence({}, {})",
            literal(&qualified(schema, table)),
            literal(column)
        ),
        _ => literal(&qualified(&of.schema, &of.name)),
    };
    Some(format!("SELECT pg_catalog.setval({sequence}::pg_catalog.regclass, {last}, true)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_wherever_they_come_from() {
        let mut sequence = Sequence {
            schema: "a; DROP".into(),
            name: "s\"'q".into(),
            column: ("x".into(), "t'".into(), "c'); --".into()),
            bond: SequenceBond::Owned,
            values: SequenceType::Integer,
            start: 5,
            increment: -2,
            least: -9,
            greatest: 9,
            cache: 1,
            cycle: true,
            last: Some(3),
        };
        assert_eq!(
            create_sql(&sequence),
            r#"CREATE SEQUENCE IF NOT EXISTS "a; DROP"."s""'q" AS integer INCREMENT BY -2 MINVALUE -9 MAXVALUE 9 START WITH 5 CACHE 1 CYCLE"#
        );
        assert_eq!(
            bind_sql(&sequence),
            r#"ALTER SEQUENCE "a; DROP"."s""'q" OWNED BY "x"."t'"."c'); --""#
        );
        assert_eq!(
            value_sql(&sequence).unwrap(),
            r#"SELECT pg_catalog.setval('"a; DROP"."s""''q"'::pg_catalog.regclass, 3, true)"#
        );
        sequence.bond = SequenceBond::Identity;
        assert!(
            bind_sql(&sequence).starts_with(r#"ALTER TABLE "x"."t'" ALTER COLUMN "c'); --" SET"#)
        );
        assert!(value_sql(&sequence).unwrap().contains(r#"('"x"."t''"', 'c''); --')"#));
        sequence.last = None;
        assert_eq!(value_sql(&sequence), None);
    }
}
