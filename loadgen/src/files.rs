//! Files that somebody names: read whole, but never more of them than is of use, and made sure of
//! before a run that is to write them.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::Path;

/// Bytes of a result; a longer file is none of ours.
pub const RESULT_BYTES_MAX: usize = 256 << 20;

/// Reads a file of at most so many bytes.
///
/// # Errors
/// Why it cannot be read, in words that name it.
pub fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let cannot = |why: String| format!("{} cannot be read: {why}", path.display());
    let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
    let mut bytes = Vec::new();
    // One byte more shows that there is more.
    let most = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot(error.to_string()))?;
    if bytes.len() > bytes_max {
        return Err(cannot(format!("it is longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// The same of a text.
///
/// # Errors
/// Why it cannot be read, in words that name it.
pub fn read_text(path: &Path, bytes_max: usize) -> Result<String, String> {
    let bytes = read(path, bytes_max)?;
    String::from_utf8(bytes)
        .map_err(|_| format!("{} cannot be read: it is no UTF-8", path.display()))
}

/// Makes sure that a file can be written, and leaves what is in it.
///
/// # Errors
/// Why it cannot, in words that name it.
pub fn check_writable(path: &Path) -> Result<(), String> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).map_err(|error| unwritable(path, &error))
}

/// Writes a file.
///
/// # Errors
/// Why it cannot be written, in words that name it.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be written: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_is_allowed() {
        assert!(
            read(Path::new("/dev/zero"), 1 << 16)
                .expect_err("endless")
                .contains("longer")
        );
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let bytes = read(&own, 1 << 20).expect("it is there");
        assert_eq!(read(&own, bytes.len()), Ok(bytes.clone()));
        let fault = read(&own, bytes.len() - 1).expect_err("one too many");
        assert!(
            fault.contains("Cargo.toml cannot be read: it is longer"),
            "{fault}"
        );
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let path = Path::new("/nowhere/result.json");
        for fault in [check_writable(path), write(path, "{}")] {
            let fault = fault.expect_err("there is no such folder");
            assert!(
                fault.starts_with("/nowhere/result.json cannot be written"),
                "{fault}"
            );
        }
    }
}
