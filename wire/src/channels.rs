use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::ChannelName;

/// A table pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a table pattern: write schema.table, where * stands for any characters, e.g. sales.* or public.order_*"
)]
pub struct PatternError(String);

/// Tables of one channel by name: `schema.table` patterns in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRule {
    /// The channel.
    pub channel: ChannelName,
    /// The patterns.
    pub tables: Vec<String>,
}

impl ChannelRule {
    /// Checks a pattern: a schema part and a table part.
    pub fn check_pattern(pattern: &str) -> Result<(), PatternError> {
        match pattern.split_once('.') {
            Some((schema, table)) if !schema.is_empty() && !table.is_empty() => Ok(()),
            _ => Err(PatternError(pattern.to_owned())),
        }
    }

    /// Whether one of the patterns names the table.
    pub fn matches(&self, schema: &str, table: &str) -> bool {
        let name = format!("{schema}.{table}");
        self.tables.iter().any(|pattern| wildcard(pattern.as_bytes(), name.as_bytes()))
    }
}

/// `*` matches any bytes, everything else itself. Linear in memory, at most pattern × text steps.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(same) if same == byte => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|b| *b == b'*')
}

/// Which channel each table is in: a record of the log, effective at its position. Tables that are
/// known are bound by OID, so that a rename moves nothing; others follow the rules, then `default`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelMap {
    /// Rules in order; the first that matches counts.
    pub rules: Vec<ChannelRule>,
    /// Tables that are bound, by OID.
    #[serde(deserialize_with = "by_oid")]
    pub tables: BTreeMap<u32, ChannelName>,
}

/// JSON has only texts as keys. Read as texts here, because inside a tagged enum (a control record)
/// serde does not turn them into numbers by itself.
fn by_oid<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<u32, ChannelName>, D::Error> {
    let tables: BTreeMap<String, ChannelName> = BTreeMap::deserialize(d)?;
    let entry = |(oid, channel): (String, ChannelName)| match oid.parse() {
        Ok(oid) => Ok((oid, channel)),
        Err(_) => Err(serde::de::Error::custom(format!("'{oid}' is not the OID of a table"))),
    };
    tables.into_iter().map(entry).collect()
}

impl ChannelMap {
    /// The channel of a table.
    pub fn channel(&self, oid: u32, schema: &str, table: &str) -> ChannelName {
        self.tables.get(&oid).cloned().unwrap_or_else(|| self.by_rule(schema, table))
    }

    /// What the rules say of a table's name.
    pub fn by_rule(&self, schema: &str, table: &str) -> ChannelName {
        self.rules
            .iter()
            .find(|rule| rule.matches(schema, table))
            .map_or_else(ChannelName::default_channel, |rule| rule.channel.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("public.orders", "public.orders", true),
            ("public.orders", "public.orders2", false),
            ("public.*", "public.orders", true),
            ("public.order_*", "public.orders", false),
            ("*.orders", "sales.orders", true),
            ("*.*a*b", "x.aab", true),
            ("*.*a*b", "x.aac", false),
            ("a.b*", "a.b", true),
        ] {
            assert_eq!(wildcard(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        assert!(!wildcard("*a*a*a*a*a*a*b".as_bytes(), "a".repeat(4000).as_bytes()));
    }

    #[test]
    fn a_map_comes_back_from_a_control_record() {
        let tables = BTreeMap::from([(16_384, ChannelName::default_channel())]);
        let map = ChannelMap { rules: Vec::new(), tables };
        let record = crate::ControlRecord::Channels { map };
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<crate::ControlRecord>(&json).unwrap(), record);
        let wrong = json.replace("16384", "x");
        assert!(serde_json::from_str::<crate::ControlRecord>(&wrong).is_err());
    }

    #[test]
    fn a_bound_table_stays_when_it_is_renamed() {
        let sales = ChannelName::new("sales").unwrap();
        let map = ChannelMap {
            rules: vec![ChannelRule { channel: sales.clone(), tables: vec!["public.s_*".into()] }],
            tables: BTreeMap::from([(7, sales.clone())]),
        };
        assert_eq!(map.channel(7, "public", "renamed"), sales);
        assert_eq!(map.channel(8, "public", "s_1"), sales);
        assert_eq!(map.channel(8, "public", "t"), ChannelName::default_channel());
    }
}
