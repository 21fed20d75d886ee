//! Who is measured: our server, its yardsticks, and nobody. Each is a program with a configuration
//! that sends every call of the caller to the callee.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{PRESENCE_DOMAIN, PeersOptions, presence_server, write};
use crate::process;

/// SUBSCRIBE requests a second.
pub(super) const WATCH_RATE: u32 = 1_000;

/// What stands between caller and callee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contestant {
    /// Nobody: what the generator and the kernel take by themselves.
    Direct,
    /// A program that sends each datagram on and knows nothing: what no server can be below.
    Relay,
    /// A proxy with transactions that stays in the path.
    Kamailio,
    /// Our own server.
    Offhook,
}

/// A yardstick as options name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Yardstick {
    /// A UDP relay, which is built in.
    Relay,
    /// Kamailio as a stateful proxy that stays in the path, with one worker.
    Kamailio,
}

impl Contestant {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::Kamailio => "kamailio",
            Self::Offhook => "offhook",
        }
    }
}

/// Where everyone is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) server: SocketAddr,
    pub(super) caller: SocketAddr,
    pub(super) callee: SocketAddr,
    /// Our server's other door.
    pub(super) http: SocketAddr,
}

impl Places {
    /// # Errors
    /// That loopback has no room.
    pub(super) fn find() -> Result<Self, String> {
        Ok(Self {
            server: process::free_address()?,
            caller: process::free_address()?,
            callee: process::free_address()?,
            http: process::free_address()?,
        })
    }
}

/// Who is behind the server: the callee's place is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Phones that are called and answer.
    Phones,
    /// A PBX that lets its phones be watched; nothing changes there.
    Watched,
    /// Kamailio as the presence server of a PBX, which the caller tells what phones do.
    Presence,
}

/// How a scene is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) behind: Behind,
    /// How many DNs have an agent.
    pub(super) dns: u32,
    /// Whether events are kept for clients that come back. They belong to no call that is held.
    pub(super) keeps_events: bool,
}

/// The programs that take part.
#[derive(Debug)]
pub(super) struct Cast {
    /// This program, which also plays caller, callee and relay.
    pub(super) own: PathBuf,
    offhook: PathBuf,
    kamailio: Option<PathBuf>,
    /// Those who are measured, the yardsticks first.
    pub(super) contestants: Vec<Contestant>,
    /// Who was asked for and is not here, and what to install.
    pub(super) skipped: Vec<String>,
}

impl Cast {
    /// Finds everyone.
    ///
    /// # Errors
    /// That our own server is not there.
    pub(super) fn find(options: &PeersOptions) -> Result<Self, String> {
        let own = std::env::current_exe()
            .map_err(|error| format!("this program's own file cannot be found: {error}"))?;
        let offhook = match &options.server {
            Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            None => own.with_file_name("offhook"),
        };
        if !process::is_program(&offhook) {
            return Err(format!(
                "{} is no program: build the server with `cargo build --release --bin offhook`, \
                 or say where it is with --server",
                offhook.display()
            ));
        }
        let mut cast = Self {
            own,
            offhook,
            kamailio: None,
            contestants: Vec::new(),
            skipped: Vec::new(),
        };
        for yardstick in &options.against {
            match yardstick {
                Yardstick::Relay => cast.contestants.push(Contestant::Relay),
                Yardstick::Kamailio => cast.look_for_kamailio(),
            }
        }
        cast.contestants.sort_unstable();
        cast.contestants.dedup();
        cast.contestants.push(Contestant::Offhook);
        Ok(cast)
    }

    fn look_for_kamailio(&mut self) {
        self.kamailio = process::find("kamailio");
        match self.kamailio {
            Some(_) => self.contestants.push(Contestant::Kamailio),
            None => self.skipped.push(
                "kamailio is not installed and was left out (on Debian: apt-get install kamailio)"
                    .to_owned(),
            ),
        }
    }

    /// The command line of a contestant, its configuration written to the folder; none for nobody.
    ///
    /// # Errors
    /// That the folder cannot be written.
    pub(super) fn words(
        &self,
        contestant: Contestant,
        places: &Places,
        setup: Setup,
        folder: &Path,
        core: usize,
    ) -> Result<Vec<OsString>, String> {
        let Places { server, callee, .. } = places;
        match contestant {
            Contestant::Direct => Ok(Vec::new()),
            Contestant::Relay => {
                let [server, callee] = [server, callee].map(ToString::to_string);
                Ok(words(&self.own, &["relay", &server, &callee]))
            }
            Contestant::Kamailio => {
                let file = write(folder, "kamailio.cfg", &kamailio(places))?;
                Ok(self.kamailio_words(&file, folder))
            }
            Contestant::Offhook => {
                let file = write(folder, "offhook.toml", &offhook(places, setup))?;
                let core = core.to_string();
                let more = [
                    "serve", "--config", &file, "--shards", "1", "--cores", &core,
                ];
                Ok(words(&self.offhook, &more))
            }
        }
    }

    /// The command line of the presence server; none if there is none.
    ///
    /// # Errors
    /// That the folder cannot be written.
    pub(super) fn presence_words(
        &self,
        places: &Places,
        folder: &Path,
    ) -> Result<Option<Vec<OsString>>, String> {
        if self.kamailio.is_none() {
            return Ok(None);
        }
        let file = presence_server(folder, places.callee, "udp")?;
        Ok(Some(self.kamailio_words(&file, folder)))
    }

    fn kamailio_words(&self, file: &str, folder: &Path) -> Vec<OsString> {
        let own = folder.display().to_string();
        // Debian's usual allocator is one for debugging, and several times dearer.
        let memory = ["-x", "fm", "-X", "fm", "-m", "4096", "-M", "64"];
        let mut more = vec!["-DD", "-E", "-f", file, "-w", &own, "-Y", &own];
        more.extend(memory);
        let buffer = offhook_shards::limits::SOCKET_BUFFER_BYTES.to_string();
        more.extend(["-b", &buffer]);
        let program = self.kamailio.as_deref().unwrap_or(Path::new("kamailio"));
        words(program, &more)
    }
}

/// A program, and what else is in its command line.
fn words(program: &Path, more: &[&str]) -> Vec<OsString> {
    let more = more.iter().map(OsString::from);
    std::iter::once(program.into()).chain(more).collect()
}

fn kamailio(places: &Places) -> String {
    include_str!("kamailio.cfg")
        .replace("@SERVER@", &places.server.to_string())
        .replace("@CALLEE_IP@", &places.callee.ip().to_string())
        .replace("@CALLEE_PORT@", &places.callee.port().to_string())
}

/// Agents whose phones are the callee's, and calls that come to their DNs; or phones that are
/// watched there.
fn offhook(places: &Places, setup: Setup) -> String {
    let Places {
        server,
        caller,
        callee,
        http,
    } = places;
    let (first, last) = (super::FIRST_DN, super::FIRST_DN + setup.dns - 1);
    let history = match setup.keeps_events {
        true => "",
        false => "event_history = 0\n",
    };
    let watched = match setup.behind {
        Behind::Phones => "\n[presence]\nenabled = false\n".to_owned(),
        Behind::Watched | Behind::Presence => {
            format!("subscribe_rate = {WATCH_RATE}\ndomain = \"{PRESENCE_DOMAIN}\"\n")
        }
    };
    format!(
        "[server]\nsip = \"udp:{server}\"\nhttp = \"{http}\"\nlog = \"error\"\n{history}\n\
         [[trunk]]\nname = \"caller\"\npeers = \"udp:{caller}\"\noos_check = 0\n\n\
         [[trunk]]\nname = \"callee\"\npeers = \"udp:{callee}\"\noos_check = 0\n\
         big_requests = \"udp\"\n{watched}\n\
         [[agents]]\nrange = \"{first}-{last}\"\ntrunks = \"callee\"\n\
         presence_trunks = \"callee\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let place = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Places {
            server: place(20_001),
            caller: place(20_002),
            callee: place(20_003),
            http: place(20_004),
        }
    }

    #[test]
    fn our_servers_configuration_has_no_mistake() {
        for (keeps_events, behind) in [
            (true, Behind::Phones),
            (false, Behind::Phones),
            (false, Behind::Watched),
        ] {
            let setup = Setup {
                behind,
                dns: 10,
                keeps_events,
            };
            let text = offhook(&places(), setup);
            let config = offhook::config::parse(&text, &|_| Err(String::new()));
            let config = config.expect("it is right");
            assert_eq!((config.agents.len(), config.trunks.len()), (10, 2));
            assert_eq!(config.server.event_history > 0, keeps_events);
            assert_eq!(config.presence.enabled, behind != Behind::Phones);
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        let text = kamailio(&places());
        assert!(!text.contains('@'), "{text}");
        assert!(text.contains("listen=udp:127.0.0.1:20001"), "{text}");
        let relayed = "t_relay_to_udp(\"127.0.0.1\", \"20003\")";
        assert!(text.contains(relayed), "{text}");
    }

    #[test]
    fn a_server_that_is_not_there_can_be_built() {
        let options = PeersOptions {
            server: Some("/nowhere/offhook".into()),
            ..PeersOptions::default()
        };
        let fault = Cast::find(&options).expect_err("there is no such file");
        assert!(
            fault.starts_with("/nowhere/offhook is no program"),
            "{fault}"
        );
        assert!(
            fault.contains("cargo build --release --bin offhook"),
            "{fault}"
        );
    }
}
