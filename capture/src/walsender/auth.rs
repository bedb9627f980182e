//! Logging in, without the socket: the server's requests in, our answers out (manual, 55.3 "SASL
//! Authentication").

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{self, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256},
    },
    message::frontend,
};

use super::{error::WalsenderError, response::take_text};
use crate::source::ChannelBinding;

/// What we log in with.
pub(super) struct Credentials<'a> {
    pub(super) place: &'a str,
    pub(super) user: &'a str,
    pub(super) password: Option<&'a [u8]>,
    pub(super) channel_binding: ChannelBinding,
    /// Hash of the server's certificate; nothing without TLS.
    pub(super) end_point: Option<Vec<u8>>,
}

/// How far the server is with us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It will ask again, or say yes.
    Asked,
    /// It said yes.
    LoggedIn,
}

/// One log-in.
pub(super) struct Login<'a> {
    credentials: Credentials<'a>,
    scram: Option<ScramSha256>,
    /// The server has proved that it knows the password.
    proved: bool,
    bound: bool,
}

impl<'a> Login<'a> {
    pub(super) fn new(credentials: Credentials<'a>) -> Self {
        Self { credentials, scram: None, proved: false, bound: false }
    }

    /// Answers one Authentication message, given without its header, into `out`.
    pub(super) fn answer(
        &mut self,
        mut request: Bytes,
        out: &mut BytesMut,
    ) -> Result<Progress, WalsenderError> {
        let kind = request
            .try_get_u32()
            .map_err(|_| self.unexpected("an empty authentication request"))?;
        match kind {
            0 => return self.accepted(),
            3 => {
                self.unbound()?;
                frontend::password_message(self.password()?, out)?;
            }
            5 => {
                self.unbound()?;
                let salt = request
                    .try_get_u32()
                    .map_err(|_| self.unexpected("an md5 request without salt"))?;
                let hash = md5_hash(
                    self.credentials.user.as_bytes(),
                    self.password()?,
                    salt.to_be_bytes(),
                );
                frontend::password_message(hash.as_bytes(), out)?;
            }
            10 => self.begin_scram(request, out)?,
            11 => {
                let scram = self
                    .scram
                    .as_mut()
                    .ok_or_else(|| unexpected("a SCRAM message nobody asked for"))?;
                scram
                    .update(&request)
                    .map_err(|source| impostor(self.credentials.place, source))?;
                frontend::sasl_response(scram.message(), out)?;
            }
            12 => {
                let mut scram = self
                    .scram
                    .take()
                    .ok_or_else(|| unexpected("a SCRAM message nobody asked for"))?;
                scram
                    .finish(&request)
                    .map_err(|source| impostor(self.credentials.place, source))?;
                self.proved = true;
            }
            other => return Err(self.not_supported(method_name(other))),
        }
        Ok(Progress::Asked)
    }

    fn begin_scram(
        &mut self,
        mut mechanisms: Bytes,
        out: &mut BytesMut,
    ) -> Result<(), WalsenderError> {
        if self.scram.is_some() || self.proved {
            return Err(self.unexpected("a second request for SCRAM"));
        }
        let offered: Vec<String> = std::iter::from_fn(|| take_text(&mut mechanisms))
            .take_while(|name| !name.is_empty())
            .collect();
        let offers = |mechanism: &str| offered.iter().any(|name| name == mechanism);
        let wanted = self.credentials.channel_binding != ChannelBinding::Disable;
        let (mechanism, binding) = match self.credentials.end_point.take().filter(|_| wanted) {
            Some(hash) if offers(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(hash))
            }
            // We could, the server says it cannot: telling it so exposes who took the offer away in between.
            Some(_) => (SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
            None => (SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
        };
        if !offers(mechanism) {
            return Err(self.not_supported(offered.join(", ")));
        }
        self.bound = mechanism == SCRAM_SHA_256_PLUS;
        if !self.bound {
            self.unbound()?;
        }
        let scram = ScramSha256::new(self.password()?, binding);
        frontend::sasl_initial_response(mechanism, scram.message(), out)?;
        self.scram = Some(scram);
        Ok(())
    }

    /// A server that starts SCRAM and then lets us in without its own proof is not the one we meant.
    fn accepted(&self) -> Result<Progress, WalsenderError> {
        if self.scram.is_some() {
            return Err(self.unexpected("a log-in without the end of SCRAM"));
        }
        if !(self.bound && self.proved) {
            self.unbound()?;
        }
        Ok(Progress::LoggedIn)
    }

    /// Passes only where the log-in need not be bound to the TLS session.
    fn unbound(&self) -> Result<(), WalsenderError> {
        match self.credentials.channel_binding {
            ChannelBinding::Require => {
                Err(WalsenderError::NoChannelBinding { place: self.credentials.place.to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn password(&self) -> Result<&'a [u8], WalsenderError> {
        self.credentials.password.ok_or_else(|| WalsenderError::NoPassword {
            place: self.credentials.place.to_owned(),
            user: self.credentials.user.to_owned(),
        })
    }

    fn not_supported(&self, method: impl Into<String>) -> WalsenderError {
        WalsenderError::AuthMethod {
            place: self.credentials.place.to_owned(),
            method: method.into(),
        }
    }

    fn unexpected(&self, what: &str) -> WalsenderError {
        unexpected(what)
    }
}

fn unexpected(what: &str) -> WalsenderError {
    WalsenderError::Unexpected { what: what.to_owned(), doing: "logging in" }
}

fn impostor(place: &str, source: io::Error) -> WalsenderError {
    WalsenderError::Impostor { place: place.to_owned(), source }
}

fn method_name(kind: u32) -> String {
    match kind {
        2 => "kerberos 5".into(),
        7 | 8 => "gss".into(),
        9 => "sspi".into(),
        other => format!("number {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(
        password: Option<&'static [u8]>,
        channel_binding: ChannelBinding,
        end_point: Option<Vec<u8>>,
    ) -> Login<'static> {
        Login::new(Credentials {
            place: "db:5432",
            user: "me",
            password,
            channel_binding,
            end_point,
        })
    }

    fn request(kind: u32, rest: &[u8]) -> Bytes {
        [&kind.to_be_bytes()[..], rest].concat().into()
    }

    const BOTH: &[u8] = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";

    #[test]
    fn md5_and_cleartext_are_answered() {
        let mut out = BytesMut::new();
        let mut login = login(Some(b"secret"), ChannelBinding::Prefer, None);
        login.answer(request(5, &[1, 2, 3, 4]), &mut out).unwrap();
        assert_eq!(&out[..8], b"p\0\0\0\x28md5");
        out.clear();
        login.answer(request(3, b""), &mut out).unwrap();
        assert_eq!(&out[..], b"p\0\0\0\x0bsecret\0");
        assert_eq!(login.answer(request(0, b""), &mut out).unwrap(), Progress::LoggedIn);
    }

    #[test]
    fn scram_takes_the_strongest_form_both_sides_have() {
        let cases = [
            (
                ChannelBinding::Prefer,
                Some(vec![1]),
                BOTH,
                "SCRAM-SHA-256-PLUS\0",
                "p=tls-server-end-point,,n=",
            ),
            (
                ChannelBinding::Prefer,
                Some(vec![1]),
                b"SCRAM-SHA-256\0\0",
                "SCRAM-SHA-256\0",
                "y,,n=",
            ),
            (ChannelBinding::Prefer, None, BOTH, "SCRAM-SHA-256\0", "n,,n="),
            (ChannelBinding::Disable, Some(vec![1]), BOTH, "SCRAM-SHA-256\0", "n,,n="),
        ];
        for (policy, hash, offered, mechanism, gs2) in cases {
            let mut out = BytesMut::new();
            login(Some(b"x"), policy, hash).answer(request(10, offered), &mut out).unwrap();
            let text = String::from_utf8_lossy(&out);
            assert!(text.contains(mechanism) && text.contains(gs2), "{text}");
        }
    }

    #[test]
    fn required_channel_binding_lets_nothing_else_pass() {
        for ask in [
            request(0, b""),
            request(3, b""),
            request(5, b"salt"),
            request(10, b"SCRAM-SHA-256\0\0"),
        ] {
            let mut login = login(Some(b"x"), ChannelBinding::Require, Some(vec![1]));
            let error = login.answer(ask, &mut BytesMut::new()).unwrap_err();
            assert!(matches!(error, WalsenderError::NoChannelBinding { .. }), "{error}");
        }
    }

    #[test]
    fn a_server_that_skips_its_own_proof_is_refused() {
        let mut login = login(Some(b"x"), ChannelBinding::Prefer, None);
        login.answer(request(10, b"SCRAM-SHA-256\0\0"), &mut BytesMut::new()).unwrap();
        assert!(matches!(
            login.answer(request(0, b""), &mut BytesMut::new()),
            Err(WalsenderError::Unexpected { .. })
        ));
    }

    #[test]
    fn what_cannot_be_answered_is_named() {
        let answer = |password, ask| {
            login(password, ChannelBinding::Prefer, None)
                .answer(ask, &mut BytesMut::new())
                .unwrap_err()
        };
        assert!(answer(None, request(3, b"")).to_string().contains("PGPASSWORD"));
        assert!(answer(None, request(7, b"")).to_string().contains("gss"));
        assert!(
            answer(Some(b"x"), request(10, b"OAUTHBEARER\0\0")).to_string().contains("OAUTHBEARER")
        );
        assert!(matches!(answer(None, Bytes::new()), WalsenderError::Unexpected { .. }));
    }
}
