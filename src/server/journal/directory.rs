//! The directory: who may use it, the keys that a restart must not change, and the files of an
//! earlier process, each read as far as it is good and written anew before anything else happens.

use std::collections::BTreeMap;
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

use super::super::words::counted;
use super::desk::Desk;
use super::writer::{self, Entry, Line, Writer};

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
            Self::File(path, error) if error.kind() == io::ErrorKind::AlreadyExists => write!(
                formatter,
                "{} is no directory; name one of the server's user with --state-dir",
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
    /// What an earlier process has written down of each shard, until the shard has taken it up.
    images: Vec<Mutex<Image>>,
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
        let files = journals(path).map_err(of(path))?;
        let mut image = read(&files).map_err(of(path))?;
        let same_shards = before.is_some_and(|before| before.shards == shards);
        image.retain(|key, _| is_of_use(key, config, same_shards));
        log(path, &image, loss(before, shards, !files.is_empty()));
        let identity = Identity { keys, shards };
        let mut shares = share_out(&image, config, Owners::new(shards, keys));
        let writers = rewrite(path, &files, identity, &shares)?;
        let mut lines = Vec::new();
        let mut threads = Vec::new();
        for (shard, (writer, line)) in (0..).zip(writers) {
            let thread = std::thread::Builder::new().name(format!("journal-{shard}"));
            let thread = thread.spawn(move || writer.run()).map_err(of(path))?;
            lines.push(line);
            threads.push(thread);
        }
        Ok(Self {
            _lock: lock,
            keys,
            images: shares.drain(..).map(Mutex::new).collect(),
            lines,
            threads: Mutex::new(threads),
        })
    }

    /// The keys of Call-IDs and owners.
    #[must_use]
    pub fn keys(&self) -> [u64; 2] {
        self.keys
    }

    /// What an earlier process has written down of a shard. It is given away, once.
    #[must_use]
    pub fn take_image(&self, shard: ShardId) -> Image {
        let image = self.images[shard.index()].lock();
        image
            .map(|mut image| std::mem::take(&mut *image))
            .unwrap_or_default()
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

/// The journals that there are, of however many shards, in the order of their numbers.
fn journals(path: &Path) -> io::Result<BTreeMap<u16, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| {
            let name = name.strip_prefix("shard-")?;
            name.strip_suffix(".journal")?.parse().ok()
        });
        files.extend(number.map(|number| (number, entry.path())));
    }
    Ok(files)
}

/// Reads them one after the other: the first one holds what was moved and not written elsewhere.
fn read(files: &BTreeMap<u16, PathBuf>) -> io::Result<Image> {
    let mut image = Image::default();
    for file in files.values() {
        let bytes = fs::read(file)?;
        let reading = frame::read(image, &bytes);
        image = reading.image;
        if let Some(cut) = reading.cut {
            tracing::warn!(
                file = %file.display(), bytes = bytes.len(), good = cut.at,
                "a journal was cut: {}", cut.why.words()
            );
            // A tail that the crash has torn is nothing to look at.
            if cut.why != Why::Torn
                && let Err(error) = fs::copy(file, file.with_extension("cut"))
            {
                tracing::error!(file = %file.display(), %error, "there is no copy of it");
            }
        }
    }
    Ok(image)
}

/// What is whose. What cannot be read is the first shard's, which counts it.
fn share_out(image: &Image, config: &Config, owners: Owners) -> Vec<Image> {
    let mut shares = vec![Image::default(); usize::from(owners.shards())];
    for record in image.records() {
        let value = record.value.as_deref().unwrap_or_default();
        let owner = owner((&record.key, value), config, owners).unwrap_or(ShardId(0));
        if let Some(share) = shares.get_mut(owner.index()) {
            share.apply(record);
        }
    }
    shares
}

/// Writes the files anew. What one of them held may belong into another one from now on: a crash at
/// any moment finds everything in the first one, until the others are there.
fn rewrite(
    path: &Path,
    before: &BTreeMap<u16, PathBuf>,
    identity: Identity,
    shares: &[Image],
) -> Result<Vec<(Writer, Line)>, StateError> {
    let failed = |file: &Path| {
        let file = file.to_owned();
        |error| StateError::File(file, error)
    };
    let file = |number: u16| path.join(format!("shard-{number}.journal"));
    let mut everything = Image::default();
    for share in shares {
        share.records().for_each(|record| everything.apply(record));
    }
    let first = file(0);
    writer::write(&first, &everything).map_err(failed(&first))?;
    let mut writers = Vec::new();
    for (number, share) in (1..).zip(&shares[1..]) {
        let file = file(number);
        writers.push(Writer::open(&file, share.clone()).map_err(failed(&file))?);
    }
    for (_, old) in before.range(identity.shards..) {
        fs::remove_file(old).map_err(failed(old))?;
    }
    let name = path.join("identity");
    writer::replace(&name, identity.text().as_bytes()).map_err(failed(&name))?;
    let own = Writer::open(&first, shares[0].clone()).map_err(failed(&first))?;
    writers.insert(0, own);
    Ok(writers)
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

/// Why the calls of the journals and their subscriptions cannot be taken up, if they cannot.
fn loss(before: Option<Identity>, shards: u16, are_journals: bool) -> Option<&'static str> {
    match before {
        Some(before) if before.shards == shards => None,
        Some(_) => Some("the number of shards is another one than before"),
        None if are_journals => Some("the file `identity` beside the journals cannot be read"),
        None => None,
    }
}

fn log(path: &Path, image: &Image, loss: Option<&str>) {
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
        "{}: {}, {}, {} and {} to be hung up are known",
        path.display(),
        counted(calls, "call"),
        counted(agents, "agent"),
        counted(subscriptions, "subscription"),
        counted(leaving, "leg"),
    );
    if let Some(why) = loss {
        tracing::warn!("{why}: the calls of the journal are lost, and its subscriptions");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::config;
    use crate::journal::Record;

    const KEYS: [u64; 2] = [1, 2];

    /// A directory that is gone when the test is over.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("offhook-directory-{}-{number}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn open(&self, shards: u16) -> StateDirectory {
            StateDirectory::open(&self.0, &site(), shards, KEYS).expect("it can be used")
        }

        /// What all shards of the next process are told.
        fn read(&self, shards: u16) -> Image {
            let state = self.open(shards);
            let mut all = Image::default();
            for shard in (0..shards).map(ShardId) {
                let share = state.take_image(shard);
                share.records().for_each(|record| all.apply(record));
                assert!(state.take_image(shard).is_empty(), "nothing is kept");
            }
            state.close();
            all
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn site() -> Config {
        let text = r#"
            [server]
            sip = ["udp:127.0.0.1:5060"]
            [[trunk]]
            name = "ucm"
            peers = ["udp:127.0.0.1:5070"]
            [[queue]]
            name = "sales"
            [[routing_point]]
            number = "7000"
            queue = "sales"
            [[agents]]
            range = "2000-2031"
            queues = ["sales"]
        "#;
        config::parse(text, &|name| Err(name.to_owned())).expect("it is right")
    }

    fn agent(dn: u32, state: &str) -> Record {
        Record {
            key: Key::Agent(dn.to_string()),
            value: Some(state.to_owned().into()),
        }
    }

    /// Lets the writer of the agent's shard write it.
    fn write(state: &StateDirectory, record: &Record) {
        let (config, shards) = (site(), u16::try_from(state.lines.len()).unwrap());
        let value = record.value.as_deref().unwrap();
        let shard = owner((&record.key, value), &config, Owners::new(shards, KEYS)).unwrap();
        let sent = state.lines[shard.index()]
            .sender
            .send(Entry::Record(record.clone()));
        sent.expect("the writer is there");
    }

    #[test]
    fn shards_that_are_no_more_have_no_say() {
        let place = Place::new();
        let state = place.open(4);
        (2_000..2_032).for_each(|dn| write(&state, &agent(dn, "old")));
        state.close();
        drop(state);
        let state = place.open(2);
        let gone = Record {
            value: None,
            ..agent(2_031, "")
        };
        (2_000..2_031).for_each(|dn| write(&state, &agent(dn, "new")));
        let config = site();
        let shard = owner((&gone.key, &[]), &config, Owners::new(2, KEYS)).unwrap();
        let sent = state.lines[shard.index()].sender.send(Entry::Record(gone));
        sent.expect("the writer is there");
        state.close();
        drop(state);
        for shards in [2, 2, 4] {
            let image = place.read(shards);
            assert_eq!(image.len(), 31, "{shards} shards");
            assert!(image.iter().all(|(_, value)| &**value == b"new"));
            let files = fs::read_dir(&place.0).unwrap();
            let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
            let journals = names.filter(|name| name.ends_with(".journal")).count();
            assert_eq!(journals, usize::from(shards));
        }
    }

    /// It ends where a file cannot be written, as it would by a crash.
    #[test]
    fn journals_without_their_identity_are_lost_and_it_is_said() {
        let identity = Identity {
            keys: KEYS,
            shards: 2,
        };
        assert_eq!(loss(None, 2, false), None, "there was nothing before");
        assert_eq!(loss(Some(identity), 2, true), None);
        assert!(loss(Some(identity), 3, true).is_some());
        assert!(loss(None, 2, true).is_some());

        let place = Place::new();
        fs::write(&place.0, "").expect("it can be written");
        let error = StateDirectory::open(&place.0, &site(), 2, KEYS).expect_err("a file");
        assert!(error.to_string().contains("is no directory"), "{error}");
        let _ = fs::remove_file(&place.0);
    }

    #[test]
    fn start_with_other_shards_that_is_cut_short_loses_nobody() {
        let files = ["shard-0", "shard-1", "shard-2", "shard-3", "identity"];
        for ((from, to), cut) in [(4, 2), (2, 4), (3, 3)]
            .into_iter()
            .flat_map(|shards| files.map(|file| (shards, file)))
        {
            let place = Place::new();
            let state = place.open(from);
            (2_000..2_032).for_each(|dn| write(&state, &agent(dn, "here")));
            state.close();
            drop(state);
            let obstacle = place.0.join(cut).with_extension("new");
            fs::create_dir(&obstacle).unwrap();
            let outcome = StateDirectory::open(&place.0, &site(), to, KEYS);
            let is_in_the_way = cut == "identity" || files[..usize::from(to)].contains(&cut);
            assert_eq!(outcome.is_err(), is_in_the_way, "{from} to {to}, {cut}");
            drop(outcome);
            fs::remove_dir(&obstacle).unwrap();
            assert_eq!(place.read(to).len(), 32, "{from} to {to}, {cut}");
        }
    }

    #[test]
    fn damaged_journal_of_which_there_can_be_no_copy_keeps_nobody_from_starting() {
        let place = Place::new();
        let state = place.open(1);
        write(&state, &agent(2_000, "here"));
        state.close();
        drop(state);
        let file = place.0.join("shard-0.journal");
        let mut bytes = fs::read(&file).unwrap();
        bytes.extend_from_slice(&[0xff; 64]);
        let end = bytes.len() - 64;
        // A record of no bytes, with a checksum that is not its own.
        bytes[end..end + 4].fill(0);
        fs::write(&file, bytes).unwrap();
        fs::create_dir(place.0.join("shard-0.cut")).unwrap();
        assert_eq!(place.read(1).len(), 1);
    }
}
