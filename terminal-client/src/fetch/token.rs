use std::{
    fmt,
    path::{Path, PathBuf},
};

use reqwest::header::HeaderValue;

/// No usable token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error(
        "cannot read the token file {path}: {source}; --token-file names a file that holds the token alone"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text cannot be a token. It is not shown.
    #[error(
        "the token from {origin} is empty or holds white space or control characters: it is one word, as `tailwater-relay token add` printed it"
    )]
    Text {
        /// Where it came from.
        origin: String,
    },
}

/// What a relay knows a terminal by. Never printed, never logged.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// The token as text; white space around it is left out. `origin` is where it came from, for
    /// messages.
    pub fn new(text: &str, origin: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let wrong = || TokenError::Text { origin: origin.to_owned() };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong());
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The token in a file.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TokenError::File { path: path.to_owned(), source })?;
        Self::new(&text, &path.display().to_string())
    }

    /// From `TAILWATER_TOKEN` where it is set, else from the file; none where neither is given.
    pub fn find(variable: Option<&str>, file: Option<&Path>) -> Result<Option<Self>, TokenError> {
        match (variable.filter(|text| !text.is_empty()), file) {
            (Some(text), _) => Self::new(text, "TAILWATER_TOKEN").map(Some),
            (None, Some(path)) => Self::read(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The value of the header `Authorization`, marked as secret.
    pub(super) fn authorization(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        let token = Token::new(" s3cret\n", "here").unwrap();
        assert!(!format!("{token:?} {:?}", token.authorization()).contains("s3cret"));
        let error = Token::new("s3 cret", "here").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("cret\""), "{error}");
        assert!(Token::new(" \n", "here").is_err());
    }

    #[test]
    fn the_variable_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "from-file\n").unwrap();
        let found = |variable| {
            let token = Token::find(variable, Some(&file)).unwrap().unwrap();
            token.authorization().to_str().unwrap().to_owned()
        };
        assert_eq!(found(Some("from-env")), "Bearer from-env");
        assert_eq!(found(Some("")), "Bearer from-file");
        assert_eq!(found(None), "Bearer from-file");
        assert!(Token::find(None, None).unwrap().is_none());
        let missing = Token::read(&folder.path().join("none")).unwrap_err().to_string();
        assert!(missing.contains("none") && missing.contains("--token-file"), "{missing}");
    }
}
