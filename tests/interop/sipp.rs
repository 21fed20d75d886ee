//! SIPp, as callers and as phones. A scenario is a file of `scenarios/`; `{{file}}` in it stands
//! for a file of `scenarios/parts/`, so that every caller sends the same headers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::directory::Directory;
use super::program::{self, Program};

/// How long SIPp may run in all; it then ends with an error of its own.
const RUN_MAX_S: u32 = 90;
/// How long a call of SIPp waits for a message before it has failed.
const MESSAGE_MAX_MS: u32 = 30_000;
/// How deep parts may stand in parts.
const NESTING_MAX: usize = 4;

/// How bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// As configurations and the kernel write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// As SIPp's `-t` writes it: one socket for all calls.
    fn flag(self) -> &'static str {
        match self {
            Self::Udp => "u1",
            Self::Tcp => "t1",
        }
    }
}

/// A running SIPp.
#[derive(Debug)]
pub(crate) struct Sipp {
    name: String,
    program: Program,
    directory: Directory,
    /// Where it hears SIP.
    pub(crate) address: SocketAddr,
}

/// What callers do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Callers<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) transport: Transport,
    pub(crate) server: SocketAddr,
    pub(crate) number: &'a str,
    pub(crate) calls: u32,
    pub(crate) calls_per_second: u32,
    /// How long a pause of the scenario lasts.
    pub(crate) pause: Duration,
}

impl Sipp {
    /// Starts callers, who end when all calls have.
    pub(crate) fn call(directory: &Directory, callers: Callers<'_>) -> Self {
        let Callers {
            scenario,
            transport,
            server,
            number,
            calls,
            calls_per_second,
            pause,
        } = callers;
        let text = scenario_text(scenario);
        Self::start(directory, scenario, &text, transport, |command| {
            command
                .args(["-s", number, "-m", &calls.to_string()])
                .args(["-r", &calls_per_second.to_string()])
                .args(["-d", &pause.as_millis().to_string()])
                .arg(server.to_string());
        })
    }

    /// Starts phones, which answer until they are told to end.
    pub(crate) fn phones(directory: &Directory, scenario: &str, transport: Transport) -> Self {
        /// How long a phone talks before it hangs up, if it does.
        const PAUSE_MS: &str = "300";
        let text = scenario_text(scenario);
        let mut phones = Self::start(directory, scenario, &text, transport, |command| {
            command.args(["-d", PAUSE_MS]);
        });
        let heard = program::comes_true(Duration::from_secs(10), || {
            assert!(phones.program.ended().is_none(), "{}", phones.report());
            program::is_heard(transport.name(), phones.address)
        });
        assert!(heard, "SIPp does not listen: {}", phones.report());
        phones
    }

    /// Starts a scenario given as text, with more arguments.
    pub(crate) fn start(
        directory: &Directory,
        name: &str,
        scenario: &str,
        transport: Transport,
        arguments: impl FnOnce(&mut Command),
    ) -> Self {
        let sipp = program::find("sipp", "sip-tester");
        let address = program::free_address();
        let file = directory.write(&format!("{name}.xml"), scenario);
        let log = |ending: &str| directory.file(&format!("{name}.{ending}"));
        let mut command = Command::new(sipp);
        command
            .arg("-sf")
            .arg(file)
            .args(["-i", &address.ip().to_string()])
            .args(["-p", &address.port().to_string()])
            .args(["-t", transport.flag(), "-nostdin", "-timeout_error"])
            .args(["-timeout", &format!("{RUN_MAX_S}s")])
            .args(["-recv_timeout", &MESSAGE_MAX_MS.to_string()])
            .args(["-trace_err", "-trace_msg", "-trace_logs"])
            .arg("-error_file")
            .arg(log("errors"))
            .arg("-message_file")
            .arg(log("messages"))
            .arg("-log_file")
            .arg(log("log"));
        arguments(&mut command);
        Self {
            name: name.to_owned(),
            program: Program::start(name, directory, &mut command),
            directory: directory.clone(),
            address,
        }
    }

    /// Waits until all calls have ended as the scenario says.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        let ended = self
            .program
            .wait(Duration::from_secs(u64::from(RUN_MAX_S) + 5));
        match ended {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!(
                "{} ended with {status}{}",
                self.name,
                self.report()
            )),
            None => Err(format!("{} does not end{}", self.name, self.report())),
        }
    }

    /// Ends phones once their calls have ended. No call may have failed.
    pub(crate) fn hang_up(mut self) -> Result<(), String> {
        // SIPp's own way to say: no new calls, and end with the last one.
        self.program.signal("USR1");
        self.finish()
    }

    /// What went wrong, and the last messages.
    fn report(&self) -> String {
        let file = |ending: &str, lines| {
            let name = format!("{}.{ending}", self.name);
            let tail = self.directory.tail(&name, lines);
            format!("\n--- {name}\n{tail}")
        };
        let folder = self.directory.path().display();
        file("err", 10) + &file("errors", 60) + &format!("\n(more in {folder})")
    }
}

/// The text of a scenario with its parts in place.
pub(crate) fn scenario_text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/scenarios");
    let mut text = read(&folder.join(format!("{name}.xml")));
    for _ in 0..NESTING_MAX {
        text = text
            .lines()
            .map(|line| match line.trim().strip_prefix("{{") {
                Some(rest) if rest.contains('.') => {
                    let part = rest.trim_end_matches("}}");
                    let part = read(&folder.join("parts").join(part));
                    part.trim_end().to_owned() + "\n"
                }
                Some(_) | None => line.to_owned() + "\n",
            })
            .collect();
    }
    text
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
