//! What a program that gives up has to say.

use harness::Finished;

/// Fails unless it ended with `code` and its standard error holds each of `words`, and is meant
/// for people: no panic, no debug form of an error.
pub(crate) fn says(done: &Finished, code: i32, words: &[&str]) {
    assert_eq!(done.code, code, "{}\n{}", done.stdout, done.stderr);
    for word in words {
        assert!(done.stderr.contains(word), "it does not say '{word}': {}", done.stderr);
    }
    for noise in ["panicked at", "RUST_BACKTRACE", "Err(", "Error {", "Os {", "Stack backtrace"] {
        assert!(!done.stderr.contains(noise), "'{noise}' is for nobody: {}", done.stderr);
    }
}

/// Fails if `secret` is anywhere in the output.
pub(crate) fn hides(done: &Finished, secret: &str) {
    assert!(!done.stderr.contains(secret), "the secret is on standard error: {}", done.stderr);
    assert!(!done.stdout.contains(secret), "the secret is on standard output: {}", done.stdout);
}
