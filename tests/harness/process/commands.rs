//! Captures and terminals, with the arguments of DESIGN's "Interfaces".

use anyhow::Result;

use super::{binary::binary, running::ProcessBuilder};

/// `tailwater-capture run`: tails `source_url` under `name` to the relay at `relay_url`.
pub fn capture(source_url: &str, name: &str, relay_url: &str) -> Result<ProcessBuilder> {
    Ok(ProcessBuilder::new(&format!("capture of {name}"), binary("tailwater-capture")?)
        .args(["run", "--source", source_url, "--name", name, "--relay", relay_url]))
}

/// `tailwater-terminal pull`: brings `source` from the relay at `relay_url` to `target`, a
/// `postgres://…` or `sqlite:FILE`. Pulls once, unless `--follow` or another mode is added.
pub fn terminal(relay_url: &str, source: &str, target: &str, name: &str) -> Result<ProcessBuilder> {
    of_terminal("pull", relay_url, source, target, name)
}

/// `tailwater-terminal reload`, with the same arguments.
pub fn reload(relay_url: &str, source: &str, target: &str, name: &str) -> Result<ProcessBuilder> {
    of_terminal("reload", relay_url, source, target, name)
}

/// `tailwater-terminal verify`, with the same arguments.
pub fn verify(relay_url: &str, source: &str, target: &str, name: &str) -> Result<ProcessBuilder> {
    of_terminal("verify", relay_url, source, target, name)
}

fn of_terminal(
    command: &str,
    relay_url: &str,
    source: &str,
    target: &str,
    name: &str,
) -> Result<ProcessBuilder> {
    Ok(ProcessBuilder::new(&format!("terminal {name}"), binary("tailwater-terminal")?).args([
        command,
        "--relay",
        relay_url,
        "--source-name",
        source,
        "--target",
        target,
        "--name",
        name,
    ]))
}
