//! Programs that a test starts, and the ports that they listen on. What was started is ended with
//! its own process handle, also when the test fails.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::directory::Directory;

pub(crate) use crate::address::free_address;

/// How long a program may take to end when it is told to.
const ENDING_MAX: Duration = Duration::from_secs(10);
/// Between two looks at something that takes its time.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// One running program.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
}

impl Program {
    /// Starts a program whose output goes to `NAME.out` and `NAME.err` in the directory.
    pub(crate) fn start(name: &str, directory: &Directory, command: &mut Command) -> Self {
        let output = |ending| {
            let file = fs::File::create(directory.file(&format!("{name}.{ending}")));
            Stdio::from(file.expect("the test's own folder can be written"))
        };
        let child = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(output("out"))
            .stderr(output("err"))
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self {
            name: name.to_owned(),
            child,
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("the state of our own child can be read")
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, longest: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + longest;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() > end {
                return ended;
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&mut self, signal: &str) {
        if self.ended().is_some() {
            return;
        }
        let kill = format!("kill -{signal} {}", self.child.id());
        let told = Command::new("sh").args(["-c", &kill]).status();
        assert!(
            told.is_ok_and(|status| status.success()),
            "{} cannot be sent {signal}",
            self.name
        );
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(&mut self) -> Option<ExitStatus> {
        self.signal("TERM");
        self.wait(ENDING_MAX)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A program with processes of its own ends them only when it is asked politely.
        if self.stop().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Where a program is, or the failure that says how to get it.
pub(crate) fn find(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    places
        .map(|place| place.join(program))
        .find(|file| is_program(file))
        .unwrap_or_else(|| {
            panic!(
                "{program} is not installed, so this cannot be tested: \
                 install {package} (on Debian: apt-get install {package})"
            )
        })
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Whether somebody listens there, read from the kernel's table so that no packet is sent.
pub(crate) fn is_heard(transport: &str, address: SocketAddr) -> bool {
    const TCP_LISTEN: &str = "0A";
    let table = fs::read_to_string(format!("/proc/net/{transport}"))
        .expect("the kernel's table of sockets can be read");
    let ending = format!(":{:04X}", address.port());
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let local = columns.next().unwrap_or_default();
        let state = columns.nth(1).unwrap_or_default();
        local.ends_with(&ending) && (transport == "udp" || state == TCP_LISTEN)
    })
}

/// Looks until it is so. `false` if it never was.
pub(crate) fn comes_true(longest: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + longest;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        thread::sleep(LOOK_INTERVAL);
    }
}
