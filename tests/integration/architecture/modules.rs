//! Reads the modules of a crate, from its root file down.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use syn::{Attribute, Item, Visibility};

use super::imports::{Import, Reference, imports_of, names_in};

/// The way from the root, e.g. `["log", "tail"]`; the root's is empty.
pub(super) type ModulePath = Vec<String>;

/// All modules of one crate.
pub(super) type Modules = BTreeMap<ModulePath, Module>;

#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) children: BTreeSet<String>,
    /// Names that are defined here.
    pub(super) items: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Paths in code, and in macros as far as they can be read.
    pub(super) references: Vec<Reference>,
}

/// Reads the crate whose root file is `root`. `read` gives a file's text, or `None` if there is none.
pub(super) fn read_crate(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Result<Modules> {
    let folder = root.parent().context("a root file is in a folder")?;
    let mut reader = Reader { read, modules: Modules::new() };
    reader.file(root, folder, Vec::new())?;
    Ok(reader.modules)
}

struct Reader<'a> {
    read: &'a dyn Fn(&Path) -> Option<String>,
    modules: Modules,
}

impl Reader<'_> {
    /// `folder` is where the files of this module's children are.
    fn file(&mut self, file: &Path, folder: &Path, path: ModulePath) -> Result<()> {
        let text = (self.read)(file).with_context(|| format!("cannot read {}", file.display()))?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
        self.module(&parsed.items, folder, path)
    }

    fn module(&mut self, items: &[Item], folder: &Path, path: ModulePath) -> Result<()> {
        let mut module = Module::default();
        for item in items {
            match item {
                item if is_test_only(item) => {}
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let mut below = path.clone();
                    below.push(name.clone());
                    match &child.content {
                        Some((_, items)) => self.module(items, &folder.join(&name), below)?,
                        None => self.child_file(&name, &child.attrs, folder, below)?,
                    }
                    module.children.insert(name);
                }
                Item::Use(import) => {
                    let public = !matches!(import.vis, Visibility::Inherited);
                    module.imports.extend(imports_of(&import.tree, public));
                }
                other => {
                    module.items.extend(name_of(other));
                    let names = names_in(other);
                    module.imports.extend(names.imports);
                    module.references.extend(names.references);
                }
            }
        }
        self.modules.insert(path, module);
        Ok(())
    }

    fn child_file(
        &mut self,
        name: &str,
        attributes: &[Attribute],
        folder: &Path,
        path: ModulePath,
    ) -> Result<()> {
        let flat = match given_path(attributes) {
            Some(given) => folder.join(given),
            None => folder.join(format!("{name}.rs")),
        };
        let nested: PathBuf = folder.join(name).join("mod.rs");
        let file = if (self.read)(&flat).is_some() { flat } else { nested };
        self.file(&file, &folder.join(name), path)
    }
}

/// `#[cfg(test)]`, also as part of an `all(…)`.
fn is_test_only(item: &Item) -> bool {
    attributes_of(item).iter().any(|attribute| {
        let condition = attribute.meta.require_list().ok().filter(|list| list.path.is_ident("cfg"));
        condition.is_some_and(|list| {
            let text = list.tokens.to_string();
            text == "test"
                || text.starts_with("all") && text.contains("test") && !text.contains("not")
        })
    })
}

/// The value of `#[path = "…"]`.
fn given_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(literal) => match &literal.lit {
                syn::Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
