//! Certificate checks with libpq's meaning of `sslmode`, on top of webpki's chain building.

use std::{sync::Arc, time::Duration};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use x509_cert::{
    Certificate,
    der::{Decode, oid::db::rfc4519::COMMON_NAME, oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME},
};

/// What is asked of the server's certificate.
#[derive(Debug, Clone)]
pub(super) enum Trust {
    /// Nothing. The handshake signature is checked all the same: channel binding rests on it.
    Anyone,
    /// A chain to a root.
    Chain,
    /// A chain to a root, and the host's name.
    ChainAndName,
}

#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    /// Certificates of `sslrootcert`. One that the server presents itself (self-signed, the usual
    /// private setup) is trusted as it is; webpki refuses a root in that place.
    pinned: Vec<CertificateDer<'static>>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(
        trust: Trust,
        roots: RootCertStore,
        pinned: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, rustls::client::VerifierBuilderError> {
        let chain = match trust {
            Trust::Anyone => None,
            _ => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()?,
            ),
        };
        Ok(Self { trust, pinned, chain, algorithms: provider.signature_verification_algorithms })
    }

    fn verify_name(
        &self,
        end_entity: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        match rustls::client::verify_server_name(&parsed, name) {
            Err(error) if is_name_mismatch(&error) && common_name_is(end_entity, name) => Ok(()),
            result => result,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        if self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
            check_dates(end_entity, now)?;
        } else if let Err(error) = chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            // webpki looks at the name last, so this error means that the chain is good.
            && !is_name_mismatch(&error)
        {
            return Err(error);
        }
        if matches!(self.trust, Trust::ChainAndName) {
            self.verify_name(end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_name_mismatch(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

/// Whether the common name is the host's. Only asked of certificates without alternative names, as
/// libpq does (RFC 6125 6.4.4).
fn common_name_is(end_entity: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok(certificate) = Certificate::from_der(end_entity) else { return false };
    let tbs = &certificate.tbs_certificate;
    let has_alternative_names = tbs
        .extensions
        .iter()
        .flatten()
        .any(|extension| extension.extn_id == ID_CE_SUBJECT_ALT_NAME);
    let host = name.to_str();
    !has_alternative_names
        && tbs
            .subject
            .0
            .iter()
            .flat_map(|rdn| rdn.0.iter())
            .filter(|attribute| attribute.oid == COMMON_NAME)
            .any(|attribute| attribute.value.value().eq_ignore_ascii_case(host.as_bytes()))
}

fn check_dates(end_entity: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let certificate =
        Certificate::from_der(end_entity).map_err(|_| CertificateError::BadEncoding)?;
    let validity = &certificate.tbs_certificate.validity;
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}
