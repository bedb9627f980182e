//! A terminal inside a program, into SQLite or PostgreSQL:
//! `cargo run -p tailwater-terminal --example embed http://127.0.0.1:7070 orders sqlite:shop.db`

use std::{env, error::Error};

use terminal_client::Terminal;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [relay, source, target] = args.as_slice() else { return Err("RELAY SOURCE TARGET".into()) };
    let terminal = Terminal::new(relay, source, "embedded")?;
    let outcome = terminal.pull(&target.parse()?).await?;
    println!("{outcome:?}");
    Ok(())
}
