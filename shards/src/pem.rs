//! Certificates and keys out of files of PEM, for those who make [`crate::TlsSettings`]. Errors are
//! for the operator: they name the file and what is wrong with it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::limits::PEM_BYTES_MAX;

/// Reads a file whole, unless it is longer than any of PEM is.
fn read(file: &Path) -> Result<Vec<u8>, String> {
    let cannot = |why: String| format!("{} cannot be read: {why}", file.display());
    let opened = File::open(file).map_err(|error| cannot(error.to_string()))?;
    let mut bytes = Vec::new();
    // One byte more shows that there is more.
    let read = opened.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes);
    let length = read.map_err(|error| cannot(error.to_string()))?;
    if length as u64 > PEM_BYTES_MAX {
        return Err(cannot(format!("it is longer than {PEM_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// All of one kind that a file has.
fn all<T: PemObject>(file: &Path) -> Result<Vec<T>, String> {
    let bytes = read(file)?;
    let found: Result<Vec<T>, _> = T::pem_slice_iter(&bytes).collect();
    found.map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

/// A certificate, with those between it and its authority.
///
/// # Errors
/// The file cannot be read, is too long, or has none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<CertificateDer<'_>> = all(file)?;
    if found.is_empty() {
        return Err(format!("{} has no certificate", file.display()));
    }
    Ok(found)
}

/// A private key.
///
/// # Errors
/// The file cannot be read, is too long, or has none.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(file)?)
        .map_err(|error| format!("{} has no private key: {error}", file.display()))
}

/// Authorities that peers' certificates are checked against.
///
/// # Errors
/// The file cannot be read, is too long, has none, or has a certificate that is no authority's.
pub fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("{} is no authority's: {error}", file.display()))?;
    }
    Ok(roots)
}

/// Lists of what authorities have revoked.
///
/// # Errors
/// The file cannot be read, is too long, or has none.
pub fn revocations(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let found: Vec<CertificateRevocationListDer<'_>> = all(file)?;
    if found.is_empty() {
        return Err(format!("{} lists nothing revoked", file.display()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_files_are_refused() {
        let endless = Path::new("/dev/zero");
        let faults = [
            certificates(endless).err(),
            private_key(endless).err(),
            authorities(endless).err(),
            revocations(endless).err(),
        ];
        for fault in faults {
            let fault = fault.expect("nobody reads it to its end");
            assert!(
                fault.starts_with("/dev/zero cannot be read: it is longer than"),
                "{fault}"
            );
        }
    }

    #[test]
    fn what_a_file_has_not_is_said() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        for (fault, words) in [
            (certificates(&file).err(), "Cargo.toml has no certificate"),
            (private_key(&file).err(), "Cargo.toml has no private key"),
            (revocations(&file).err(), "Cargo.toml lists nothing revoked"),
        ] {
            let fault = fault.expect("it has none");
            assert!(fault.contains(words), "{fault}");
        }
    }
}
