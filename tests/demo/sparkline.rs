//! The last seconds as a row of bars.

use std::collections::VecDeque;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LENGTH: usize = 24;

/// A row of bars, the newest on the right.
#[derive(Debug, Default)]
pub(crate) struct Sparkline(VecDeque<u64>);

impl Sparkline {
    pub(crate) fn push(&mut self, value: u64) {
        if self.0.len() == LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    pub(crate) fn draw(&self) -> String {
        let most = self.0.iter().copied().max().unwrap_or(0).max(1);
        let bar = |value: &u64| {
            let height = usize::try_from(value * (BARS.len() as u64 - 1) / most).unwrap_or(0);
            BARS.get(height).copied().unwrap_or(' ')
        };
        self.0.iter().map(bar).collect()
    }
}
