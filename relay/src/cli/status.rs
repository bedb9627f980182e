use std::path::Path;

use jiff::Timestamp;
use wire::Lag;

use super::{
    args::{RelayArgs, StatusArgs},
    client::RelayClient,
    failure::Failure,
    output::print,
    report::describe,
};

/// `status`: the lag of every source.
pub(super) async fn status(args: &StatusArgs) -> Result<(), Failure> {
    let lags = lags(&args.relay).await?;
    if args.form.json {
        return print_json(&lags);
    }
    let now = Timestamp::now();
    let mut text = lags.iter().map(|lag| describe(lag, now)).collect::<Vec<_>>().join("\n");
    if lags.is_empty() {
        text = format!(
            "The relay at {} has no source yet: start one with `tailwater-capture run`.\n",
            args.relay.relay
        );
    }
    print(&text).map_err(Failure::Output)
}

/// A JSON array with one element, as `GET /v1/{source}/lag` gives it, for each source.
pub(super) fn print_json(lags: &[Lag]) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(lags).map_err(|error| Failure::Output(error.into()))?;
    print(&format!("{text}\n")).map_err(Failure::Output)
}

/// The lag of the source asked for, or of all.
pub(super) async fn lags(args: &RelayArgs) -> Result<Vec<Lag>, Failure> {
    let client = connect(args)?;
    let sources = match &args.source_name {
        Some(source) => vec![source.clone()],
        None => client.sources().await?,
    };
    let mut lags = Vec::with_capacity(sources.len());
    for source in &sources {
        lags.push(client.lag(source).await?);
    }
    Ok(lags)
}

pub(super) fn connect(args: &RelayArgs) -> Result<RelayClient, Failure> {
    let token = match &args.token_file {
        Some(path) => Some(token_of_file(path)?),
        None => token_of_environment()?,
    };
    Ok(RelayClient::new(&args.relay, token, args.timeout)?)
}

fn token_of_file(path: &Path) -> Result<String, Failure> {
    let failure = |reason: String| Failure::TokenFile { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| failure(error.to_string()))?;
    one_word(&text).map_err(|reason| failure(reason.to_owned()))
}

fn token_of_environment() -> Result<Option<String>, Failure> {
    match std::env::var_os("TAILWATER_TOKEN").filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => one_word(&text.to_string_lossy())
            .map(Some)
            .map_err(|reason| Failure::TokenVariable { reason: reason.to_owned() }),
    }
}

/// A token has to fit into a header.
fn one_word(text: &str) -> Result<String, &'static str> {
    let word = text.trim();
    if word.is_empty() {
        Err("it is empty")
    } else if word.bytes().all(|letter| letter.is_ascii_graphic()) {
        Ok(word.to_owned())
    } else {
        Err("it holds more than one word, or letters that no token has")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word() {
        assert_eq!(one_word(" tw_1\n").as_deref(), Ok("tw_1"));
        for text in ["", " \n", "a b", "tw_é", "a\nb"] {
            assert!(one_word(text).is_err(), "{text}");
        }
    }
}
