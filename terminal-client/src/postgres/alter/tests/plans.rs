//! Whatever a table was and is: what is planned makes the one of the other.

use proptest::{prelude::*, sample::subsequence};
use wire::TableDefinition;

use super::{
    super::{columns::columns, found::Found, keys::keys, names::columns_renamed},
    model::{Column, apply, found, table},
};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// A state of a table whose columns have some of the numbers from 1 to 6, under any names.
fn state() -> impl Strategy<Value = TableDefinition> {
    let numbers = subsequence((1..=6_i16).collect::<Vec<_>>(), 0..=6);
    let names = Just(NAMES.to_vec()).prop_shuffle();
    let rest = proptest::collection::vec(
        (prop_oneof![Just("int4"), Just("int8"), Just("text")], any::<bool>(), 0..3_usize),
        6,
    );
    let keys = proptest::collection::vec(
        (0..4_usize, any::<bool>(), subsequence(vec![0, 1, 2, 3, 4, 5], 1..3)),
        0..4,
    );
    (numbers, names, rest, keys).prop_map(|(numbers, names, rest, keys)| {
        let columns: Vec<Column> = numbers
            .iter()
            .enumerate()
            .map(|(at, number)| {
                let (of, not_null, default) = rest[at];
                let identity = *number == 1 && not_null;
                let default = [None, Some("1"), Some("2")][default].filter(|_| !identity);
                (*number, names[at].to_owned(), of, not_null, default)
            })
            .collect();
        let mut all = Vec::<(String, char, Vec<String>)>::new();
        for (name, unique, places) in keys {
            let over = places.iter().filter_map(|at| Some(columns.get(*at)?.1.clone()));
            let over: Vec<String> = over.collect();
            let name = format!("{}{name}", if unique { "u" } else { "i" });
            // The same over the same columns twice would be one here.
            let new = !all.iter().any(|(of, _, columns)| *of == name || *columns == over);
            if new && !over.is_empty() {
                all.push((name, if unique { 'u' } else { 'i' }, over));
            }
        }
        table(&columns, &all)
    })
}

fn sorted(mut of: Found) -> Found {
    of.columns.sort_by(|a, b| a.name.cmp(&b.name));
    of.constraints.sort_by(|a, b| a.name.cmp(&b.name));
    of.indexes.sort_by(|a, b| a.name.cmp(&b.name));
    of
}

/// As `table` does it, with a model in the place of the server.
fn altered(before: &TableDefinition, after: &TableDefinition) -> Found {
    let mut here = found(before);
    for act in columns_renamed(before, after, &here).unwrap() {
        apply(&mut here, &act);
    }
    let (go, come) = (keys(Some(before), after, &here).go, columns(before, after, &here));
    go.iter().chain(&come.unwrap()).for_each(|act| apply(&mut here, act));
    for act in keys(Some(before), after, &here).come {
        apply(&mut here, &act);
    }
    here
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_table_before_becomes_the_table_after(before in state(), after in state()) {
        prop_assert_eq!(sorted(altered(&before, &after)), sorted(found(&after)));
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone(before in state(), after in state()) {
        // The columns' names are the same: a swap cannot be told from one that was made already.
        let mut was = before;
        for column in &mut was.columns {
            if let Some(now) = after.columns.iter().find(|now| now.number == column.number) {
                column.name.clone_from(&now.name);
            }
        }
        was.columns.retain(|column| after.columns.iter().any(|now| now.number == column.number));
        let here = found(&after);
        prop_assert_eq!(columns_renamed(&was, &after, &here).unwrap(), []);
        prop_assert_eq!(keys(Some(&was), &after, &here), Default::default());
    }

    #[test]
    fn what_is_the_targets_own_stays(before in state(), after in state()) {
        let mut here = found(&before);
        let mut own = found(&table(&[(9, "own".into(), "int4", false, None)], &[])).columns;
        here.columns.append(&mut own);
        let acts = columns_renamed(&before, &after, &here).unwrap();
        acts.iter().for_each(|act| apply(&mut here, act));
        columns(&before, &after, &here).unwrap().iter().for_each(|act| apply(&mut here, act));
        prop_assert!(here.column("own").is_some());
    }
}
