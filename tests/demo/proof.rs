//! Both terminals equal the master, table by table.

use anyhow::Result;
use harness::{Tables, compare_postgres, compare_sqlite};

use crate::{
    figures::grouped,
    load::Load,
    screen::{Look, Screen},
    stage::{POSTGRES, SQLITE, Stage},
};

/// Compares every row, shows the outcome, and fails if a single one differs.
pub(crate) async fn prove(stage: &Stage, screen: &mut Screen, load: &Load) -> Result<()> {
    screen.title("The proof: every row of every table, compared");
    let source = stage.master.url();
    let postgres = compare_postgres(source, stage.terminal.url(), &Tables::All).await?;
    let sqlite = compare_sqlite(source, &stage.sqlite_file, &Tables::All).await?;
    let header = format!("  {:<20} {:>10}   {POSTGRES:<22} {SQLITE}", "table", "master");
    let header = screen.paint(Look::Dim, &header);
    screen.say(&header);
    for (left, right) in postgres.tables.iter().zip(&sqlite.tables) {
        let cell = |equal: bool, rows: u64| {
            let (look, text) = if equal { (Look::Good, "equal") } else { (Look::Bad, "DIFFERS") };
            screen.paint(look, &format!("{:<22}", format!("{:>9} {text}", grouped(rows))))
        };
        let cells =
            [left, right].map(|table| cell(table.difference.is_none(), table.terminal_rows));
        let [left_cell, right_cell] = cells;
        let name = left.table.strip_prefix("public.").unwrap_or(&left.table);
        screen.say(&format!(
            "  {name:<20} {:>10} {left_cell} {right_cell}",
            grouped(left.source_rows)
        ));
    }
    postgres.into_result()?;
    sqlite.into_result()?;
    let (transactions, kills) = (grouped(load.transactions), load.kills);
    screen.good(&format!(
        "\n  ✔ {transactions} transactions, {kills} times kill -9: nothing lost, nothing twice"
    ));
    Ok(())
}
