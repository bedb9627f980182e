//! `--repair` writes what differs, and nothing else.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Cluster, RelayProcess, Tables, Workload, rng, seed, test, test_within};
use rand::Rng;

use super::{counts, found, same, temporary, verify};
use crate::setup::{Options, Setup, Target, Terminal};

/// Does to rows what nobody should, whatever keys say.
async fn damage(terminal: &Terminal, sql: &str) -> Result<()> {
    match terminal.is_sqlite() {
        true => terminal.execute(sql).await,
        false => terminal.execute(&format!("SET session_replication_role = replica; {sql}")).await,
    }
}

const TABLES: &str = "
    CREATE TABLE customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, twice bigint GENERATED ALWAYS AS (id * 2) STORED);
    CREATE TABLE line (id int PRIMARY KEY, customer bigint REFERENCES customer, n int);
    CREATE TABLE bag (t text, j json);
    CREATE TABLE part (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE part_2 PARTITION OF part DEFAULT;
    INSERT INTO customer (name) SELECT 'c' || n FROM generate_series(1, 500) n;
    INSERT INTO line SELECT n, n, n FROM generate_series(1, 500) n;
    INSERT INTO bag SELECT 'b' || n % 5, '[1, 2]' FROM generate_series(1, 50) n;
    INSERT INTO part SELECT n, date '2026-01-15' + n % 60 FROM generate_series(1, 300) n";

/// Damaged at random places, again and again, while the master works.
#[test]
fn row_for_row_and_the_next_pull_goes_on() {
    test_within(Duration::from_secs(300), async {
        let mut rng = rng("repair");
        println!("seed {}", seed());
        let master = Cluster::shared().await?.database().await?;
        master.execute(TABLES).await?;
        Workload::prepare(master.url()).await?;
        let relay = RelayProcess::builder().start().await?;
        let options = Options { capture: &["--keyless", "full"], config: None };
        let setup = Setup::with(master, relay, options).await?;
        let mut workload = Workload::start(setup.master.url(), seed(), 3).await?;
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            setup.pull(&terminal).await?;
            let (identity, replicated) = match terminal.is_sqlite() {
                true => ("", "tailwater_position"),
                false => ("OVERRIDING SYSTEM VALUE", "tailwater.position"),
            };
            for _ in 0..2 {
                workload.run(100).await?;
                workload.finish().await?;
                let n = rng.random_range(2..9);
                damage(
                    &terminal,
                    &format!(
                        "DELETE FROM line WHERE id % {n} = 1; UPDATE line SET n = 7 WHERE id % {n} = 0;
                         DELETE FROM customer WHERE id % {n} = 1; UPDATE customer SET name = 'x' || id WHERE id % {n} = 0;
                         INSERT INTO customer (id, name) {identity} VALUES (5000, 'c1');
                         DELETE FROM bag WHERE t = 'b{n}' OR t = 'b1'; INSERT INTO bag VALUES ('b2', '[1, 2]'), (NULL, NULL);
                         DELETE FROM part_1; INSERT INTO part_2 VALUES (900, '2027-01-01')"
                    ),
                )
                .await?;
                let seen = found(&setup, &terminal, &["--repair"], 0).await?;
                assert!(seen["same"] == true, "{seen}");
                assert!(seen["repaired"]["inserted"].as_u64() > Some(100), "{seen}");
                assert!(seen["repaired"]["updated"].as_u64() > Some(50), "{seen}");
                assert!(seen["repaired"]["deleted"].as_u64() >= Some(2), "{seen}");
                let at = terminal.value(&format!("SELECT lsn FROM {replicated}")).await?;
                assert_eq!(at.as_deref(), seen["lsn"].as_str(), "not at the snapshot");
                assert_eq!(temporary(&terminal).await?.as_deref(), Some("0"));
                same(&setup, &terminal).await?;
                setup.all_equal(&[&terminal]).await?;
            }
        }
        Ok(())
    });
}

/// A role that may not switch triggers off: foreign keys act, in a circle even.
#[test]
fn where_foreign_keys_act() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int);
             INSERT INTO a SELECT n, n FROM generate_series(1, 50) n; INSERT INTO b SELECT n, n FROM generate_series(1, 50) n",
        )
        .await?;
        let terminal = setup.postgres("store").await?;
        let Target::Postgres(database) = &terminal.target else { unreachable!() };
        let role = format!("modest_{}", database.name());
        database
            .execute(&format!(
                "CREATE ROLE {role} LOGIN; ALTER DATABASE {} OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}",
                database.name()
            ))
            .await?;
        let url = terminal.url();
        let (_, host) = url.split_once('@').context("no user")?;
        let url = format!("postgres://{role}@{host}");
        let modest = |command: &str| -> Result<harness::ProcessBuilder> {
            let program = harness::binary("tailwater-terminal")?;
            let relay = setup.relay.url();
            let args = [command, "--relay", &relay, "--source-name", "orders", "--target", &url];
            Ok(harness::ProcessBuilder::new(command, program).args(args).args(["--name", "store"]))
        };
        let run = async |command: &str, args: &[&str], code: i32| -> Result<harness::Finished> {
            let done = modest(command)?.args(args).run(crate::setup::LIMIT).await?;
            assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
            Ok(done)
        };
        run("pull", &[], 0).await?;
        terminal
            .execute(
                "ALTER TABLE a ADD CONSTRAINT ab FOREIGN KEY (b) REFERENCES b; ALTER TABLE b ADD CONSTRAINT ba FOREIGN KEY (a) REFERENCES a;
                 SET session_replication_role = replica;
                 DELETE FROM a WHERE id < 20; DELETE FROM b WHERE id < 10; INSERT INTO a VALUES (100, 100); INSERT INTO b VALUES (100, 100);
                 UPDATE a SET b = 100 WHERE id = 40",
            )
            .await?;
        run("verify", &[], 1).await?;
        run("verify", &["--repair"], 0).await?;
        terminal.equals(&setup.master, &Tables::All).await?;
        // A key of the target's own that would take rows along is not let act.
        terminal
            .execute("CREATE TABLE own (a int REFERENCES a ON DELETE CASCADE); UPDATE a SET b = 1 WHERE id = 2")
            .await?;
        let done = run("verify", &["--repair"], 1).await?;
        assert!(done.stderr.contains("its foreign key"), "{}", done.stderr);
        let owner = database.value("SELECT current_user").await?.context("no user")?;
        database
            .execute(&format!(
                "REASSIGN OWNED BY {role} TO {owner}; DROP OWNED BY {role}; DROP ROLE {role}"
            ))
            .await
    });
}

/// What cannot be written as it should be is an error that leaves everything as it was.
#[test]
fn a_constraint_of_the_terminals_own_is_in_the_way() {
    test(async {
        let setup = Setup::shared(
            "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, n FROM generate_series(1, 20) n;
             CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)",
        )
        .await?;
        for terminal in [setup.postgres("store").await?, setup.sqlite("till")?] {
            setup.pull(&terminal).await?;
            terminal.execute("DELETE FROM other; UPDATE t SET n = 100 + id").await?;
            // The values that are here fit it, the right ones do not.
            terminal
                .execute("CREATE UNIQUE INDEX own ON t ((CASE WHEN n > 100 THEN n ELSE 0 END))")
                .await?;
            let seen = found(&setup, &terminal, &[], 1).await?;
            assert_eq!(counts(&seen, "t")?, [0, 0, 20]);
            let done = verify(&setup, &terminal, &["--repair"], 1).await?;
            assert!(
                done.stderr.contains("nothing was repaired; `tailwater-terminal reload`"),
                "{}",
                done.stderr
            );
            let seen = found(&setup, &terminal, &[], 1).await?;
            assert_eq!(counts(&seen, "t")?, [0, 0, 20]);
            assert_eq!(counts(&seen, "other")?, [1, 0, 0]);
            terminal.execute("DROP INDEX own").await?;
            found(&setup, &terminal, &["--repair"], 0).await?;
            setup.all_equal(&[&terminal]).await?;
        }
        Ok(())
    });
}
