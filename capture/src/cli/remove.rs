use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    args::RemoveArgs,
    config::Config,
    failure::Failure,
    settings::{Common, common},
};
use crate::{
    begin::{SlotFacts, drop_publication, our_publications, publication},
    ddl,
    run::RunError,
    settings::object_name,
    source::{SqlSession, answer},
};

/// How long a slot that was in use until now is waited for.
pub(super) const FREE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Drops what capture made on the master, and says what that was.
pub(super) async fn run(args: RemoveArgs) -> Result<(), Failure> {
    let mut config = Config::read(args.master.config.as_deref())?;
    let Common { source, name, slot, publication } = common(args.master, &mut config)?;
    let named = name.as_ref().map(object_name);
    let sql = source.connect_sql().await.map_err(RunError::from)?;
    if args.ddl {
        if !remove_ddl(&sql, publication.or(named).as_deref()).await? {
            println!("{source} has no event triggers of capture's");
        }
        return Ok(());
    }
    let slots = match slot.or_else(|| named.clone()) {
        Some(slot) => vec![slot],
        None => our_slots(&sql).await?,
    };
    let publication = publication.or(named);
    let mut done = 0;
    for slot in &slots {
        done += u32::from(remove_slot(&sql, slot).await?);
    }
    done += u32::from(remove_ddl(&sql, publication.as_deref()).await?);
    let publications = match publication {
        Some(publication) => vec![publication],
        None => our_publications(&sql).await.map_err(RunError::from)?,
    };
    for publication in &publications {
        done += u32::from(remove_publication(&sql, publication).await?);
    }
    if done == 0 {
        println!("nothing to remove from {source}");
    }
    Ok(())
}

async fn our_slots(sql: &SqlSession) -> Result<Vec<String>, Failure> {
    let query = "
        SELECT slot_name::text FROM pg_catalog.pg_replication_slots
        WHERE plugin = 'pgoutput' AND database = pg_catalog.current_database() AND slot_name LIKE 'tailwater\\_%' ORDER BY 1";
    let rows = answer(sql.query(query, &[])).await.map_err(RunError::from)?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

pub(super) async fn remove_slot(sql: &SqlSession, slot: &str) -> Result<bool, Failure> {
    let Some(facts) = free_slot(sql, slot).await? else {
        println!("there is no replication slot '{slot}'");
        return Ok(false);
    };
    if let Some(pid) = facts.active_pid {
        let text = format!(
            "the replication slot '{slot}' is in use by PID {pid}: stop that capture first. Nothing more was removed"
        );
        return Err(Failure { code: 3, text });
    }
    let drop = "SELECT pg_catalog.pg_drop_replication_slot($1)";
    answer(sql.query(drop, &[&slot])).await.map_err(RunError::from)?;
    println!("dropped the replication slot '{slot}': the master keeps no more WAL for it");
    Ok(true)
}

/// The slot, once nobody uses it or it was waited for: the server needs a moment to see that a capture
/// has left.
pub(super) async fn free_slot(sql: &SqlSession, slot: &str) -> Result<Option<SlotFacts>, Failure> {
    let deadline = Instant::now() + FREE_WITHIN;
    loop {
        let facts = SlotFacts::read(sql, slot).await.map_err(RunError::from)?;
        let used = facts.as_ref().is_some_and(|facts| facts.active_pid.is_some());
        if !used || Instant::now() >= deadline {
            return Ok(facts);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Before the publication, which carries its table. Those of another publication stay.
async fn remove_ddl(sql: &SqlSession, publication: Option<&str>) -> Result<bool, Failure> {
    let installed = ddl::installed(sql).await.map_err(RunError::from)?;
    let Some(of) = installed.filter(|of| publication.is_none_or(|publication| publication == of))
    else {
        return Ok(false);
    };
    ddl::remove(sql).await.map_err(RunError::from)?;
    println!("dropped the event triggers that recorded schema changes for '{of}', and the records");
    Ok(true)
}

async fn remove_publication(sql: &SqlSession, name: &str) -> Result<bool, Failure> {
    match publication(sql, name).await.map_err(RunError::from)? {
        None => {
            println!("there is no publication '{name}'");
            Ok(false)
        }
        Some(facts) if !facts.ours => {
            println!("left the publication '{name}' as it is: it was not made by capture");
            Ok(false)
        }
        Some(_) => {
            drop_publication(sql, name).await.map_err(RunError::from)?;
            println!("dropped the publication '{name}'");
            Ok(true)
        }
    }
}
