use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};

use super::{
    params::{SslMode, TlsParams},
    verifier::{Trust, Verifier},
};

/// Why TLS cannot be set up as asked.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file is not readable, or not PEM.
    #[error("cannot read {option} from {path}: give a readable PEM file")]
    Pem { option: &'static str, path: PathBuf, source: pem::Error },
    /// No certificate to trust.
    #[error("no trusted root certificate in {place}: name a PEM file with sslrootcert=…")]
    NoRoots { place: String },
    /// The roots cannot be used.
    #[error("cannot use the trusted root certificates")]
    Roots(#[source] rustls::client::VerifierBuilderError),
    /// The client's certificate and key do not belong together, or the like.
    #[error("cannot use the client certificate (sslcert, sslkey)")]
    ClientCertificate(#[source] rustls::Error),
    /// rustls refuses the provider.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
}

/// The rustls configuration for these parameters, or nothing where TLS is off.
pub fn client_config(params: &TlsParams) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let trust = match params.mode {
        SslMode::Disable => return Ok(None),
        // libpq: with a root file, `require` means `verify-ca`.
        SslMode::Require if params.root_cert.is_some() => Trust::Chain,
        SslMode::Prefer | SslMode::Require => Trust::Anyone,
        SslMode::VerifyCa => Trust::Chain,
        SslMode::VerifyFull => Trust::ChainAndName,
    };
    let provider = Arc::new(ring::default_provider());
    let (roots, pinned) = match trust {
        Trust::Anyone => (RootCertStore::empty(), Vec::new()),
        _ => trusted_roots(params)?,
    };
    let verifier = Verifier::new(trust, roots, pinned, &provider).map_err(TlsError::Roots)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match (&params.client_cert, &params.client_key) {
        (Some(cert), Some(key)) => {
            let chain = read_certificates("sslcert", cert)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Pem {
                option: "sslkey",
                path: key.clone(),
                source,
            })?;
            builder.with_client_auth_cert(chain, key).map_err(TlsError::ClientCertificate)?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

type Roots = (RootCertStore, Vec<CertificateDer<'static>>);

fn trusted_roots(params: &TlsParams) -> Result<Roots, TlsError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = params.root_cert.as_ref().filter(|path| path.as_os_str() != "system") else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if roots.is_empty() {
            Err(TlsError::NoRoots { place: "this system's store".into() })
        } else {
            Ok((roots, Vec::new()))
        };
    };
    let pinned = read_certificates("sslrootcert", path)?;
    roots.add_parsable_certificates(pinned.iter().cloned());
    if roots.is_empty() {
        return Err(TlsError::NoRoots { place: path.display().to_string() });
    }
    Ok((roots, pinned))
}

fn read_certificates(
    option: &'static str,
    path: &PathBuf,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Pem { option, path: path.clone(), source };
    CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}
