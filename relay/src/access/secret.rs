use std::fmt;

use wire::Hash;

/// A new token: `tw_` and 256 random bits as hexadecimal digits. Shown once, kept nowhere.
pub struct Secret(String);

impl Secret {
    /// A random one.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        Ok(Self(format!("tw_{}", hex::encode(bits))))
    }

    /// The token, for the one who asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub(super) fn hash(&self) -> Hash {
        Hash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_random_and_does_not_show_itself() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_eq!(one.reveal().len(), 3 + 64);
        assert!(one.reveal().starts_with("tw_"));
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(format!("{one:?}"), "Secret(…)");
    }
}
