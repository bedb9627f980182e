//! From what is written to which module it means.

use std::collections::BTreeSet;

use super::{
    imports::{Import, Reference},
    modules::{ModulePath, Modules},
};

/// `from` imports something that belongs to `to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) from: ModulePath,
    pub(super) to: ModulePath,
}

/// Who imports whom. A module that re-exports what its descendants define does not import it; who
/// names a re-exported thing imports the module that defines it.
pub(super) fn edges(modules: &Modules) -> BTreeSet<Edge> {
    let mut found = BTreeSet::new();
    for (from, module) in modules {
        let mut add = |reference: &Reference, re_exported: bool| {
            let Some(to) = target(modules, from, reference) else { return };
            let own_facade = re_exported && to.starts_with(from);
            if to != *from && !own_facade {
                found.insert(Edge { from: from.clone(), to });
            }
        };
        for import in &module.imports {
            add(&import.path, import.public);
        }
        for reference in &module.references {
            add(reference, false);
        }
    }
    found
}

fn target(modules: &Modules, from: &ModulePath, reference: &Reference) -> Option<ModulePath> {
    owner(modules, absolute(modules, from, reference)?, 0)
}

/// `super::log::Tail` seen from `from` as a path from the root; `None` for other crates' paths.
fn absolute(modules: &Modules, from: &ModulePath, reference: &Reference) -> Option<Reference> {
    let mut base = from.clone();
    let mut rest = reference.as_slice();
    match rest.split_first()? {
        (first, behind) if first == "crate" => {
            base.clear();
            rest = behind;
        }
        (first, behind) if first == "self" => rest = behind,
        (first, _) if first == "super" => {
            while let Some((first, behind)) =
                rest.split_first().filter(|(first, _)| *first == "super")
            {
                debug_assert_eq!(first, "super");
                base.pop()?;
                rest = behind;
            }
        }
        (first, _) if modules.get(from)?.children.contains(first) => {}
        _ => return None,
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// The module that defines what `path`, from the root, names. Follows re-exports.
fn owner(modules: &Modules, path: Reference, depth: usize) -> Option<ModulePath> {
    // Re-exports that lead to each other would be refused by the compiler; globs may do so.
    if depth > 16 {
        return None;
    }
    let mut at = ModulePath::new();
    let mut rest = path.as_slice();
    while let Some((name, behind)) = rest.split_first() {
        let module = modules.get(&at)?;
        if module.children.contains(name) {
            at.push(name.clone());
            rest = behind;
            continue;
        }
        if module.items.contains(name) {
            return Some(at);
        }
        let follow = |import: &Import, more: &[String]| {
            let mut path = absolute(modules, &at, &import.path)?;
            path.extend(more.iter().cloned());
            owner(modules, path, depth + 1)
        };
        if let Some(import) =
            module.imports.iter().find(|import| import.name.as_ref() == Some(name))
        {
            // `None`: re-exported from another crate; it is this module then that gives it.
            return follow(import, behind).or(Some(at));
        }
        let defines = |owner: &ModulePath| {
            modules.get(owner).is_some_and(|module| module.items.contains(name))
        };
        let globs = module.imports.iter().filter(|import| import.name.is_none());
        let by_glob = globs.filter_map(|import| follow(import, rest)).find(defines);
        return by_glob.or(Some(at));
    }
    Some(at)
}
