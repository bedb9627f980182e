//! The watchers watched: small made-up trees.

use std::path::Path;

use super::{
    cycles::find_cycle,
    manifest::{Manifest, ours},
    modules::read_crate,
    resolve::edges,
};

/// The circle found in a crate of these files, whose root is `lib.rs`.
fn cycle(files: &[(&str, &str)]) -> Option<String> {
    let read = |path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new("src").join(name) == path);
        file.map(|(_, text)| (*text).to_owned())
    };
    find_cycle(&edges(&read_crate(Path::new("src/lib.rs"), &read).unwrap()))
}

#[test]
fn one_way_is_no_circle() {
    assert_eq!(
        cycle(&[
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("a.rs", "pub struct A;"),
            ("b.rs", "use crate::a::A; use std::fmt; pub struct B(A);"),
        ]),
        None
    );
}

#[test]
fn two_that_use_each_other() {
    let found = cycle(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "use super::a::A; pub struct B(Box<A>);"),
    ]);
    assert_eq!(found.unwrap(), "    a imports b\n    b imports a");
}

#[test]
fn three_in_a_ring() {
    let found = cycle(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b;"),
        ("b.rs", "use crate::{c::{self, C}};"),
        ("c.rs", "pub struct C; use super::{a as other};"),
    ]);
    assert_eq!(found.unwrap(), "    a imports b\n    b imports c\n    c imports a");
}

#[test]
fn paths_in_code_and_in_macros_count() {
    for body in [
        "fn f() { crate::b::g() }",
        "fn f(_: super::b::G) {}",
        "fn f() { println!(\"{}\", crate::b::G) }",
        "fn f() { use crate::b::G; }",
        "#[derive(Debug)] struct A { b: Vec<crate::b::G> }",
    ] {
        let files =
            [("lib.rs", "mod a; mod b;"), ("a.rs", body), ("b.rs", "use crate::a; pub struct G;")];
        assert!(cycle(&files).is_some(), "{body}");
    }
}

#[test]
fn a_re_export_stands_for_the_module_that_defines() {
    // `Tail` is named by way of the parent, and belongs to the sibling.
    let tree = |tail: &'static str| {
        [
            ("lib.rs", "mod log;"),
            ("log/mod.rs", "mod tail; mod seal; pub use tail::Tail; pub use seal::Seal;"),
            ("log/tail.rs", tail),
            ("log/seal.rs", "use super::Tail; pub struct Seal(Tail);"),
        ]
    };
    assert_eq!(cycle(&tree("pub struct Tail;")), None);
    let circle = cycle(&tree("use crate::log::Seal; pub struct Tail;")).unwrap();
    assert!(circle.contains("log::tail imports log::seal"), "{circle}");
    // The same by globs, which the style forbids and the compiler does not.
    let globs = cycle(&[
        ("lib.rs", "mod a; mod b; pub use a::*; pub use b::*;"),
        ("a.rs", "pub struct A; use crate::B;"),
        ("b.rs", "pub struct B; use crate::A;"),
    ]);
    assert!(globs.is_some());
}

#[test]
fn a_parent_with_code_of_its_own_is_a_sibling_of_its_children() {
    let tree = |parent: &'static str| {
        [("lib.rs", parent), ("a.rs", "use crate::Position; pub struct A(Position);")]
    };
    assert_eq!(cycle(&tree("mod a; pub use a::A; pub struct Position;")), None);
    let circle = cycle(&tree("mod a; use a::A; pub struct Position; fn f(_: A) {}")).unwrap();
    assert_eq!(circle, "    crate imports a\n    a imports crate");
    assert!(cycle(&tree("mod a; pub struct Position; fn f() -> a::A { todo!() }")).is_some());
}

#[test]
fn folders_are_siblings_whichever_files_of_them_import() {
    let circle = cycle(&[
        ("lib.rs", "mod log; mod server;"),
        ("log/mod.rs", "mod tail; mod error; pub use error::LogError;"),
        ("log/tail.rs", "use crate::server::Limit;"),
        ("log/error.rs", "pub struct LogError;"),
        ("server.rs", "mod routes; mod limit; pub use limit::Limit;"),
        ("server/routes.rs", "use crate::log::LogError;"),
        ("server/limit.rs", "pub struct Limit;"),
    ]);
    assert_eq!(
        circle.unwrap(),
        "    log::tail imports server::limit\n    server::routes imports log::error"
    );
}

#[test]
fn tests_and_inline_modules() {
    let tests = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
        ("b.rs", "use crate::a::A; pub struct B; #[cfg(test)] use crate::a::nothing;"),
    ];
    assert_eq!(cycle(&tests), None);
    let inline = "mod a { pub struct A; use super::b::B; } mod b { pub struct B; fn f() -> super::a::A { crate::a::A } }";
    assert!(cycle(&[("lib.rs", inline)]).is_some());
}

#[test]
fn our_crates_are_found_under_every_name() {
    let manifest = Manifest::parse(
        "[dependencies]\nwire.workspace = true\ntokio = \"1\"\n\
         log = { package = \"tailwater-relay\", path = \"../relay\" }\n\
         [dev-dependencies]\ncapture = { workspace = true }\n\
         [target.'cfg(unix)'.build-dependencies]\ntailwater-terminal = { path = \"../terminal-client\" }",
    );
    let manifest = manifest.unwrap();
    assert_eq!(ours(&manifest.dependencies()), ["relay", "wire", "terminal-client"]);
    assert_eq!(ours(&manifest.test_dependencies()), ["capture"]);
}
