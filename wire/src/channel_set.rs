use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{ChannelName, NameError};

/// Which channels a reader gets, `control` aside, which it always does. As a header's value: `*` for all, or
/// names separated by commas, `control` among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelSet {
    /// All that there are, and those to come.
    All,
    /// These.
    Only(BTreeSet<ChannelName>),
}

impl ChannelSet {
    /// Of a list, in any order; none for all.
    pub fn of<'a>(channels: Option<impl IntoIterator<Item = &'a ChannelName>>) -> Self {
        channels.map_or(Self::All, |channels| channels.into_iter().cloned().collect())
    }

    /// Whether it has all that the other has.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(own), Self::Only(others)) => others.is_subset(own),
        }
    }

    /// As a list; none for all.
    pub fn names(&self) -> Option<Vec<ChannelName>> {
        match self {
            Self::All => None,
            Self::Only(names) => Some(names.iter().cloned().collect()),
        }
    }

    /// In words: `all channels`, `the channels 'a', 'b'`.
    pub fn shown(&self) -> String {
        let Self::Only(names) = self else { return "all channels".into() };
        let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        match names.as_slice() {
            [] => "no channel but 'control'".into(),
            [one] => format!("the channel {one}"),
            _ => format!("the channels {}", names.join(", ")),
        }
    }
}

impl FromIterator<ChannelName> for ChannelSet {
    fn from_iter<T: IntoIterator<Item = ChannelName>>(channels: T) -> Self {
        Self::Only(channels.into_iter().filter(|channel| !channel.is_control()).collect())
    }
}

impl fmt::Display for ChannelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Only(names) = self else { return f.write_str("*") };
        write!(f, "{}", ChannelName::control())?;
        names.iter().try_for_each(|name| write!(f, ",{name}"))
    }
}

impl FromStr for ChannelSet {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "*" => Ok(Self::All),
            names => names.split(',').map(|name| ChannelName::new(name.trim())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ChannelSet {
        text.parse().unwrap()
    }

    #[test]
    fn a_set_comes_back_from_a_header() {
        for text in ["*", "control", "control,sales,stock"] {
            assert_eq!(set(text).to_string(), text);
        }
        assert_eq!(set("stock, sales"), set("control,sales,stock"));
        assert_eq!(set("sales").names().unwrap(), [ChannelName::new("sales").unwrap()]);
        assert!("".parse::<ChannelSet>().is_err() && "a,,b".parse::<ChannelSet>().is_err());
    }

    #[test]
    fn all_is_more_than_any_list() {
        assert!(set("*").covers(&set("*")) && set("*").covers(&set("a")));
        assert!(!set("a").covers(&set("*")) && !set("a").covers(&set("a,b")));
        assert!(set("a,b").covers(&set("b")) && set("a").covers(&set("control")));
    }

    #[test]
    fn in_words() {
        assert_eq!(set("*").shown(), "all channels");
        assert_eq!(set("b,a").shown(), "the channels 'a', 'b'");
        assert_eq!(set("a,control").shown(), "the channel 'a'");
    }
}
