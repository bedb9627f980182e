//! Invariant 4 at PostgreSQL: the position commits with the rows. What keeps the one from being
//! written keeps the others out.

use anyhow::Result;
use harness::{Database, test};

use crate::{
    ending::says,
    setup::{LIMIT, Setup, Target, Terminal},
};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)";
const RAISES: &str = "RAISE EXCEPTION 'no position today'";
const SWALLOWS: &str = "RETURN NULL";

/// Has a trigger do that whenever the row of a terminal that is loaded is written.
async fn meddle(database: &Database, does: &str) -> Result<()> {
    // In a session that replays changes no other trigger fires.
    let sql = format!(
        "CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; END $$;
         DROP TRIGGER IF EXISTS meddle ON tailwater.position;
         CREATE TRIGGER meddle BEFORE INSERT OR UPDATE ON tailwater.position
             FOR EACH ROW WHEN (NEW.state = 'ready') EXECUTE FUNCTION meddle();
         ALTER TABLE tailwater.position ENABLE ALWAYS TRIGGER meddle"
    );
    database.execute(&sql).await
}

async fn leave_alone(database: &Database) -> Result<()> {
    database.execute("DROP TRIGGER meddle ON tailwater.position").await
}

async fn pull_fails(setup: &Setup, terminal: &Terminal, why: &str) -> Result<()> {
    let done = terminal.command(&setup.relay.url())?.run(LIMIT).await?;
    says(&done, 1, &[why]);
    Ok(())
}

#[test]
fn a_load_is_not_complete_without_its_position() {
    test(async {
        let setup = Setup::shared(TABLE).await?;
        let terminal = setup.postgres("store").await?;
        let Target::Postgres(database) = &terminal.target else { return Ok(()) };
        // Rows that are there already stop a load that has begun, so that there is a position row.
        database.execute(TABLE).await?;
        pull_fails(&setup, &terminal, "public.t").await?;
        database.execute("DROP TABLE t").await?;
        meddle(database, RAISES).await?;
        pull_fails(&setup, &terminal, "no position today").await?;
        // Its rows are in, and its keys; what comes with the position (the end of the load's record) is not.
        for (left, value) in [
            ("SELECT state FROM tailwater.position", Some("loading")),
            ("SELECT count(*)::text FROM tailwater.load", Some("1")),
            ("SELECT to_regclass('t_pkey')::text", Some("t_pkey")),
        ] {
            assert_eq!(terminal.value(left).await?.as_deref(), value, "{left}");
        }
        leave_alone(database).await?;
        setup.all_equal(&[&terminal]).await
    });
}

#[test]
fn changes_without_their_position_are_not_kept() {
    test(async {
        let setup = Setup::shared(TABLE).await?;
        let terminal = setup.postgres("store").await?;
        let Target::Postgres(database) = &terminal.target else { return Ok(()) };
        setup.pull(&terminal).await?;
        setup.master.execute("INSERT INTO t VALUES (2); DELETE FROM t WHERE id = 1").await?;
        setup.captured().await?;
        for (does, why) in [(RAISES, "no position today"), (SWALLOWS, "not as it was read")] {
            meddle(database, does).await?;
            pull_fails(&setup, &terminal, why).await?;
            let ids = terminal.value("SELECT string_agg(id::text, ' ') FROM t").await?;
            assert_eq!(ids.as_deref(), Some("1"), "{does}: some of them were kept");
        }
        leave_alone(database).await?;
        setup.all_equal(&[&terminal]).await
    });
}

/// What was committed is on disk, whatever the server is set to: only then it is applied.
#[test]
fn a_position_is_flushed_with_its_commit() {
    test(async {
        let setup = Setup::shared(TABLE).await?;
        let terminal = setup.postgres("store").await?;
        let Target::Postgres(database) = &terminal.target else { return Ok(()) };
        let name = database.name();
        let off = format!("ALTER DATABASE {name} SET synchronous_commit = off");
        database.execute(&off).await?;
        setup.pull(&terminal).await?;
        setup.master.execute("INSERT INTO t VALUES (2)").await?;
        meddle(
            database,
            "IF current_setting('synchronous_commit') <> 'on' THEN RAISE EXCEPTION 'lazy'; END IF; RETURN NEW",
        )
        .await?;
        setup.all_equal(&[&terminal]).await
    });
}
