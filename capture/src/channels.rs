//! The channel map: made of the configuration at the first start, held against it at each later one.

use wire::{ChannelMap, ChannelName, ChannelRule};

/// A table by the names that rules go by.
#[derive(Debug, Clone, Copy)]
pub struct NamedTable<'a> {
    pub oid: u32,
    pub schema: &'a str,
    pub name: &'a str,
}

/// A table that the configuration would move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub table: String,
    pub bound: ChannelName,
    pub wanted: ChannelName,
}

/// The map of a log that begins: every table bound to the channel that the rules name.
pub fn first_map<'a>(
    rules: Vec<ChannelRule>,
    tables: impl IntoIterator<Item = NamedTable<'a>>,
) -> ChannelMap {
    let mut map = ChannelMap { rules, ..ChannelMap::default() };
    for table in tables {
        let channel = map.by_rule(table.schema, table.name);
        map.tables.insert(table.oid, channel);
    }
    map
}

/// What the configuration's rules change in the log's map: nothing, or a new map to record. A table
/// that is bound cannot move; one that merely was renamed stays where it is.
pub fn changed_map<'a>(
    map: &ChannelMap,
    rules: &[ChannelRule],
    tables: impl IntoIterator<Item = NamedTable<'a>>,
) -> Result<Option<ChannelMap>, Moved> {
    if map.rules == rules {
        return Ok(None);
    }
    let mut changed = ChannelMap { rules: rules.to_vec(), tables: map.tables.clone() };
    for NamedTable { oid, schema, name } in tables {
        let wanted = changed.by_rule(schema, name);
        let renamed = wanted == map.by_rule(schema, name);
        match map.tables.get(&oid) {
            Some(bound) if *bound != wanted && !renamed => {
                let table = format!("{schema}.{name}");
                return Err(Moved { table, bound: bound.clone(), wanted });
            }
            Some(_) => {}
            None => {
                changed.tables.insert(oid, wanted);
            }
        }
    }
    Ok(Some(changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(channel: &str, pattern: &str) -> ChannelRule {
        ChannelRule { channel: ChannelName::new(channel).unwrap(), tables: vec![pattern.into()] }
    }

    fn table(oid: u32, name: &str) -> NamedTable<'_> {
        NamedTable { oid, schema: "public", name }
    }

    #[test]
    fn rules_may_be_added_but_bound_tables_do_not_move() {
        let rules = vec![rule("sales", "public.s_*")];
        let map = first_map(rules.clone(), [table(1, "s_orders"), table(2, "other")]);
        assert_eq!(map.tables[&1].as_str(), "sales");
        assert_eq!(changed_map(&map, &rules, [table(1, "s_orders")]), Ok(None));

        let more = vec![rule("sales", "public.s_*"), rule("stock", "public.k_*")];
        let changed = changed_map(&map, &more, [table(1, "s_orders"), table(3, "k_items")]);
        let changed = changed.unwrap().unwrap();
        assert_eq!(
            (changed.tables[&3].as_str(), changed.tables[&2].as_str()),
            ("stock", "default")
        );

        let moved = changed_map(&map, &[], [table(1, "s_orders")]).unwrap_err();
        assert_eq!((moved.bound.as_str(), moved.wanted.as_str()), ("sales", "default"));
    }

    #[test]
    fn a_renamed_table_stays() {
        let map = first_map(vec![rule("sales", "public.s_*")], [table(1, "s_orders")]);
        let more = vec![rule("sales", "public.s_*"), rule("stock", "public.k_*")];
        let changed = changed_map(&map, &more, [table(1, "old_orders")]).unwrap().unwrap();
        assert_eq!(changed.tables[&1].as_str(), "sales");
    }
}
