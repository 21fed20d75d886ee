//! One thread that writes one shard's journal: whatever has come in meanwhile with one call to the
//! kernel, and the whole anew when the file has grown to several times of what is live. A shard
//! never waits for a disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::journal::frame::{self, HEAD};
use crate::journal::{Image, Record};
use crate::limits::{JOURNAL_BATCH_MAX, JOURNAL_FILE_BYTES, JOURNAL_QUEUE_MAX};

/// How many times what is live a file may be before it is written anew.
const GROWTH: usize = 4;

/// What a writer is told.
#[derive(Debug)]
pub(super) enum Entry {
    /// Write this.
    Record(Record),
    /// Nothing follows.
    End,
}

/// The way to a writer, and back.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) sender: Sender<Entry>,
    /// How many records the kernel has.
    pub(super) written: Arc<AtomicU64>,
}

/// Writes one journal.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    /// `None` after a write that failed: what is in it may end anywhere, so it is written anew.
    file: Option<File>,
    bytes: usize,
    /// What the file comes to.
    image: Image,
    /// How many bytes the image took when it was last written.
    live: usize,
    receiver: Receiver<Entry>,
    written: Arc<AtomicU64>,
    batch: Vec<u8>,
}

impl Writer {
    /// A writer whose file holds the image.
    pub(super) fn open(path: &Path, image: Image) -> io::Result<(Self, Line)> {
        let (sender, receiver) = bounded(JOURNAL_QUEUE_MAX);
        let written = Arc::new(AtomicU64::new(0));
        let line = Line {
            sender,
            written: Arc::clone(&written),
        };
        let mut writer = Self {
            path: path.to_owned(),
            file: None,
            bytes: 0,
            image,
            live: 0,
            receiver,
            written,
            batch: Vec::new(),
        };
        writer.rotate()?;
        Ok((writer, line))
    }

    /// Writes until nothing follows.
    pub(super) fn run(mut self) {
        let mut is_over = false;
        while !is_over {
            let Ok(first) = self.receiver.recv() else {
                break;
            };
            let mut records = 0;
            let mut next = Some(first);
            while let Some(entry) = next {
                match entry {
                    Entry::Record(record) => {
                        frame::append(&mut self.batch, &record);
                        self.image.apply(record);
                        records += 1;
                    }
                    Entry::End => is_over = true,
                }
                next = (records < JOURNAL_BATCH_MAX && !is_over)
                    .then(|| self.receiver.try_recv().ok())
                    .flatten();
            }
            self.write();
            // Told even if it failed: a broken disk costs the journal, not the calls.
            self.written.fetch_add(records, Ordering::Release);
        }
        if let Some(Err(error)) = self.file.map(|file| file.sync_data()) {
            tracing::error!(file = %self.path.display(), %error, "a journal's end may be lost");
        }
    }

    fn write(&mut self) {
        let outcome = match &mut self.file {
            Some(file) if self.bytes < JOURNAL_FILE_BYTES.max(self.live * GROWTH) => {
                self.bytes += self.batch.len();
                file.write_all(&self.batch)
            }
            Some(_) | None => self.rotate(),
        };
        self.batch.clear();
        match outcome {
            Ok(()) => {}
            Err(error) => {
                if self.file.take().is_some() {
                    tracing::error!(
                        file = %self.path.display(), %error,
                        "the journal cannot be written; a crash now would lose calls"
                    );
                }
            }
        }
    }

    /// Writes what is live to a new file, which then takes the place of the old one.
    fn rotate(&mut self) -> io::Result<()> {
        let (file, bytes) = write(&self.path, &self.image)?;
        self.file = Some(file);
        (self.bytes, self.live) = (bytes, bytes);
        Ok(())
    }
}

/// Puts a journal that holds the image in the place of a file, or none; gives back its length.
pub(super) fn write(path: &Path, image: &Image) -> io::Result<(File, usize)> {
    let mut bytes = HEAD.to_vec();
    for record in image.records() {
        frame::append(&mut bytes, &record);
    }
    let file = replace(path, &bytes)?;
    Ok((file, bytes.len()))
}

/// Puts a file in the place of another one, or none; at no moment is there half of it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let new = path.with_extension("new");
    let mut options = File::options();
    let mut file = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}
