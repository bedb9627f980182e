use std::fmt;

/// One thing that `check` found on the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Capture cannot run like this; otherwise it can, but the operator should know.
    pub blocks: bool,
    /// What it is.
    pub what: String,
    /// What puts it right, one statement or advice per line.
    pub remedy: Vec<String>,
}

impl Finding {
    /// Something that must be put right.
    pub fn missing(what: impl Into<String>, remedy: impl IntoIterator<Item = String>) -> Self {
        Self { blocks: true, what: what.into(), remedy: remedy.into_iter().collect() }
    }

    /// Something to know.
    pub fn note(what: impl Into<String>, remedy: impl IntoIterator<Item = String>) -> Self {
        Self { blocks: false, what: what.into(), remedy: remedy.into_iter().collect() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.blocks { "missing" } else { "note" };
        write!(f, "{mark}: {}", self.what)?;
        for line in &self.remedy {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}
