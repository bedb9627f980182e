//! The built binary, as its users call it: help, exit codes, what goes where.

#[cfg(test)]
mod command_line {
    pub(crate) mod fake;
    pub(crate) mod program;

    mod serving;
    mod tokens;
    mod usage;
    mod watching;
}
