//! Columns that are to stay at the master stay there.

use anyhow::Result;
use harness::{Cluster, Database, ProcessBuilder, RelayProcess, eventually, test};

use crate::{
    ending::says,
    setup::{LIMIT, Options, SOURCE, Setup, Terminal, capture_command},
};

const CUSTOMERS: &str = "
    CREATE TABLE customer (id int PRIMARY KEY, name text, iban text NOT NULL UNIQUE CHECK (length(iban) > 3), note text,
                           country text GENERATED ALWAYS AS (left(iban, 2)) STORED);
    CREATE INDEX ON customer (lower(iban)); CREATE INDEX ON customer (name) WHERE iban IS NOT NULL; CREATE INDEX named ON customer (name);
    INSERT INTO customer VALUES (1, 'Ada', 'DE-secret-1'), (2, 'Bob', 'FR-secret-2');
    CREATE TABLE payment (id int, day date, iban text, amount int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE payment_old PARTITION OF payment FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
    CREATE TABLE payment_new PARTITION OF payment FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
    INSERT INTO payment VALUES (1, '2025-05-05', 'DE-secret-1', 5), (2, '2026-05-05', 'FR-secret-2', 6)";
const EXCLUDE: [&str; 2] = ["--exclude", "public.customer.iban,public.payment*.iban"];

const ROWS: &str = "SELECT (SELECT group_concat(id || name, ' ') FROM (SELECT * FROM customer ORDER BY id) c) || '; '
    || (SELECT group_concat(id || ':' || amount, ' ') FROM (SELECT * FROM payment_old UNION ALL SELECT * FROM payment_new) p)";

async fn holds(terminal: &Terminal, rows: &str) -> Result<()> {
    let sql = match terminal.url().starts_with("sqlite") {
        true => ROWS.to_owned(),
        false => ROWS.replace("group_concat(", "string_agg("),
    };
    assert_eq!(terminal.value(&sql).await?.as_deref(), Some(rows));
    Ok(())
}

/// Whether the server can; one that cannot must be refused by name.
pub(crate) async fn can_be_left_out() -> Result<bool> {
    let master = Cluster::shared().await?.database().await?;
    let able = "SELECT (current_setting('server_version_num')::int >= 150000)::text";
    if master.value(able).await?.as_deref() == Some("true") {
        return Ok(true);
    }
    master.execute(CUSTOMERS).await?;
    let relay = RelayProcess::builder().start().await?;
    says(&run(&master, &relay, EXCLUDE[1]).await?, 3, &["from 15 on"]);
    Ok(false)
}

#[test]
fn what_is_left_out_never_arrives() {
    test(async {
        if !can_be_left_out().await? {
            return Ok(());
        }
        let options = Options { capture: &EXCLUDE, config: None };
        let setup = Setup::on(Cluster::shared().await?, CUSTOMERS, options).await?;
        let (postgres, sqlite) = (setup.postgres("store").await?, setup.sqlite("till")?);
        for terminal in [&postgres, &sqlite] {
            setup.pull(terminal).await?;
            holds(terminal, "1Ada 2Bob; 1:5 2:6").await?;
        }
        let columns = "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'customer'::regclass AND attnum > 0 AND NOT attisdropped";
        assert_eq!(postgres.value(columns).await?.as_deref(), Some("id name note"));
        let indexes = "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'customer'";
        assert_eq!(postgres.value(indexes).await?.as_deref(), Some("customer_pkey named"));
        let columns = "SELECT group_concat(name, ' ') FROM pragma_table_info('customer')";
        assert_eq!(sqlite.value(columns).await?.as_deref(), Some("id name note"));

        let before = setup.captured().await?;
        for sql in [
            "UPDATE customer SET iban = 'XX-secret-3' WHERE id = 1",
            "UPDATE customer SET name = 'Bea', iban = 'YY-secret-4' WHERE id = 2",
            "INSERT INTO customer VALUES (3, 'Cyd', 'ZZ-secret-5')",
            "UPDATE payment SET day = '2026-06-06' WHERE id = 1; DELETE FROM payment WHERE id = 2",
            "ALTER TABLE customer ADD COLUMN phone text; UPDATE customer SET phone = 'secret-6'",
        ] {
            setup.master.execute(sql).await?;
        }
        setup.captured().await?;
        let mut tail = ProcessBuilder::new("tail", harness::binary("tailwater-terminal")?)
            .args(["tail", "--relay", &setup.relay.url(), "--source-name", SOURCE, "--json"])
            .args(["--after", &before.to_string()])
            .spawn()?;
        eventually("the tail shows the last change", LIMIT, async || {
            Ok(tail.stdout().contains("Cyd"))
        })
        .await?;
        let seen = tail.stop().await?;
        assert!(!seen.stdout.contains("secret"), "{}", seen.stdout);
        for terminal in [&postgres, &sqlite] {
            setup.pull(terminal).await?;
            holds(terminal, "1Ada 2Bea 3Cyd; 1:5").await?;
        }
        Ok(())
    });
}

async fn run(master: &Database, relay: &RelayProcess, exclude: &str) -> Result<harness::Finished> {
    let command = capture_command(master, &relay.url())?.args(["--exclude", exclude]);
    command.args(["--start-within", "5s"]).run(LIMIT).await
}

#[test]
fn what_cannot_be_left_out_is_refused() {
    test(async {
        if !can_be_left_out().await? {
            return Ok(());
        }
        let master = Cluster::shared().await?.database().await?;
        master.execute(CUSTOMERS).await?;
        master.execute("CREATE TABLE bag (a int, iban text)").await?;
        master.execute("ALTER TABLE bag REPLICA IDENTITY FULL").await?;
        let relay = RelayProcess::builder().start().await?;
        for (exclude, words) in [
            ("iban", "schema.table.column"),
            ("public.customer.ibann", "misspelt"),
            ("public.customer.id", "public.customer.id is part of its table's replica identity"),
            ("public.bag.iban", "public.bag.iban is part of its table's replica identity"),
        ] {
            says(&run(&master, &relay, exclude).await?, 2, &[words]);
        }
        assert_eq!(
            master.value("SELECT count(*) FROM pg_publication").await?.as_deref(),
            Some("0")
        );
        // A publication of the user's own that carries it.
        master.execute("CREATE PUBLICATION mine FOR TABLE customer").await?;
        let command = capture_command(&master, &relay.url())?.args(EXCLUDE);
        let done = command.args(["--publication", "mine"]).run(LIMIT).await?;
        says(&done, 3, &["'mine'", "public.customer.iban", "ALTER PUBLICATION"]);
        Ok(())
    });
}

#[test]
fn a_publication_that_begins_to_carry_it_stops_capture() {
    test(async {
        if !can_be_left_out().await? {
            return Ok(());
        }
        let options = Options { capture: &EXCLUDE, config: None };
        let mut setup = Setup::on(Cluster::shared().await?, CUSTOMERS, options).await?;
        let sqlite = setup.sqlite("till")?;
        let publication = setup.master.value("SELECT pubname FROM pg_publication").await?;
        let name = publication.unwrap_or_default();
        setup.master.execute(&format!("ALTER PUBLICATION {name} SET TABLE customer")).await?;
        setup.master.execute("UPDATE customer SET iban = 'NO-secret-7' WHERE id = 1").await?;
        let ended = setup.capture.wait(LIMIT).await?;
        says(&ended, 3, &[&name, "public.customer.iban"]);
        setup.pull(&sqlite).await?;
        holds(&sqlite, "1Ada 2Bob; 1:5 2:6").await
    });
}
