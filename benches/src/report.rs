//! The table at the end.

pub(crate) struct Report {
    amount: f64,
    unit: &'static str,
    peer_name: &'static str,
    peer: f64,
    rows: Vec<(String, f64)>,
}

impl Report {
    /// For so many of `unit`, beside the peer of that name.
    pub(crate) fn new(amount: f64, unit: &'static str, peer_name: &'static str) -> Self {
        Self { amount, unit, peer_name, peer: 0.0, rows: Vec::new() }
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
        let (rate, times) = (format!("{}/s", self.unit), format!("times {}", self.peer_name));
        println!("\n{:<55}{:>9}{rate:>12}{times:>16}", "", "seconds");
        for (what, seconds) in &self.rows {
            let rate = self.amount / seconds;
            println!("{what:<55}{seconds:>9.2}{rate:>12.0}{:>16.2}", self.peer / seconds);
        }
    }
}
