//! The table at the end.

pub(crate) struct Report {
    changes: f64,
    peer: f64,
    rows: Vec<(String, f64)>,
}

impl Report {
    pub(crate) fn new(transactions: u32) -> Self {
        Self { changes: f64::from(transactions) * 4.0, peer: 0.0, rows: Vec::new() }
    }

    pub(crate) fn peer(&mut self, what: &str, seconds: f64) {
        self.peer = seconds;
        self.ours(what, seconds);
    }

    pub(crate) fn ours(&mut self, what: &str, seconds: f64) {
        println!("  {what}: {seconds:.2} s");
        self.rows.push((what.to_owned(), seconds));
    }

    /// Times, rates, and how many times as fast as the peer.
    pub(crate) fn print(&self) {
        println!("\n{:<55}{:>9}{:>12}{:>16}", "", "seconds", "changes/s", "times native");
        for (what, seconds) in &self.rows {
            let rate = self.changes / seconds;
            println!("{what:<55}{seconds:>9.2}{rate:>12.0}{:>16.2}", self.peer / seconds);
        }
    }
}
