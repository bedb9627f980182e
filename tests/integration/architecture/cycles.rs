//! Finds a circle among modules.
//!
//! Modules are compared as siblings: all below `log` counts as `log` when it is seen from `server`,
//! so that two folders that import each other are a circle, whichever files of them do. A parent's
//! own code is one more sibling among its children.

use std::collections::{BTreeMap, BTreeSet};

use super::{modules::ModulePath, resolve::Edge};

/// A description of one circle, one line for each step; `None` if there is none.
pub(super) fn find_cycle(edges: &BTreeSet<Edge>) -> Option<String> {
    let parents: BTreeSet<ModulePath> = edges.iter().map(common_parent).collect();
    parents.iter().find_map(|parent| {
        let mut graph: Graph<'_> = BTreeMap::new();
        for edge in edges.iter().filter(|edge| common_parent(edge) == *parent) {
            let step = (sibling(&edge.to, parent), edge);
            graph.entry(sibling(&edge.from, parent)).or_default().insert(step.0, step.1);
        }
        graph.keys().find_map(|start| walk(&graph, start, &mut Vec::new(), &mut BTreeSet::new()))
    })
}

/// For each sibling whom it imports, with one edge as the proof.
type Graph<'a> = BTreeMap<String, BTreeMap<String, &'a Edge>>;

fn common_parent(edge: &Edge) -> ModulePath {
    let pairs = edge.from.iter().zip(&edge.to);
    pairs.take_while(|(from, to)| from == to).map(|(name, _)| name.clone()).collect()
}

fn sibling(module: &ModulePath, parent: &ModulePath) -> String {
    module.get(parent.len()).cloned().unwrap_or_else(|| "(the parent's own code)".to_owned())
}

fn walk<'a>(
    graph: &Graph<'a>,
    at: &str,
    way: &mut Vec<(String, &'a Edge)>,
    done: &mut BTreeSet<String>,
) -> Option<String> {
    if let Some(first) = way.iter().position(|(name, _)| name == at) {
        return way.get(first..).map(describe);
    }
    if !done.insert(at.to_owned()) {
        return None;
    }
    for (next, edge) in graph.get(at).into_iter().flatten() {
        way.push((at.to_owned(), edge));
        if let Some(cycle) = walk(graph, next, way, done) {
            return Some(cycle);
        }
        way.pop();
    }
    None
}

fn describe(steps: &[(String, &Edge)]) -> String {
    let name =
        |path: &ModulePath| if path.is_empty() { "crate".to_owned() } else { path.join("::") };
    let lines = steps
        .iter()
        .map(|(_, edge)| format!("    {} imports {}", name(&edge.from), name(&edge.to)));
    lines.collect::<Vec<_>>().join("\n")
}
