//! The directory: who may use it, the keys that a restart must not change, and the files of an
//! earlier process, each read as far as it is good and written anew before anything else happens.

use std::fmt;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use offhook_shards::ShardId;

use crate::config::Config;
use crate::counters::Counters;
use crate::cti::ConnId;
use crate::dialog::LegMemory;
use crate::engine::Owners;
use crate::journal::field;
use crate::journal::frame::{self, Why};
use crate::journal::{Image, Key};

use super::desk::Desk;
use super::writer::{Entry, Line, Writer};

/// Why a directory cannot be used.
#[derive(Debug)]
pub enum StateError {
    /// Another server uses it.
    InUse(PathBuf),
    /// A file of it cannot be made, read or written.
    File(PathBuf, io::Error),
}

impl fmt::Display for StateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                formatter,
                "another server uses {}; give each its own --state-dir",
                path.display()
            ),
            Self::File(path, error) => write!(
                formatter,
                "{} cannot be used: {error}; name a directory of the server's user with \
                 --state-dir",
                path.display()
            ),
        }
    }
}

/// What an earlier process and this one must have in common, so that the Call-IDs of its calls
/// lead to the shards that know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    keys: [u64; 2],
    shards: u16,
}

impl Identity {
    fn text(self) -> String {
        let [one, other] = self.keys;
        format!("{one:016x} {other:016x} {}\n", self.shards)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let mut key = || u64::from_str_radix(words.next()?, 16).ok();
        let keys = [key()?, key()?];
        let shards = words.next()?.parse().ok()?;
        Some(Self { keys, shards })
    }
}

/// A directory that is in use by this process, and its threads.
#[derive(Debug)]
pub struct StateDirectory {
    /// Held until the process ends, however it does.
    _lock: File,
    keys: [u64; 2],
    image: Image,
    lines: Vec<Line>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl StateDirectory {
    /// Makes the directory, or reads it; `keys` are those to begin with.
    ///
    /// # Errors
    /// [`StateError`]. What is wrong inside of a journal is none: it is cut.
    pub fn open(
        path: &Path,
        config: &Config,
        shards: u16,
        keys: [u64; 2],
    ) -> Result<Self, StateError> {
        let of = |file: &Path| {
            let file = file.to_owned();
            |error| StateError::File(file, error)
        };
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(path);
        made.map_err(of(path))?;
        let lock = lock(&path.join("lock"))?;
        let name = path.join("identity");
        let before = fs::read_to_string(&name).ok();
        let before = before.as_deref().and_then(Identity::parse);
        let keys = before.map_or(keys, |before| before.keys);
        let mut image = read(path).map_err(of(path))?;
        let same_shards = before.is_some_and(|before| before.shards == shards);
        let owners = Owners::new(shards, keys);
        image.retain(|key, _| is_of_use(key, config, same_shards));
        let mut lines = Vec::new();
        let mut threads = Vec::new();
        for shard in (0..shards).map(ShardId) {
            let mut own = image.clone();
            own.retain(|key, value| owner((key, value), config, owners) == Some(shard));
            let file = path.join(file_name(shard));
            let (writer, line) = Writer::open(&file, own).map_err(of(&file))?;
            let thread = std::thread::Builder::new().name(format!("journal-{}", shard.0));
            let thread = thread.spawn(move || writer.run()).map_err(of(&file))?;
            lines.push(line);
            threads.push(thread);
        }
        // Last, so that a crash before it finds the old files with the old number of shards.
        let identity = Identity { keys, shards };
        super::writer::replace(&name, identity.text().as_bytes()).map_err(of(&name))?;
        log(path, &image, before.is_some() && !same_shards);
        Ok(Self {
            _lock: lock,
            keys,
            image,
            lines,
            threads: Mutex::new(threads),
        })
    }

    /// The keys of Call-IDs and owners.
    #[must_use]
    pub fn keys(&self) -> [u64; 2] {
        self.keys
    }

    /// What an earlier process has written down.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// A shard's way to its writer.
    pub(crate) fn desk(&self, shard: ShardId, now: Instant, counters: Arc<Counters>) -> Desk {
        Desk::new(self.lines[shard.index()].clone(), now, counters)
    }

    /// Writes what is left, once the shards have ended.
    pub fn close(&self) {
        for line in &self.lines {
            // A writer that is gone has said why.
            let _ = line.sender.send(Entry::End);
        }
        let threads = self
            .threads
            .lock()
            .map(|mut threads| std::mem::take(&mut *threads));
        for thread in threads.unwrap_or_default() {
            if thread.join().is_err() {
                tracing::error!("a journal's writer has panicked");
            }
        }
    }
}

fn file_name(shard: ShardId) -> String {
    format!("shard-{}.journal", shard.0)
}

fn lock(path: &Path) -> Result<File, StateError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    let file = file.map_err(|error| StateError::File(path.to_owned(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(StateError::File(path.to_owned(), error)),
    }
}

/// Reads all journals, of however many shards there were.
fn read(path: &Path) -> io::Result<Image> {
    let mut image = Image::default();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file
            .extension()
            .is_none_or(|extension| extension != "journal")
        {
            continue;
        }
        let bytes = fs::read(&file)?;
        let reading = frame::read(image, &bytes);
        image = reading.image;
        if let Some(cut) = reading.cut {
            tracing::warn!(
                file = %file.display(), bytes = bytes.len(), good = cut.at,
                "a journal was cut: {}", cut.why.words()
            );
            // A tail that the crash has torn is nothing to look at.
            if cut.why != Why::Torn {
                fs::copy(&file, file.with_extension("cut"))?;
            }
        }
    }
    Ok(image)
}

fn is_of_use(key: &Key, config: &Config, same_shards: bool) -> bool {
    match key {
        Key::Agent(dn) => config.dn(dn).is_some(),
        Key::Subscription(dn) => same_shards && config.dn(dn).is_some(),
        Key::Call(_) | Key::Leaving(_) => same_shards,
    }
}

fn owner((key, value): (&Key, &[u8]), config: &Config, owners: Owners) -> Option<ShardId> {
    match key {
        Key::Leaving(_) => {
            let leg = field::read::<LegMemory>(value)?;
            Some(owners.call_id(leg.call_id()))
        }
        Key::Agent(dn) | Key::Subscription(dn) => Some(owners.dn(config, config.dn(dn)?)),
        Key::Call(name) => Some(ConnId(*name).shard()),
    }
}

fn log(path: &Path, image: &Image, are_other_shards: bool) {
    let (mut calls, mut agents, mut leaving, mut subscriptions) = (0, 0, 0, 0);
    for (key, _) in image {
        match key {
            Key::Call(_) => calls += 1,
            Key::Agent(_) => agents += 1,
            Key::Leaving(_) => leaving += 1,
            Key::Subscription(_) => subscriptions += 1,
        }
    }
    tracing::info!(
        "{}: {calls} calls, {agents} agents, {subscriptions} subscriptions and {leaving} legs that \
         are hung up are known",
        path.display()
    );
    if are_other_shards {
        tracing::warn!(
            "the number of shards is another one than before: the calls of the journal are lost, \
             and its subscriptions"
        );
    }
}
