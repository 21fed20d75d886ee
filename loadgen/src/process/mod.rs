//! Programs that are started beside this one: each kept to a core, what it says kept in a file,
//! and ended with its handle, its own processes included. `usage` reads what they have used.

mod address;
mod usage;

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use offhook_shards::clock::Clock;

pub use address::free_address;
pub use usage::{memory_bytes, processor};

/// Between two looks at something that takes its time.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How long a program with processes of its own may take to end them when it is told to end.
const ENDING_MAX: Duration = Duration::from_secs(5);
/// Lines that are shown of what a program said last.
const LAST_LINES: usize = 10;
/// Bytes that are looked at for them.
const LAST_BYTES: usize = 1 << 20;

/// A running program; without its handle it does not run on.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program on one core. What it says goes to `NAME.log` in the folder; its standard
    /// input ends with this handle, or with this process.
    ///
    /// # Errors
    /// Why it cannot be started, in words for the user.
    pub fn start<Word: AsRef<OsStr>>(
        name: &'static str,
        core: usize,
        words: impl IntoIterator<Item = Word>,
        folder: &Path,
    ) -> Result<Self, String> {
        let log = folder.join(format!("{name}.log"));
        let cannot = |why: String| format!("{name} cannot be started: {why}");
        let file = fs::File::create(&log).map_err(|error| cannot(error.to_string()))?;
        let copy = file
            .try_clone()
            .map_err(|error| cannot(error.to_string()))?;
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .args(words)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(copy)
            .spawn()
            .map_err(|error| {
                if error.kind() == ErrorKind::NotFound {
                    "taskset, which keeps programs to cores, is not installed (on Debian: \
                     apt-get install util-linux)"
                        .to_owned()
                } else {
                    cannot(error.to_string())
                }
            })?;
        Ok(Self { name, child, log })
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("the state of our own child can be read")
    }

    /// Waits until it has one of these sockets.
    ///
    /// # Errors
    /// That it has ended before or has taken too long, with what it said last.
    pub fn await_bound(
        &mut self,
        address: SocketAddr,
        sockets: fn() -> Option<Vec<SocketAddr>>,
    ) -> Result<(), String> {
        let bound = await_bound(&mut self.child, address, sockets);
        bound.map_err(|reason| self.complaint(&reason))
    }

    /// What is wrong with it, and what it said last.
    #[must_use]
    pub fn complaint(&self, reason: &str) -> String {
        let said = crate::files::read(&self.log, LAST_BYTES).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        match last {
            [] => format!("{}: {reason}", self.name),
            [..] => format!("{}: {reason}; it said:\n{}", self.name, last.join("\n")),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let family = usage::family(self.id());
        // Only who is asked politely ends its own processes, and writes down what it has counted.
        if self.ended().is_none() {
            signal("TERM", &[self.id()]);
            let end = Clock.now() + ENDING_MAX;
            while self.ended().is_none() && Clock.now() < end {
                std::thread::sleep(LOOK_INTERVAL);
            }
            if self.ended().is_none() {
                signal("KILL", &family);
            }
        }
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to processes; one that has ended meanwhile is passed over.
fn signal(name: &str, processes: &[u32]) {
    let numbers = processes.iter().map(u32::to_string);
    // Nothing can be done about a shell that cannot be run; the child itself is killed below.
    let _ = Command::new("sh")
        .args(["-c", "kill -s \"$@\" 2>/dev/null", "kill", name])
        .args(numbers)
        .status();
}

/// Where an installed program is: in the folders of `PATH`, or in those of the administrator's.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut files = places.map(|place| place.join(program));
    files.find(|file| is_program(file))
}

/// Whether a file can be run.
#[must_use]
pub fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Waits until a program has one of those sockets at the address, at most 10 s and not beyond its
/// end.
///
/// The kernel's list is read instead of trying to bind the address: the attempt takes it for an
/// instant, and a program that binds at that instant is told that it is in use.
///
/// # Errors
/// That it has ended, or has not done so in time.
pub fn await_bound(
    child: &mut Child,
    address: SocketAddr,
    sockets: fn() -> Option<Vec<SocketAddr>>,
) -> Result<(), String> {
    for _ in 0..1_000 {
        if sockets().is_some_and(|all| all.contains(&address)) {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("it ended before it had {address}: {status}"));
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Err(format!("nobody has bound {address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        path
    }

    fn any_core() -> usize {
        let cores = offhook_shards::placement::online_cores().expect("Linux tells");
        cores[0]
    }

    #[test]
    fn what_a_program_said_is_told_when_it_fails() {
        let folder = folder("said");
        let words = ["sh", "-c", "echo first; echo last >&2; exit 3"];
        let mut program = Program::start("shell", any_core(), words, &folder).expect("it is there");
        let nowhere = "127.0.0.1:1".parse().expect("an address");
        let told = program.await_bound(nowhere, || None).expect_err("it ends");
        assert!(told.starts_with("shell: it ended before"), "{told}");
        assert!(told.ends_with("it said:\nfirst\nlast"), "{told}");
    }

    #[test]
    fn a_program_ends_with_its_handle_and_so_do_its_own() {
        let folder = folder("family");
        let words = ["sh", "-c", "trap 'kill $!; exit' TERM; sleep 1000 & wait"];
        let program = Program::start("shell", any_core(), words, &folder).expect("it is there");
        let mut family = Vec::new();
        while family.len() < 2 {
            family = usage::family(program.id());
            std::thread::sleep(LOOK_INTERVAL);
        }
        drop(program);
        let lives = |process: &u32| !usage::family(*process).is_empty();
        while family.iter().any(lives) {
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    #[test]
    fn a_program_may_say_its_last_word() {
        let folder = folder("word");
        let [up, word] = ["up", "word"].map(|name| folder.join(name));
        let script = "trap 'echo > \"$2\"; exit' TERM; echo > \"$1\"; while :; do :; done";
        let arguments = [&up, &word].map(|path| path.display().to_string());
        let words = ["sh", "-c", script, "sh", &arguments[0], &arguments[1]];
        for path in [&up, &word] {
            let _ = std::fs::remove_file(path);
        }
        let program = Program::start("shell", any_core(), words, &folder).expect("it is there");
        while !up.exists() {
            std::thread::sleep(LOOK_INTERVAL);
        }
        drop(program);
        assert!(word.exists());
    }

    #[test]
    fn programs_are_found_where_they_are_installed() {
        let shell = find("sh").expect("every system has one");
        assert!(shell.is_absolute() && is_program(&shell));
        assert_eq!(find("no-program-has-this-name"), None);
        assert!(!is_program(Path::new("/etc/passwd")));
    }
}
