//! Speed, side by side with native logical replication on the same machine in the same run. Read
//! the ratios: absolute times say more about the machine than about the programs.
//!
//! ```text
//! tailwater-bench w1 [TRANSACTIONS]       pgbench's transactions, four changes each
//! tailwater-bench w2 [TRANSACTIONS]       transactions of 1,000 inserts, updates and deletes
//! tailwater-bench load [SCALE]            the first load, beside pg_dump | psql
//! tailwater-bench linear [TRANSACTIONS]   the same work once and ten times: does it take ten times as long?
//! ```

mod load;
mod master;
mod native;
mod report;
mod tailwater;

use anyhow::{Result, bail};

use crate::{
    master::{Master, Work},
    report::Report,
};

const DEFAULT_TRANSACTIONS: u32 = 50_000;
const DEFAULT_MIXED_TRANSACTIONS: u32 = 500;
const DEFAULT_SCALE: u32 = 20;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let which = args.next().unwrap_or_else(|| "all".into());
    let count = args.next().map(|text| text.parse()).transpose()?;
    let transactions = count.unwrap_or(DEFAULT_TRANSACTIONS);
    match which.as_str() {
        "w1" => w1(transactions).await,
        "w2" => w2(count.unwrap_or(DEFAULT_MIXED_TRANSACTIONS)).await,
        "linear" => linear(transactions / 10).await,
        "load" => load::load(count.unwrap_or(DEFAULT_SCALE)).await,
        "all" => {
            w1(transactions).await?;
            w2(DEFAULT_MIXED_TRANSACTIONS).await?;
            load::load(DEFAULT_SCALE).await?;
            linear(transactions / 10).await
        }
        other => {
            bail!(
                "'{other}' is no benchmark: say w1, w2, load, linear or all, and how many transactions (for load: pgbench's scale)"
            )
        }
    }
}

async fn w1(transactions: u32) -> Result<()> {
    println!("W1: pgbench, {transactions} transactions, {} changes\n", u64::from(transactions) * 4);
    drained(Work::Pgbench, transactions * 4).await
}

async fn w2(transactions: u32) -> Result<()> {
    println!("\nW2: {transactions} transactions of 1,000 changes: inserts, updates, deletes\n");
    drained(Work::Mixed, transactions * 1_000).await
}

/// The same WAL, drained by a native subscription and by Tailwater in its two halves and whole.
async fn drained(work: Work, changes: u32) -> Result<()> {
    let master = Master::start(work).await?;
    let native = native::Subscriber::prepare(&master).await?;
    let halves = tailwater::Path::prepare(&master, "halves").await?;
    let whole = tailwater::Path::prepare(&master, "whole").await?;
    master.work(changes).await?;

    let mut report = Report::new(f64::from(changes), "changes", "native");
    let native_seconds = native.drain(&master).await?;
    report.peer("native logical replication, drained", native_seconds);
    report.ours("master to relay (capture alone)", halves.capture(&master).await?);
    report.ours("relay to terminal (a full log, pulled once)", halves.pull().await?);
    report
        .ours("master to terminal (capture and terminal together)", whole.together(&master).await?);
    halves.check(&master).await?;
    whole.check(&master).await?;
    report.print();
    Ok(())
}

/// Ten times the changes must take about ten times as long.
async fn linear(transactions: u32) -> Result<()> {
    println!("\nlinear: {transactions} transactions, then {}\n", transactions * 10);
    let master = Master::start(Work::Pgbench).await?;
    let path = tailwater::Path::prepare(&master, "linear").await?;
    let mut seconds = Vec::new();
    for count in [transactions, transactions * 10] {
        master.work(count * 4).await?;
        let captured = path.capture(&master).await?;
        let pulled = path.pull().await?;
        println!("{count:>9} transactions: capture {captured:.2} s, pull {pulled:.2} s");
        seconds.push((captured, pulled));
    }
    if let [(capture, pull), (capture_ten, pull_ten)] = seconds.as_slice() {
        println!(
            "ten times the transactions took {:.1} times as long to capture, {:.1} times to pull",
            capture_ten / capture,
            pull_ten / pull
        );
    }
    Ok(())
}
