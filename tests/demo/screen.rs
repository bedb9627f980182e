//! What the demo shows: lines that stay, and below them a block that is drawn anew.

use std::io::{IsTerminal, Write};

/// Standard output. On a terminal the block moves; elsewhere each drawing is one plain line.
pub(crate) struct Screen {
    live: bool,
    color: bool,
    /// Lines of the block that is on the screen now.
    drawn: usize,
}

/// How a piece of text looks on a terminal.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    Bold,
    Dim,
    Good,
    Bad,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal()
            && std::env::var_os("TERM").is_some_and(|kind| kind != "dumb");
        let color = terminal && std::env::var_os("NO_COLOR").is_none();
        Self { live: terminal, color, drawn: 0 }
    }

    /// Whether the block moves.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    pub(crate) fn paint(&self, look: Look, text: &str) -> String {
        let code = match look {
            Look::Bold => "1",
            Look::Dim => "2",
            Look::Good => "32",
            Look::Bad => "1;31",
        };
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn title(&mut self, text: &str) {
        let line = self.paint(Look::Bold, text);
        self.say(&format!("\n{line}\n"));
    }

    /// A line that stays, above the block.
    pub(crate) fn say(&mut self, line: &str) {
        self.clear();
        self.write(&format!("{line}\n"));
    }

    /// A line that stays, about something bad that is done on purpose.
    pub(crate) fn alarm(&mut self, line: &str) {
        let line = self.paint(Look::Bad, line);
        self.say(&line);
    }

    /// A line that stays, about something that went well.
    pub(crate) fn good(&mut self, line: &str) {
        let line = self.paint(Look::Good, line);
        self.say(&line);
    }

    /// Draws the block over the last one.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        self.clear();
        self.write(&(lines.join("\n") + "\n"));
        self.drawn = lines.len();
    }

    /// Takes the block away.
    pub(crate) fn clear(&mut self) {
        if self.drawn > 0 {
            // Up to its first line, and all below erased (ECMA-48, CUU and ED).
            self.write(&format!("\x1b[{}A\x1b[J", self.drawn));
            self.drawn = 0;
        }
    }

    pub(crate) fn next_steps(&mut self) {
        self.title("Where to look next");
        for (what, why) in [
            ("README.md", "run it on a database of your own"),
            ("docs/ARCHITECTURE.md", "how it works, and what holds whatever breaks"),
            ("docs/WIRE_FORMAT.md", "what travels, byte by byte"),
            ("STAY=1 make demo", "the same, and it stays up for you to look around"),
            ("tailwater-capture check", "what your master lacks, and the SQL that mends it"),
        ] {
            let what = self.paint(Look::Bold, &format!("  {what:<25}"));
            self.say(&format!("{what} {why}"));
        }
        self.say("");
    }

    fn write(&self, text: &str) {
        let mut output = std::io::stdout();
        // Whoever reads may have gone (`make demo | head`): the demo goes on and tidies up.
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }
}
