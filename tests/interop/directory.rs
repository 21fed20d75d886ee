//! The folder of one test: configurations in, logs out. It stays after the test, for whoever looks
//! for the cause of a failure, and is emptied when the test starts again.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of one test.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// An empty folder.
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("interop")
            .join(name);
        if path.exists() {
            fs::remove_dir_all(&path).expect("what the last run left can be removed");
        }
        fs::create_dir_all(&path).expect("a folder for the test can be made");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, text).expect("the test's own folder can be written");
        path
    }

    /// The end of a file, or nothing where there is none.
    pub(crate) fn tail(&self, name: &str, lines_max: usize) -> String {
        let text = fs::read(self.file(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(lines_max)..].join("\n")
    }
}
