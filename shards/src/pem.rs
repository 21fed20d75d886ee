//! Certificates and keys out of files of PEM, for those who make [`crate::TlsSettings`]. Errors are
//! for the operator: they name the file and what is wrong with it.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate, with those between it and its authority.
///
/// # Errors
/// The file cannot be read, or has none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = |error| format!("{} cannot be read: {error}", file.display());
    let found = CertificateDer::pem_file_iter(file).map_err(read)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(read)?;
    if found.is_empty() {
        return Err(format!("{} has no certificate", file.display()));
    }
    Ok(found)
}

/// A private key.
///
/// # Errors
/// The file cannot be read, or has none.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| format!("{} has no private key: {error}", file.display()))
}

/// Authorities that peers' certificates are checked against.
///
/// # Errors
/// The file cannot be read, has none, or has a certificate that is no authority's.
pub fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("{} is no authority's: {error}", file.display()))?;
    }
    Ok(roots)
}
