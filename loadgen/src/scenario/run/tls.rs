//! Certificates and keys: from SIPp's options to what both sides of TLS are configured with. As in
//! SIPp nobody is checked without `-tls_ca`, and with it everybody, for the authority and not for
//! the name: peers under test are seldom called what their certificate says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use offhook_shards::rustls::client::WebPkiServerVerifier;
use offhook_shards::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use offhook_shards::rustls::crypto::{CryptoProvider, ring};
use offhook_shards::rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use offhook_shards::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime,
};
use offhook_shards::rustls::server::{ResolvesServerCertUsingSni, WebPkiClientVerifier};
use offhook_shards::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use offhook_shards::{TlsSettings, pem};

use super::super::model::Side;
use super::super::options::TlsOptions;

/// Where SIPp looks for a certificate and its key that no option names.
const CERTIFICATE: &str = "cacert.pem";
const KEY: &str = "cakey.pem";

/// A certificate with those above it, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What peers' certificates are checked against.
struct Trust {
    roots: Arc<RootCertStore>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
}

/// What both sides need, and whether others can connect to us.
pub(super) struct Tls {
    pub(super) settings: TlsSettings,
    pub(super) accepts: bool,
}

/// Reads the files that the options name.
pub(super) fn load(options: &TlsOptions, side: Side) -> Result<Tls, String> {
    let wrong = |text: String| format!("offhook-load: {text}");
    let identity = identity(options).map_err(wrong)?;
    if identity.is_none() && side == Side::Server {
        return Err(wrong(format!(
            "a server needs a certificate for TLS: -tls_cert FILE and -tls_key FILE, or \
             {CERTIFICATE} and {KEY} in this directory"
        )));
    }
    let trust = trust(options).map_err(wrong)?;
    let provider = Arc::new(ring::default_provider());
    let accepts = identity.is_some();
    let own = || {
        identity
            .as_ref()
            .map(|(chain, key)| (chain.clone(), key.clone_key()))
    };
    let settings = TlsSettings {
        server: Arc::new(server(own(), trust.as_ref(), &provider).map_err(wrong)?),
        client: Arc::new(client(own(), trust.as_ref(), &provider).map_err(wrong)?),
    };
    Ok(Tls { settings, accepts })
}

fn identity(options: &TlsOptions) -> Result<Option<Identity>, String> {
    let is_named = options.certificate.is_some() || options.key.is_some();
    if !is_named && !Path::new(CERTIFICATE).exists() {
        return Ok(None);
    }
    let or = |named: &Option<PathBuf>, usual: &str| named.clone().unwrap_or_else(|| usual.into());
    let (certificate, key) = (or(&options.certificate, CERTIFICATE), or(&options.key, KEY));
    let chain = pem::certificates(&certificate)?;
    Ok(Some((chain, pem::private_key(&key)?)))
}

fn trust(options: &TlsOptions) -> Result<Option<Trust>, String> {
    let Some(file) = &options.authorities else {
        return Ok(None);
    };
    let roots = Arc::new(pem::authorities(file)?);
    let revoked = options.revoked.as_deref().map(pem::revocations);
    let revoked = revoked.transpose()?.unwrap_or_default();
    Ok(Some(Trust { roots, revoked }))
}

fn server(
    identity: Option<Identity>,
    trust: Option<&Trust>,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        None => builder.with_no_client_auth(),
        Some(Trust { roots, revoked }) => {
            let provider = Arc::clone(provider);
            let mut verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider)
                    .with_crls(revoked.iter().cloned());
            if !revoked.is_empty() {
                verifier = verifier.allow_unknown_revocation_status();
            }
            let verifier = verifier.build().map_err(|error| error.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    match identity {
        Some((chain, key)) => builder
            .with_single_cert(chain, key)
            .map_err(|error| do_not_fit(&error)),
        // Nobody can connect: there is no listener either.
        None => Ok(builder.with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()))),
    }
}

fn client(
    identity: Option<Identity>,
    trust: Option<&Trust>,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientConfig, String> {
    let chain = match trust {
        None => None,
        Some(Trust { roots, revoked }) => {
            let provider = Arc::clone(provider);
            let mut verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider)
                    .with_crls(revoked.iter().cloned());
            if !revoked.is_empty() {
                verifier = verifier.allow_unknown_revocation_status();
            }
            Some(verifier.build().map_err(|error| error.to_string())?)
        }
    };
    let verifier = Verifier {
        chain,
        provider: Arc::clone(provider),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| do_not_fit(&error)),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn do_not_fit(error: &Error) -> String {
    format!("the certificate and its key do not fit: {error}")
}

/// Checks the servers that we connect to.
#[derive(Debug)]
struct Verifier {
    /// Nobody is checked without it.
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
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
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last: the authority was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
