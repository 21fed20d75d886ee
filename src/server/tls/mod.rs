//! Certificates and keys: from PEM files to what both sides of TLS are configured with. Whose
//! certificate is good for whom is `verify`'s business; when a file is read again, `serve`'s.

mod verify;

use std::path::Path;
use std::sync::Arc;

use offhook_shards::rustls::crypto::{CryptoProvider, ring};
use offhook_shards::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use offhook_shards::rustls::server::WantsServerCert;
use offhook_shards::rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig};
use offhook_shards::{TlsSettings, pem};

use crate::config::{ClientCertificates, Config, Tls};

use verify::{ClientVerifier, ServerVerifier};

/// Reads the files of `[tls]`.
///
/// # Errors
/// The file that cannot be used, and why.
pub fn load(config: &Config) -> Result<Option<TlsSettings>, String> {
    let Some(tls) = &config.tls else {
        return Ok(None);
    };
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(pem::authorities(Path::new(&*tls.ca))?);
    let server = server(config, tls, &provider, &roots)?;
    let client = client(tls, &provider, &roots)?;
    Ok(Some(TlsSettings {
        server: Arc::new(server),
        client: Arc::new(client),
    }))
}

fn server(
    config: &Config,
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match tls.client_certificates {
        ClientCertificates::None => builder.with_no_client_auth(),
        ClientCertificates::Request | ClientCertificates::Require => {
            let mandatory = tls.client_certificates == ClientCertificates::Require;
            let names = config.tls_names().map(Into::into).collect();
            let verifier = ClientVerifier::new(provider, roots, names, mandatory)?;
            builder.with_client_cert_verifier(Arc::new(verifier))
        }
    };
    showing(builder, tls)
}

/// A server that shows our certificate.
fn showing(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    tls: &Tls,
) -> Result<ServerConfig, String> {
    let (chain, key) = read_identity(tls)?;
    builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("{} and {} do not fit: {error}", tls.certificate, tls.key))
}

/// What HTTP is served with, if it is under TLS: the same certificate. Who comes is known by its
/// token, so no certificate is asked for.
///
/// # Errors
/// The file that cannot be used, and why.
pub fn load_http(config: &Config) -> Result<Option<Arc<ServerConfig>>, String> {
    let Some(tls) = config.tls.as_ref().filter(|_| config.server.http_tls) else {
        return Ok(None);
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth();
    let mut server = showing(builder, tls)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(server)))
}

fn client(
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
) -> Result<ClientConfig, String> {
    let verifier = ServerVerifier::new(provider, roots);
    let (chain, key) = read_identity(tls)?;
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        // A peer that wants to know who connects gets the same certificate.
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("{} and {} do not fit: {error}", tls.certificate, tls.key))
}

fn read_identity(
    tls: &Tls,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = pem::certificates(Path::new(&*tls.certificate))?;
    let key = pem::private_key(Path::new(&*tls.key))?;
    Ok((chain, key))
}
