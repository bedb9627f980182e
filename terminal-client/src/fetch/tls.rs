use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// TLS for the HTTP client: the system's trusted certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR`
/// name others). Made here rather than by reqwest, which refuses to build even a client for plain
/// http where a system has no certificates at all, as small containers have not.
pub(super) fn client_config(needed: bool) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if needed {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(format!(
                "this system has no trusted certificates{}{}; install ca-certificates, or name a PEM file by SSL_CERT_FILE",
                if errors.is_empty() { "" } else { ": " },
                errors.join(", ")
            ));
        }
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
