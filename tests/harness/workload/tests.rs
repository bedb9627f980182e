use anyhow::Result;

use super::{Pgbench, Plan, Workload};
use crate::{compare::compare_postgres, postgres::Cluster, seed::seed, test::test};

#[test]
fn a_seed_decides_every_step() {
    let steps = |seed| Plan::new(seed, 4).take(500).collect::<Vec<_>>();
    assert_eq!(steps(7), steps(7));
    assert_ne!(steps(7), steps(8));
}

#[test]
fn transactions_interleave_and_all_kinds_of_work_appear() {
    let steps: Vec<_> = Plan::new(1, 4).take(5_000).collect();
    for kind in [
        "INSERT",
        "UPDATE",
        "DELETE",
        "TRUNCATE",
        "SAVEPOINT",
        "ROLLBACK TO",
        "ROLLBACK",
        "SELECT pg_log",
    ] {
        assert!(steps.iter().any(|step| step.sql.starts_with(kind)), "{kind}");
    }
    // Some transaction begins after another and commits before it.
    let mut open = Vec::new();
    let mut overtaken = false;
    for step in &steps {
        match step.sql.as_str() {
            "BEGIN" => open.push(step.connection),
            "COMMIT" | "ROLLBACK" => {
                overtaken |= open.first() != Some(&step.connection);
                open.retain(|connection| *connection != step.connection);
            }
            _ => {}
        }
    }
    assert!(overtaken);
}

/// The driver never waits for a lock, whatever the seed; and the same seed makes the same rows.
#[test]
fn the_plan_runs_and_can_be_repeated() {
    test(async {
        let cluster = Cluster::shared().await?;
        let (first, second) = (cluster.database().await?, cluster.database().await?);
        let seed = seed();
        for database in [&first, &second] {
            Workload::prepare(database.url()).await?;
            let impatient = format!("ALTER DATABASE {} SET lock_timeout = '1s'", database.name());
            database.execute(&impatient).await?;
            let mut workload = Workload::start(database.url(), seed, 4).await?;
            workload.run(1_500).await?;
            workload.finish().await?;
        }
        let comparison = compare_postgres(first.url(), second.url(), &Workload::tables()).await?;
        assert!(comparison.rows() > 100, "{comparison}");
        comparison.into_result()
    });
}

#[test]
fn pgbench_runs() {
    test(async {
        let database = Cluster::shared().await?.database().await?;
        let pgbench = Pgbench::new(database.url())?;
        pgbench.init(1).await?;
        assert!(pgbench.run(2, 50).await? > 0.0);
        let background = pgbench.spawn(1, 60, &["--rate", "100"])?;
        background.kill()?;
        let transactions: Result<Option<String>> =
            database.value("SELECT count(*) FROM pgbench_history").await;
        assert!(transactions?.unwrap_or_default().parse::<u32>()? >= 100);
        Ok(())
    });
}
