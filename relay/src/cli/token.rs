use std::fmt::Write;

use jiff::Timestamp;

use super::{
    args::{TokenAddArgs, TokenCommand, TokenListArgs, TokenRevokeArgs},
    failure::Failure,
    grid::{Align, grid, plain},
    output::print,
};
use crate::access::{Role, TokenFolder, TokenRecord};

/// `token …`: on the data directory, whether a relay runs or not.
pub(super) fn token(command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Add(args) => add(args),
        TokenCommand::List(args) => list(&args),
        TokenCommand::Revoke(args) => revoke(&args),
    }
}

fn add(args: TokenAddArgs) -> Result<(), Failure> {
    let TokenAddArgs { name, data, role, channels } = args;
    if channels.is_some() && role != Role::Terminal {
        return Err(Failure::ChannelsOfRole { role });
    }
    let channels = channels.map(|channels| channels.into_iter().collect());
    let folder = TokenFolder::new(&data.data_dir);
    let secret = folder.add(&name, role, channels, Timestamp::now())?;
    // Only the token goes to standard output, so that it can be piped into its file.
    print(&format!("{}\n", secret.reveal())).map_err(Failure::Output)?;
    eprintln!("The token '{name}' ({role}). It is not shown again: keep it now.");
    Ok(())
}

fn list(args: &TokenListArgs) -> Result<(), Failure> {
    let folder = TokenFolder::new(&args.data.data_dir);
    let (records, damaged) = folder.list()?;
    for (path, reason) in &damaged {
        eprintln!("warning: {}: {}; the relay refuses this token", path.display(), plain(reason));
    }
    let text = if args.form.json { json(&records) } else { table(&records) };
    if records.is_empty() && !args.form.json {
        eprintln!("No tokens in {}.", folder.path().display());
        return Ok(());
    }
    print(&text).map_err(Failure::Output)
}

fn table(records: &[TokenRecord]) -> String {
    let row = |record: &TokenRecord| {
        let channels = record.channels.as_ref().map_or_else(
            || if record.role == Role::Terminal { "all".to_owned() } else { "-".to_owned() },
            |set| set.iter().map(|channel| channel.as_str()).collect::<Vec<_>>().join(","),
        );
        let created = record.created_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        vec![record.name.to_string(), record.role.to_string(), created, channels]
    };
    let columns = ["NAME", "ROLE", "CREATED", "CHANNELS"].map(|name| (name, Align::Left));
    grid(&columns, &records.iter().map(row).collect::<Vec<_>>())
}

/// Without the hashes: they are of use to nobody.
fn json(records: &[TokenRecord]) -> String {
    let tokens: Vec<_> = records
        .iter()
        .map(|record| {
            serde_json::json!({
                "name": record.name,
                "role": record.role,
                "channels": record.channels,
                "created_at": record.created_at,
            })
        })
        .collect();
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:#}", serde_json::Value::Array(tokens));
    text
}

fn revoke(args: &TokenRevokeArgs) -> Result<(), Failure> {
    let folder = TokenFolder::new(&args.data.data_dir);
    folder.revoke(&args.name)?;
    eprintln!("The token '{}' is revoked.", args.name);
    let (records, damaged) = folder.list()?;
    if records.is_empty() && damaged.is_empty() {
        eprintln!(
            "It was the last one: nobody is let in until a token is added. (Remove {} to serve everyone on this machine without tokens.)",
            folder.path().display()
        );
    }
    Ok(())
}
