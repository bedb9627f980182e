use std::collections::BTreeSet;

use wire::{ChannelName, ChannelSet, Problem, ProblemKind};

use super::{
    record::TokenRecord,
    role::{Action, Role},
};

/// What a request may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The token's name; none where the relay has no tokens and serves everyone.
    pub name: Option<String>,
    /// The token's role; none where the relay has no tokens and serves everyone.
    pub role: Option<Role>,
    /// The channels it is limited to, `control` aside; none for all.
    pub channels: Option<BTreeSet<ChannelName>>,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token came.
    #[error(
        "this relay wants a token: send it as 'Authorization: Bearer TOKEN' (Tailwater's programs take it from TAILWATER_TOKEN or --token-file; the relay's operator makes one by `tailwater-relay token add`)"
    )]
    Missing,
    /// No token of the relay's is this one.
    #[error(
        "this token is not known to the relay: it was mistyped, revoked, or made for another data directory; `tailwater-relay token list` at the relay shows those that there are"
    )]
    Unknown,
    /// The token's role is another.
    #[error(
        "the token '{name}' has the role '{role}'; {action} needs a token with the role {}",
        either(action.roles())
    )]
    Role {
        /// The token's name.
        name: String,
        /// Its role.
        role: Role,
        /// What was asked for.
        action: Action,
    },
    /// The token is limited to other channels.
    #[error(
        "the token '{name}' is limited to the channels {}; it does not allow '{channel}': ask for fewer channels, or use a token that has it",
        list(allowed)
    )]
    Channel {
        /// The token's name.
        name: String,
        /// The channel asked for.
        channel: ChannelName,
        /// Those that it has.
        allowed: Vec<ChannelName>,
    },
    /// The terminal shows that it has data of another channel.
    #[error(
        "the token '{name}' is limited to the channels {}, and this terminal was loaded with '{channel}' too: its changes would be passed over there, so nothing is sent. Use the token that it was loaded with, or load an empty target with this one",
        list(allowed)
    )]
    Loaded {
        /// The token's name.
        name: String,
        /// The channel that the terminal has.
        channel: ChannelName,
        /// Those that the token has.
        allowed: Vec<ChannelName>,
    },
    /// The relay cannot read its tokens.
    #[error("the relay cannot read its tokens and lets nobody in until it can: {detail}")]
    Unreadable {
        /// What failed.
        detail: String,
    },
}

impl Denied {
    /// What the relay answers.
    pub fn problem(&self) -> Problem {
        let kind = match self {
            Self::Missing | Self::Unknown => ProblemKind::Unauthorized,
            Self::Role { .. } | Self::Channel { .. } | Self::Loaded { .. } => {
                ProblemKind::Forbidden
            }
            Self::Unreadable { .. } => ProblemKind::Unavailable,
        };
        Problem::new(kind, self.to_string())
    }
}

impl Access {
    /// Everything: for a relay without tokens.
    pub fn open() -> Self {
        Self { name: None, role: None, channels: None }
    }

    pub(super) fn of(record: &TokenRecord) -> Self {
        Self {
            name: Some(record.name.as_str().to_owned()),
            role: Some(record.role),
            channels: record.channels.clone(),
        }
    }

    /// Whether the role allows it.
    pub fn allows(&self, action: Action) -> bool {
        self.role.is_none_or(|role| action.roles().contains(&role))
    }

    /// Refuses what the role does not allow.
    pub fn require(&self, action: Action) -> Result<(), Denied> {
        match self.role {
            Some(role) if !self.allows(action) => {
                Err(Denied::Role { name: self.name(), role, action })
            }
            _ => Ok(()),
        }
    }

    /// Whether the channel may be read. `control` always may.
    pub fn allows_channel(&self, channel: &ChannelName) -> bool {
        channel.is_control() || self.channels.as_ref().is_none_or(|set| set.contains(channel))
    }

    /// The channels of a request that asks for `asked`: those, if all are allowed; where none are
    /// named, all that are allowed. `None` stands for every channel there is; `control` is in any set.
    pub fn choose(
        &self,
        asked: Option<BTreeSet<ChannelName>>,
    ) -> Result<Option<BTreeSet<ChannelName>>, Denied> {
        let Some(mut chosen) = asked.or_else(|| self.channels.clone()) else { return Ok(None) };
        if let Some(channel) = chosen.iter().find(|channel| !self.allows_channel(channel)) {
            let (name, channel) = (self.name(), channel.clone());
            return Err(Denied::Channel { name, channel, allowed: self.allowed() });
        }
        chosen.insert(ChannelName::control());
        Ok(Some(chosen))
    }

    /// Refuses a terminal that has data of a channel that is not allowed.
    pub fn require_loaded<'a>(
        &self,
        mut loaded: impl Iterator<Item = &'a ChannelName>,
    ) -> Result<(), Denied> {
        let Some(channel) = loaded.find(|channel| !self.allows_channel(channel)) else {
            return Ok(());
        };
        let (name, channel) = (self.name(), channel.clone());
        Err(Denied::Loaded { name, channel, allowed: self.allowed() })
    }

    /// The channels that are allowed, for an answer's header.
    pub fn channel_set(&self) -> ChannelSet {
        ChannelSet::of(self.channels.as_ref())
    }

    fn allowed(&self) -> Vec<ChannelName> {
        self.channels.iter().flatten().cloned().collect()
    }

    fn name(&self) -> String {
        self.name.clone().unwrap_or_default()
    }
}

fn either(roles: &[Role]) -> String {
    roles.iter().map(|role| format!("'{role}'")).collect::<Vec<_>>().join(" or ")
}

fn list(channels: &[ChannelName]) -> String {
    channels.iter().map(|channel| format!("'{channel}'")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<ChannelName> {
        names.iter().map(|name| ChannelName::new(name).unwrap()).collect()
    }

    fn access(role: Role, channels: Option<&[&str]>) -> Access {
        Access { name: Some("t".to_owned()), role: Some(role), channels: channels.map(set) }
    }

    const ALL: [Action; 14] = [
        Action::OpenSession,
        Action::Append,
        Action::UploadObject,
        Action::PublishSnapshot,
        Action::ReportCapture,
        Action::TakeRequests,
        Action::MakeRequest,
        Action::AskSnapshot,
        Action::ReadSnapshot,
        Action::Pull,
        Action::ReportTerminal,
        Action::ListSources,
        Action::ReadLag,
        Action::ForgetTerminal,
    ];

    #[test]
    fn each_role_does_its_own() {
        let allowed = |role| {
            let access = access(role, None);
            ALL.into_iter().filter(|action| access.allows(*action)).collect::<Vec<_>>()
        };
        assert_eq!(allowed(Role::Capture), ALL[..9]);
        assert_eq!(allowed(Role::Terminal), ALL[7..13]);
        let ops = [6, 7, 8, 9, 11, 12, 13].map(|at| ALL[at]);
        assert_eq!(allowed(Role::Ops), ops);
        assert!(ALL.into_iter().all(|action| Access::open().require(action).is_ok()));
    }

    #[test]
    fn a_refusal_says_what_is_needed() {
        let denied = access(Role::Terminal, None).require(Action::Append).unwrap_err();
        assert_eq!(
            denied.to_string(),
            "the token 't' has the role 'terminal'; appending to the log needs a token with the role 'capture'"
        );
        assert_eq!(denied.problem().status, 403);
        let denied = access(Role::Capture, None).require(Action::ReadLag).unwrap_err();
        assert!(denied.to_string().ends_with("the role 'terminal' or 'ops'"), "{denied}");
        assert_eq!(Denied::Missing.problem().status, 401);
        assert_eq!(Denied::Unknown.problem().status, 401);
        assert_eq!(Denied::Unreadable { detail: String::new() }.problem().status, 503);
    }

    #[test]
    fn channels_are_those_of_the_token_and_control() {
        let limited = access(Role::Terminal, Some(&["sales", "stock"]));
        assert_eq!(limited.choose(None), Ok(Some(set(&["control", "sales", "stock"]))));
        assert_eq!(limited.choose(Some(set(&["sales"]))), Ok(Some(set(&["control", "sales"]))));
        assert_eq!(limited.choose(Some(set(&["control"]))), Ok(Some(set(&["control"]))));
        let denied = limited.choose(Some(set(&["sales", "wages"]))).unwrap_err();
        assert!(
            denied.to_string().contains("limited to the channels 'sales', 'stock'"),
            "{denied}"
        );
        assert!(denied.to_string().contains("does not allow 'wages'"), "{denied}");

        let free = access(Role::Terminal, None);
        assert_eq!(free.choose(None), Ok(None));
        assert_eq!(free.choose(Some(set(&["wages"]))), Ok(Some(set(&["control", "wages"]))));
        assert!(access(Role::Terminal, Some(&[])).allows_channel(&ChannelName::control()));
    }
}
