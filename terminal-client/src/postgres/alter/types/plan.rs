use wire::{TypeDefinition, TypeKind};

use super::{
    act::TypeAct,
    found::{FoundKind, FoundType},
};

/// What one type was called, and is called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Names<'a> {
    pub(in super::super) was: Option<&'a TypeDefinition>,
    pub(in super::super) is: &'a TypeDefinition,
}

/// The types of a table, each with what it was before.
pub(in super::super) fn renamed<'a>(
    before: &'a [TypeDefinition],
    after: &'a [TypeDefinition],
) -> impl Iterator<Item = Names<'a>> {
    let same = |was: &TypeDefinition, is: &TypeDefinition| match is.oid {
        // Definitions of long ago have none.
        0 => (&was.schema, &was.name) == (&is.schema, &is.name),
        oid => was.oid == oid,
    };
    after.iter().map(move |is| Names { was: before.iter().find(|was| same(was, is)), is })
}

/// What is to be done to a type: `old` is what is here under its name of before, `new` under its name of
/// now. Each act with the schema and the name that the type has then.
pub(in super::super) fn type_acts(
    names: &Names<'_>,
    old: Option<&FoundType>,
    new: Option<&FoundType>,
) -> Vec<(String, String, TypeAct)> {
    let Names { was, is } = names;
    let mut acts = Vec::new();
    let mut here = new;
    if let (Some(was), Some(old), None) = (was, old, new) {
        if was.name != is.name {
            let to = TypeAct::Rename(is.name.clone());
            acts.push((was.schema.clone(), was.name.clone(), to));
        }
        if was.schema != is.schema {
            let to = TypeAct::SetSchema(is.schema.clone());
            acts.push((was.schema.clone(), is.name.clone(), to));
        }
        here = Some(old);
    }
    let changes = match here {
        None => vec![TypeAct::Create(is.kind.clone())],
        Some(here) => changes(was.map(|was| &was.kind), &is.kind, &here.kind),
    };
    acts.extend(changes.into_iter().map(|act| (is.schema.clone(), is.name.clone(), act)));
    acts
}

fn changes(was: Option<&TypeKind>, is: &TypeKind, here: &FoundKind) -> Vec<TypeAct> {
    match (was, is, here) {
        (was, TypeKind::Enum { labels }, FoundKind::Enum { labels: here }) => {
            let was = match was {
                Some(TypeKind::Enum { labels }) => labels.as_slice(),
                _ => &[],
            };
            enum_changes(was, labels, here)
        }
        (Some(was), TypeKind::Domain { .. }, FoundKind::Domain { .. }) => {
            domain_changes(was, is, here)
        }
        (
            Some(TypeKind::Composite { fields: was }),
            TypeKind::Composite { fields },
            FoundKind::Composite { fields: here },
        ) => composite_changes(was, fields, here),
        _ => Vec::new(),
    }
}

fn enum_changes(was: &[String], is: &[String], here: &[String]) -> Vec<TypeAct> {
    let mut acts = Vec::new();
    let mut now: Vec<&String> = here.iter().collect();
    // A label keeps its place when it is renamed, and none ever goes.
    if was.len() == is.len() {
        for (from, to) in was.iter().zip(is).filter(|(from, to)| from != to) {
            if let Some(label) = now.iter_mut().find(|label| **label == from)
                && !here.contains(to)
            {
                *label = to;
                acts.push(TypeAct::RenameLabel { from: from.clone(), to: to.clone() });
            }
        }
    }
    let mut behind: Option<&String> = None;
    for label in is {
        if !now.contains(&label) {
            let before = now.first().filter(|_| behind.is_none()).map(|first| (*first).clone());
            acts.push(TypeAct::AddLabel { label: label.clone(), before, behind: behind.cloned() });
            let at = behind.and_then(|of| now.iter().position(|label| *label == of));
            now.insert(at.map_or(0, |at| at + 1), label);
        }
        behind = Some(label);
    }
    acts
}

fn domain_changes(was: &TypeKind, is: &TypeKind, here: &FoundKind) -> Vec<TypeAct> {
    let (
        TypeKind::Domain { not_null: was_needed, default: old, checks: was, .. },
        TypeKind::Domain { not_null, default: new, checks, .. },
        FoundKind::Domain { not_null: here_needed, default, checks: here },
    ) = (was, is, here)
    else {
        return Vec::new();
    };
    let mut acts = Vec::new();
    for (name, check) in here {
        if was.contains(check) && !checks.contains(check) {
            acts.push(TypeAct::DropCheck(name.clone()));
        }
    }
    for check in checks.iter().filter(|check| !was.contains(check)) {
        if !here.iter().any(|(_, here)| here == check) {
            acts.push(TypeAct::AddCheck(check.clone()));
        }
    }
    if old != new && default != new {
        acts.push(new.clone().map_or(TypeAct::DropDefault, TypeAct::SetDefault));
    }
    if was_needed != not_null && here_needed != not_null {
        acts.push(if *not_null { TypeAct::SetNotNull } else { TypeAct::DropNotNull });
    }
    acts
}

type Field = (String, String);

fn composite_changes(was: &[Field], is: &[Field], here: &[Field]) -> Vec<TypeAct> {
    let named = |fields: &[Field], name: &str| fields.iter().any(|(field, _)| field == name);
    let mut acts = Vec::new();
    let gone: Vec<&Field> = was.iter().filter(|(name, _)| !named(is, name)).collect();
    let come: Vec<&Field> = is.iter().filter(|(name, _)| !named(was, name)).collect();
    // One statement renames one, which keeps its place and its type.
    if let ([(from, of)], [(to, is_of)]) = (gone.as_slice(), come.as_slice())
        && of == is_of
        && was.iter().position(|(name, _)| name == from)
            == is.iter().position(|(name, _)| name == to)
    {
        if named(here, from) && !named(here, to) {
            acts.push(TypeAct::RenameField { from: from.clone(), to: to.clone() });
        }
        return acts;
    }
    for (name, _) in gone.into_iter().filter(|(name, _)| named(here, name)) {
        acts.push(TypeAct::DropField(name.clone()));
    }
    for (name, type_sql) in is {
        let old = was.iter().find(|(of, _)| of == name).map(|(_, of)| of);
        let found = here.iter().find(|(of, _)| of == name).map(|(_, of)| of);
        let (name, type_sql) = (name.clone(), type_sql.clone());
        match (old, found) {
            (_, None) => acts.push(TypeAct::AddField { name, type_sql }),
            (Some(old), Some(found)) if *old != type_sql && *found != type_sql => {
                acts.push(TypeAct::RetypeField { name, type_sql });
            }
            _ => {}
        }
    }
    acts
}
