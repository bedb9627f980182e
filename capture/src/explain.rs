//! Errors for people: the whole chain of causes in one line.

use std::error::Error;

/// `error: cause: cause of the cause`, leaving out causes that the line already says.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    #[test]
    fn causes_are_named_once() {
        let inner = Link { text: "no route to host", source: None };
        let middle = Link { text: "connect", source: Some(Box::new(inner)) };
        let outer = Link { text: "cannot connect", source: Some(Box::new(middle)) };
        assert_eq!(chain(&outer), "cannot connect: no route to host");
    }
}
