//! A terminal that is loaded anew: damaged, killed on the way, watched meanwhile.

mod joined;
mod kept;
mod killed;
mod refused;
mod watched;

use anyhow::Result;

use crate::setup::Terminal;

/// Does to rows what nobody should, whatever keys say.
async fn damage(terminal: &Terminal, sql: &str) -> Result<()> {
    match terminal.is_sqlite() {
        true => terminal.execute(sql).await,
        false => terminal.execute(&format!("SET session_replication_role = replica; {sql}")).await,
    }
}
