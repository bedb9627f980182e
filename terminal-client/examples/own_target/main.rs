//! A target of one's own: tables with a primary key as maps in memory, in one JSON file together with their position.
//! Made for some thousand rows that a program wants at hand: each commit writes the file anew.
//!
//! `cargo run -p tailwater-terminal --example own_target http://127.0.0.1:7070 orders tables.json`

mod rows;
mod target;

use std::{env, error::Error, path::PathBuf};

use terminal_client::Terminal;

use self::target::JsonFile;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [relay, source, file] = args.as_slice() else { return Err("RELAY SOURCE FILE".into()) };
    let file = PathBuf::from(file);
    let terminal = Terminal::new(relay, source, "own")?;
    let outcome = terminal.pull_into(|| JsonFile::open(file.clone())).await?;
    println!("{outcome:?}");
    Ok(())
}
