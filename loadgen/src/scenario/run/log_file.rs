//! A file that lines are added to, and that may not grow for ever: it ends at a size, or makes
//! room by giving what it has to a file of another name.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// How far a file may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size {
    /// Nothing more is written to a file of so many bytes.
    pub(super) bytes_max: Option<u64>,
    /// A file of so many bytes is put aside, and a new one begun.
    pub(super) ring_bytes: Option<u64>,
    /// How many files that were put aside are kept; all without it.
    pub(super) ring_files: Option<usize>,
}

/// The file.
pub(super) struct LogFile {
    path: PathBuf,
    file: BufWriter<File>,
    /// Bytes in it.
    written: u64,
    size: Size,
    /// Files put aside, oldest first.
    aside: VecDeque<PathBuf>,
    /// How many there have been.
    asides: u64,
}

impl LogFile {
    /// An empty file, instead of any that was there.
    pub(super) fn create(path: &Path, size: Size) -> Result<Self, String> {
        Ok(Self {
            file: create(path)?,
            path: path.to_owned(),
            written: 0,
            size,
            aside: VecDeque::new(),
            asides: 0,
        })
    }

    /// Adds an entry. A full disk does not end the run; the file is then short.
    pub(super) fn write(&mut self, parts: &[&[u8]]) {
        let most = self.size.bytes_max.unwrap_or(u64::MAX);
        if self.written >= most {
            return;
        }
        for part in parts {
            self.written += part.len() as u64;
            let _ = self.file.write_all(part);
        }
        if self
            .size
            .ring_bytes
            .is_some_and(|bytes| self.written >= bytes)
        {
            self.put_aside();
        }
    }

    pub(super) fn flush(&mut self) {
        // The same.
        let _ = self.file.flush();
    }

    fn put_aside(&mut self) {
        self.flush();
        self.asides += 1;
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let ending = self.path.extension().unwrap_or_default().to_string_lossy();
        let aside = self
            .path
            .with_file_name(format!("{stem}_{}.{ending}", self.asides));
        if std::fs::rename(&self.path, &aside).is_err() {
            // It goes on growing, rather than to lose what was written.
            return;
        }
        self.aside.push_back(aside);
        while self.aside.len() > self.size.ring_files.unwrap_or(usize::MAX) {
            if let Some(oldest) = self.aside.pop_front() {
                let _ = std::fs::remove_file(oldest);
            }
        }
        if let Ok(file) = create(&self.path) {
            self.file = file;
            self.written = 0;
        }
    }
}

/// An empty file, instead of any that was there.
pub(super) fn create(path: &Path) -> Result<BufWriter<File>, String> {
    File::create(path).map(BufWriter::new).map_err(|error| {
        format!(
            "offhook-load: {} cannot be written: {error}",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in a folder after ten entries of ten bytes, by name.
    fn folder(name: &str, size: Size) -> Vec<(String, usize)> {
        let folder = std::env::temp_dir().join(format!("{name}_{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let mut log =
            LogFile::create(&folder.join("errors.log"), size).expect("a file can be made");
        for _ in 0..10 {
            log.write(&[b"012345678", b"\n"]);
        }
        log.flush();
        let mut found: Vec<(String, usize)> = std::fs::read_dir(&folder)
            .expect("the folder is there")
            .map(|entry| {
                let entry = entry.expect("its entries can be read");
                let bytes = std::fs::read(entry.path()).expect("a file can be read");
                (
                    entry.file_name().to_string_lossy().into_owned(),
                    bytes.len(),
                )
            })
            .collect();
        std::fs::remove_dir_all(&folder).expect("the folder can go");
        found.sort();
        found
    }

    #[test]
    fn a_file_ends_at_its_size() {
        let size = Size {
            bytes_max: Some(25),
            ..Size::default()
        };
        assert_eq!(folder("ends", size), [("errors.log".to_owned(), 30)]);
    }

    #[test]
    fn a_ring_keeps_the_newest_files() {
        let size = Size {
            ring_bytes: Some(30),
            ring_files: Some(2),
            ..Size::default()
        };
        let found = folder("ring", size);
        let expected = [
            ("errors.log", 10),
            ("errors_2.log", 30),
            ("errors_3.log", 30),
        ];
        assert_eq!(
            found,
            expected.map(|(name, bytes)| (name.to_owned(), bytes))
        );
    }
}
