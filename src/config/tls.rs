//! `[tls]`: the certificate and key that the server shows, and whom it believes. It names files and
//! opens none.

use std::path::Path;

/// What SIP over TLS is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file: the server's certificate, then those between it and the authority.
    pub certificate: Box<str>,
    /// A PEM file: its private key.
    pub key: Box<str>,
    /// A PEM file: the authorities whose signatures are believed.
    pub ca: Box<str>,
    /// Whether who connects must show a certificate too.
    pub client_certificates: ClientCertificates,
}

/// What is asked of who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientCertificates {
    /// Nothing.
    None,
    /// A certificate that is shown must be good; none need be.
    Request,
    /// A good certificate.
    Require,
}

impl Tls {
    /// Makes the names of files that are relative start from a folder.
    pub(super) fn start_from(&mut self, folder: &Path) {
        for file in [&mut self.certificate, &mut self.key, &mut self.ca] {
            *file = folder.join(&**file).to_string_lossy().into();
        }
    }
}
