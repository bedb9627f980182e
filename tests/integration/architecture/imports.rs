//! What a piece of code names: `use` lines, paths in code, paths in macros.

use syn::{
    Item, ItemMod, ItemUse, Macro, Path, UseTree,
    visit::{self, Visit},
};

/// One name that a `use` brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// As written, e.g. `["crate", "log", "Tail"]`; without the `*` of a glob.
    pub(super) path: Reference,
    /// The name it has here; `None` for a glob.
    pub(super) name: Option<String>,
    /// `pub use`, `pub(crate) use`.
    pub(super) public: bool,
}

/// A path as written.
pub(super) type Reference = Vec<String>;

/// The single names of a `use` tree.
pub(super) fn imports_of(tree: &UseTree, public: bool) -> Vec<Import> {
    let mut found = Vec::new();
    flatten(tree, &mut Vec::new(), public, &mut found);
    found
}

fn flatten(tree: &UseTree, before: &mut Reference, public: bool, found: &mut Vec<Import>) {
    let mut add = |last: Option<String>, name: Option<String>, before: &Reference| {
        let mut path = before.clone();
        // `use log::{self}` names the module itself.
        path.extend(last.filter(|last| last != "self" || before.is_empty()));
        found.push(Import { name, path, public });
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, public, found);
            before.pop();
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            let known = if name == "self" { before.last().cloned() } else { Some(name.clone()) };
            add(Some(name), known, before);
        }
        UseTree::Rename(rename) => {
            add(Some(rename.ident.to_string()), Some(rename.rename.to_string()), before)
        }
        UseTree::Glob(_) => add(None, None, before),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, public, found);
            }
        }
    }
}

/// What the code of `item` names: paths, and the `use` lines inside of functions.
pub(super) fn names_in(item: &Item) -> Names {
    let mut names = Names::default();
    names.visit_item(item);
    names
}

/// What some code names.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) imports: Vec<Import>,
    pub(super) references: Vec<Reference>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string());
            self.references.push(segments.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.references.extend(paths_in_text(&call.tokens.to_string()));
        visit::visit_macro(self, call);
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        self.imports.extend(imports_of(&import.tree, false));
    }

    /// A module inside a function has its own `self`; there is none in our code.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}

/// Runs of `name :: name` in a macro's tokens, which nobody but the macro can parse.
fn paths_in_text(tokens: &str) -> Vec<Reference> {
    let spaced = tokens.replace("::", " :: ");
    let divides = |letter: char| letter.is_whitespace() || "(){}[],;&*!<>".contains(letter);
    let is_name = |word: &str| word.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    let mut words = spaced.split(divides).filter(|word| !word.is_empty()).peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let mut path = vec![word.to_owned()];
        while words.next_if_eq(&"::").is_some() {
            path.extend(words.next_if(|word| is_name(word)).map(str::to_owned));
        }
        if path.len() > 1 && path.iter().all(|word| is_name(word)) {
            found.push(path);
        }
    }
    found
}
