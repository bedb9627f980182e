use super::{
    super::catalog::{Array, Column},
    array::Elements,
};

/// How the values of a column travel as one parameter, an array.
#[derive(Clone, Debug)]
pub(super) struct Staging {
    /// The array's type, with its schema, quoted.
    pub(super) array_type: String,
    pub(super) elements: Elements,
    /// To what an element is cast; none where it is of the type already.
    pub(super) cast: Option<String>,
}

/// Types of PostgreSQL's own to which a text is not cast by reading it as their text form.
const OTHER_CASTS: &[&str] = &["char", "name", "xml", "regclass"];

impl Staging {
    /// Each element must be read as a value of the type is read, without modifiers: an assignment applies those,
    /// and refuses what a cast would cut. Binary is much cheaper to read than an array's text.
    pub(super) fn of(column: &Column) -> Self {
        let own = |name: &str, elements| Self {
            array_type: format!("pg_catalog._{name}"),
            elements,
            cast: None,
        };
        // The numbers are those of pg_type.dat, the same in every server.
        match column.own_type.as_deref() {
            Some("int2") => return own("int2", Elements::Int2),
            Some("int4") => return own("int4", Elements::Int4),
            Some("int8") => return own("int8", Elements::Int8),
            Some("text") => return own("text", Elements::Texts(25)),
            Some("bpchar") => return own("bpchar", Elements::Texts(1042)),
            Some("varchar") => return own("varchar", Elements::Texts(1043)),
            _ => {}
        }
        let has_cast = column.own_type.as_ref().is_none_or(|of| OTHER_CASTS.contains(&of.as_str()));
        match &column.array {
            Some(Array { type_name, delimiter }) if has_cast => Self {
                array_type: type_name.clone(),
                elements: Elements::Delimited(*delimiter),
                cast: None,
            },
            _ => Self { cast: Some(column.type_name.clone()), ..own("text", Elements::Texts(25)) },
        }
    }
}
