//! User types whose values PostgreSQL prints another way now, though it rewrote no row.

use wire::{Definitions, TypeDefinition, TypeKind};

/// What became of the text of a type's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// It is as it was.
    Same,
    /// Old texts, and what each is now.
    Words(Vec<(String, String)>),
    /// So many empty fields more at the end.
    Longer(usize),
    /// Something else: only a load knows.
    Other,
}

/// Compares the type of a column before and now.
pub(super) fn text_of(was: (&Definitions, &str), is: (&Definitions, &str)) -> Text {
    let ((was_all, was_sql), (is_all, is_sql)) = (was, is);
    if let (Some(was_one), Some(is_one)) = (was_sql.strip_suffix("[]"), is_sql.strip_suffix("[]")) {
        return inside(text_of((was_all, was_one), (is_all, is_one)));
    }
    let (Some(was), Some(is)) = (named(was_all, was_sql), named(is_all, is_sql)) else {
        return Text::Same;
    };
    match (&was.kind, &is.kind) {
        (TypeKind::Enum { labels: was }, TypeKind::Enum { labels: is })
            if was.len() == is.len() =>
        {
            let renamed = was.iter().zip(is).filter(|(was, is)| was != is);
            let words: Vec<_> = renamed.map(|(was, is)| (was.clone(), is.clone())).collect();
            if words.is_empty() { Text::Same } else { Text::Words(words) }
        }
        (TypeKind::Domain { base: was, .. }, TypeKind::Domain { base: is, .. }) => {
            text_of((was_all, was), (is_all, is))
        }
        (TypeKind::Range { subtype: was }, TypeKind::Range { subtype: is }) => {
            inside(text_of((was_all, was), (is_all, is)))
        }
        (TypeKind::Composite { fields: was }, TypeKind::Composite { fields: is }) => {
            fields(was_all, was, is_all, is)
        }
        // A type that was another type before comes with rewritten rows; labels that are added
        // change no text.
        _ => Text::Same,
    }
}

/// Within other text, which quotes it.
fn inside(text: Text) -> Text {
    if text == Text::Same { text } else { Text::Other }
}

type Field = (String, String);

/// A field that is not the last one any more was dropped where names differ; one that has another name in
/// its old place and is of its old type was renamed.
fn fields(was_all: &Definitions, was: &[Field], is_all: &Definitions, is: &[Field]) -> Text {
    let kept = is.get(..was.len()).unwrap_or_default();
    let renamed = was.iter().zip(kept).filter(|((was, _), (is, _))| was != is).count();
    let names_move = was.iter().zip(kept).any(|((old, _), (new, _))| {
        old != new
            && (is.iter().any(|(name, _)| name == old) || was.iter().any(|(name, _)| name == new))
    });
    let same =
        |((_, was), (_, is)): (&Field, &Field)| text_of((was_all, was), (is_all, is)) == Text::Same;
    let more = is.len().checked_sub(was.len());
    match more {
        Some(more) if renamed <= 1 && !names_move && was.iter().zip(kept).all(same) => match more {
            0 => Text::Same,
            // One that is renamed and one that is added are two statements: this is one dropped.
            _ if renamed > 0 || was.is_empty() => Text::Other,
            more => Text::Longer(more),
        },
        _ => Text::Other,
    }
}

/// The user type that `format_type` writes so.
fn named<'a>(all: &'a Definitions, sql: &str) -> Option<&'a TypeDefinition> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    all.types.iter().find(|of| {
        let schemas = [of.schema.clone(), quoted(&of.schema)];
        let names = [of.name.clone(), quoted(&of.name)];
        schemas.iter().any(|schema| names.iter().any(|name| sql == format!("{schema}.{name}")))
    })
}

impl Text {
    /// The texts of now, as an expression over a column with those of before; none where only a load
    /// knows.
    pub(super) fn sql(&self, column: &str) -> Option<String> {
        let literal = |text: &String| format!("'{}'", text.replace('\'', "''"));
        match self {
            Self::Same => Some(column.to_owned()),
            Self::Words(words) => {
                let when = |(was, is): &(String, String)| {
                    format!(" WHEN {} THEN {}", literal(was), literal(is))
                };
                let whens: String = words.iter().map(when).collect();
                Some(format!("CASE {column}{whens} ELSE {column} END"))
            }
            Self::Longer(more) => {
                let commas = ",".repeat(*more);
                Some(format!("substr({column}, 1, length({column}) - 1) || '{commas})'"))
            }
            Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(kind: TypeKind) -> Definitions {
        let of = |name: &str, kind| TypeDefinition {
            oid: 1,
            schema: "public".into(),
            name: name.into(),
            kind,
        };
        let domain = TypeKind::Domain {
            base: "public.t".into(),
            not_null: false,
            default: None,
            checks: Vec::new(),
        };
        Definitions { types: vec![of("t", kind), of("D d", domain)], ..Definitions::default() }
    }

    fn composite(fields: &[&str]) -> TypeKind {
        let field = |name: &&str| ((*name).to_owned(), "text".to_owned());
        TypeKind::Composite { fields: fields.iter().map(field).collect() }
    }

    fn labels(labels: &[&str]) -> TypeKind {
        TypeKind::Enum { labels: labels.iter().map(|label| (*label).to_owned()).collect() }
    }

    #[test]
    fn texts() {
        let words = Text::Words(vec![("b".into(), "c".into())]);
        for (was, is, sql, expected) in [
            (labels(&["a", "b"]), labels(&["a", "b", "x"]), "public.t", Text::Same),
            (labels(&["a", "b"]), labels(&["a", "c"]), "public.t", words.clone()),
            (labels(&["a", "b"]), labels(&["a", "c"]), "public.\"D d\"", words),
            (labels(&["a", "b"]), labels(&["a", "c"]), "public.t[]", Text::Other),
            (labels(&["a", "b"]), labels(&["a", "c"]), "text", Text::Same),
            (composite(&["a", "b"]), composite(&["a", "x"]), "public.t", Text::Same),
            (composite(&["a", "b"]), composite(&["a", "b", "c"]), "public.t", Text::Longer(1)),
            (composite(&["a", "b"]), composite(&["b"]), "public.t", Text::Other),
            (composite(&["a", "b"]), composite(&["b", "c"]), "public.t", Text::Other),
            (composite(&["a", "b"]), composite(&["a"]), "public.t", Text::Other),
        ] {
            let found = text_of((&all(was.clone()), sql), (&all(is.clone()), sql));
            assert_eq!(found, expected, "{was:?} {is:?} {sql}");
        }
    }
}
