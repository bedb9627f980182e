//! Whose request it is, and which channels it gets.

use std::collections::BTreeSet;

use axum::{
    http::{HeaderMap, HeaderValue, header::AUTHORIZATION},
    response::Response,
};
use wire::{ChannelName, headers};

use super::{app::App, problem::Refused};
use crate::{
    access::{Access, Action, bearer},
    log::Channels,
};

impl App {
    /// What the request may do, which must include `action`.
    pub(super) fn grant(&self, headers: &HeaderMap, action: Action) -> Result<Access, Refused> {
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let access = self.tokens.check(shown.and_then(bearer))?;
        access.require(action)?;
        Ok(access)
    }
}

/// The channels of a request: those it names, which must all be allowed, or all that are allowed.
pub(super) fn channels(access: &Access, asked: Option<&str>) -> Result<Channels, Refused> {
    let asked = asked.filter(|asked| !asked.is_empty()).map(|asked| {
        asked
            .split(',')
            .map(|name| ChannelName::new(name.trim()))
            .collect::<Result<BTreeSet<ChannelName>, _>>()
            .map_err(|error| Refused::bad_request(error.to_string()))
    });
    let chosen = access.choose(asked.transpose()?)?;
    Ok(chosen.map_or(Channels::All, Channels::Only))
}

/// Says in the answer what the token allows: a reader that names no channels has to know what it gets.
pub(super) fn tell_channels(answer: &mut Response, access: &Access) {
    if let Ok(value) = HeaderValue::from_str(&access.channel_set().to_string()) {
        answer.headers_mut().insert(headers::CHANNELS, value);
    }
}
