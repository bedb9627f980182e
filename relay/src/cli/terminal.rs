use jiff::Timestamp;

use super::{
    args::{StatusArgs, TerminalCommand, TerminalForgetArgs},
    failure::Failure,
    output::print,
    report::terminals,
    status::{connect, lags, print_json},
};

/// `terminal …`: at a running relay.
pub(super) async fn terminal(command: &TerminalCommand) -> Result<(), Failure> {
    match command {
        TerminalCommand::List(args) => list(args).await,
        TerminalCommand::Forget(args) => forget(args).await,
    }
}

async fn list(args: &StatusArgs) -> Result<(), Failure> {
    let lags = lags(&args.relay).await?;
    if args.form.json {
        return print_json(&lags);
    }
    if lags.iter().all(|lag| lag.terminals.is_empty()) {
        eprintln!("No terminal has reported to {} yet.", args.relay.relay);
        return Ok(());
    }
    print(&terminals(&lags, Timestamp::now())).map_err(Failure::Output)
}

async fn forget(args: &TerminalForgetArgs) -> Result<(), Failure> {
    let client = connect(&args.relay)?;
    if let Some(source) = &args.relay.source_name {
        client.forget(source, &args.name).await?;
        return print(&format!("{source}: forgot {}\n", args.name)).map_err(Failure::Output);
    }
    let mut forgotten = 0;
    for source in client.sources().await? {
        match client.forget(&source, &args.name).await {
            Ok(()) => {
                forgotten += 1;
                print(&format!("{source}: forgot {}\n", args.name)).map_err(Failure::Output)?;
            }
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if forgotten == 0 {
        let relay = args.relay.relay.clone();
        return Err(Failure::NoTerminal { relay, name: args.name.clone() });
    }
    Ok(())
}
