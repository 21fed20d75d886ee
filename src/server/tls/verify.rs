//! Whose certificate is good: one that an authority of ours has signed, and that names the domain
//! as RFC 5922 §7 compares names: URIs of SIP before DNS names, never a wildcard.

use std::sync::Arc;

use offhook_shards::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use offhook_shards::rustls::client::verify_server_cert_signed_by_trust_anchor;
use offhook_shards::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use offhook_shards::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use offhook_shards::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use offhook_shards::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use offhook_shards::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use webpki::EndEntityCert;

/// For connections that we open.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    algorithms: WebPkiSupportedAlgorithms,
    roots: Arc<RootCertStore>,
}

impl ServerVerifier {
    pub(super) fn new(provider: &CryptoProvider, roots: &Arc<RootCertStore>) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
            roots: Arc::clone(roots),
        }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        if names(end_entity, server_name)? {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::NotValidForName.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// For connections that peers open.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    /// What the peers of the trunks are called; a client must be one of them.
    names: Vec<Box<str>>,
}

impl ClientVerifier {
    pub(super) fn new(
        provider: &Arc<CryptoProvider>,
        roots: &Arc<RootCertStore>,
        names: Vec<Box<str>>,
        mandatory: bool,
    ) -> Result<Self, String> {
        let provider = Arc::clone(provider);
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider);
        let builder = if mandatory {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        let chain = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { chain, names })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)?;
        for name in &self.names {
            let Ok(name) = ServerName::try_from(&**name) else {
                continue;
            };
            if names(end_entity, &name)? {
                return Ok(verified);
            }
        }
        Err(CertificateError::NotValidForName.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Whether the certificate is for this domain or address.
fn names(certificate: &CertificateDer<'_>, wanted: &ServerName<'_>) -> Result<bool, Error> {
    let certificate = EndEntityCert::try_from(certificate)
        .map_err(|_| Error::from(CertificateError::BadEncoding))?;
    let ServerName::DnsName(domain) = wanted else {
        let verified = certificate.verify_is_valid_for_subject_name(wanted);
        return Ok(verified.is_ok());
    };
    let wanted = domain.as_ref();
    // RFC 5922 §7.1: URIs of SIP without a user are identities; DNS names only where there is no
    // such URI. §7.2: they are compared as they stand, without regard to case.
    let mut uris = certificate
        .valid_uri_names()
        .filter_map(sip_domain)
        .peekable();
    if uris.peek().is_some() {
        return Ok(uris.any(|domain| domain.eq_ignore_ascii_case(wanted)));
    }
    let mut domains = certificate.valid_dns_names();
    Ok(domains.any(|domain| domain.eq_ignore_ascii_case(wanted)))
}

/// The domain of `sip:example.com`; a URI with a user or of another scheme names none.
fn sip_domain(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    let end = rest.find([':', ';', '?']).unwrap_or(rest.len());
    Some(&rest[..end])
}

#[cfg(test)]
mod tests;
