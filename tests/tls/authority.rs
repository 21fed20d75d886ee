//! An authority, the files of those whom it vouches for, and both sides of TLS that believe it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use offhook_shards::rustls::crypto::ring;
use offhook_shards::rustls::pki_types::pem::PemObject;
use offhook_shards::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use offhook_shards::rustls::server::WebPkiClientVerifier;
use offhook_shards::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Its files are in a folder of the test's own, which goes with it.
pub(crate) struct Authority {
    pub(crate) folder: PathBuf,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    roots: Arc<RootCertStore>,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pem: String,
    key: String,
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Authority {
    pub(crate) fn new(test: &str) -> Self {
        let folder = format!("offhook-tls-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        // OpenSSL takes who has its issuer's name for self-signed.
        let common_name = rcgen::DnType::CommonName;
        parameters
            .distinguished_name
            .push(common_name, "an authority");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        Self {
            folder,
            issuer: rcgen::Issuer::new(parameters, key),
            roots: Arc::new(roots),
        }
    }

    pub(crate) fn vouch(&self, name: &str) -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Identity {
            pem: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// The files of the server, which is called so.
    pub(crate) fn write(&self, name: &str) {
        let (pem, key) = (
            self.folder.join("offhook.pem"),
            self.folder.join("offhook.key"),
        );
        self.vouch(name).write(&pem, &key);
    }

    /// `[tls]` of a configuration, with `more` in it.
    pub(crate) fn section(&self, more: &str) -> String {
        let file = |name: &str| Path::display(&self.folder.join(name)).to_string();
        format!(
            "[tls]\ncertificate = {:?}\nkey = {:?}\nca = {:?}\n{more}\n",
            file("offhook.pem"),
            file("offhook.key"),
            file("ca.pem")
        )
    }

    /// Who connects, with a certificate of its own or without.
    pub(crate) fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots));
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.read();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }

    /// Who is connected to; it wants to know who connects.
    pub(crate) fn server(&self, identity: &Identity) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::clone(&self.roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let (chain, key) = identity.read();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain, key);
        Arc::new(config.unwrap())
    }
}

impl Identity {
    pub(crate) fn write(&self, pem: &Path, key: &Path) {
        std::fs::write(pem, &self.pem).unwrap();
        std::fs::write(key, &self.key).unwrap();
    }

    fn read(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.pem.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        (chain.collect::<Result<_, _>>().unwrap(), key.unwrap())
    }
}
