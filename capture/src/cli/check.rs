use super::{
    args::CheckArgs,
    config::Config,
    failure::Failure,
    settings::{Common, common, selection},
};
use crate::{
    begin::{CheckScope, Finding, check},
    explain,
    run::RunError,
    settings::object_name,
    walsender::Walsender,
};

/// Prints what is missing. Fails where capture could not begin.
pub(super) async fn run(args: CheckArgs) -> Result<(), Failure> {
    let mut config = Config::read(args.master.config.as_deref())?;
    let Common { source, name, slot, publication } = common(args.master, &mut config)?;
    let selection = selection(args.tables, &mut config)?;
    if let Some(note) = nameless(name.is_some(), slot.is_some(), publication.is_some()) {
        println!("{note}");
    }
    let default = name.as_ref().map_or_else(|| "tailwater".to_owned(), object_name);
    let (slot, publication) =
        (slot.unwrap_or_else(|| default.clone()), publication.unwrap_or(default));
    let sql = source.connect_sql().await.map_err(RunError::from)?;
    let scope = CheckScope {
        slot: &slot,
        publication: &publication,
        selection: &selection,
        lost_slot_goes: false,
        failover: args.failover.failover || config.failover,
        ddl: args.ddl.ddl || config.ddl,
    };
    let findings = check(&source, &sql, &scope).await.map_err(RunError::from)?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.iter().any(|finding| finding.blocks) {
        return Err(Failure {
            code: 3,
            text: format!("{source} is not ready to be captured: see above"),
        });
    }
    // The right may be there and the way still barred (pg_hba.conf).
    match Walsender::connect(&source).await {
        Ok(walsender) => walsender.close().await,
        Err(error) => {
            let text =
                format!("a replication connection cannot be made: {}", explain::chain(&error));
            return Err(Failure { code: RunError::from(error).exit_code(), text });
        }
    }
    println!("{source} is ready to be captured");
    Ok(())
}

/// Where neither flag says what slot and publication are called: `run` calls them after its --name.
fn nameless(name: bool, slot: bool, publication: bool) -> Option<Finding> {
    let given = name || (slot && publication);
    (!given).then(|| {
        Finding::note(
            "no --name is given: what follows is for a slot and a publication called 'tailwater'",
            ["give the --name that `run` will have (or --slot and --publication), and the SQL is for its own names".to_owned()],
        )
    })
}
