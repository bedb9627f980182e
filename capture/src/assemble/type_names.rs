use std::collections::HashMap;

use wire::TypeName;

/// Names of types by their OIDs on the master. Built-in types have the same OID everywhere; the
/// others are named by Type messages.
#[derive(Debug, Default)]
pub(super) struct TypeNames {
    user: HashMap<u32, TypeName>,
}

impl TypeNames {
    pub(super) fn learn(&mut self, oid: u32, name: TypeName) {
        self.user.insert(oid, name);
    }

    /// The name; for a type that nobody named, its OID as text, so that nothing is guessed.
    pub(super) fn name(&self, oid: u32) -> TypeName {
        self.user.get(&oid).cloned().unwrap_or_else(|| {
            let name = postgres_types::Type::from_oid(oid)
                .map_or_else(|| oid.to_string(), |known| known.name().to_owned());
            TypeName { schema: "pg_catalog".to_owned(), name }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_told_and_unknown() {
        let mut names = TypeNames::default();
        let mood = TypeName { schema: "public".into(), name: "mood".into() };
        names.learn(16_400, mood.clone());
        assert_eq!(names.name(16_400), mood);
        assert_eq!(names.name(23).to_string(), "pg_catalog.int4");
        assert_eq!(names.name(1007).to_string(), "pg_catalog._int4");
        assert_eq!(names.name(99_999).to_string(), "pg_catalog.99999");
    }
}
