use serde::{Deserialize, Serialize};

/// A table or type by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Named {
    /// Its schema on the source.
    pub schema: String,
    /// Its name there.
    pub name: String,
}

impl Named {
    /// Of these names.
    pub fn new(schema: &str, name: &str) -> Self {
        Self { schema: schema.to_owned(), name: name.to_owned() }
    }
}
