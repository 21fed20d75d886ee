//! Flags of the command line, which override the file. Reading the command line is not done here.

use std::net::SocketAddr;
use std::time::Duration;

use super::check::{self, Place};
use super::mistake::Mistakes;
use super::{Config, Cores, Driver, Listener, LogLevel, Mistake};
use crate::limits::{DRAIN_TIMEOUT_MAX, SHARDS_MAX};

/// What the command line says; what is absent leaves the file's value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--shards`; 0 lets the server choose.
    pub shards: Option<u16>,
    /// `--cores`.
    pub cores: Option<Cores>,
    /// `--no-pin`.
    pub no_pin: bool,
    /// `--sip`, as often as it was given; any replaces all listeners of the file.
    pub sip: Vec<Listener>,
    /// `--http`.
    pub http: Option<SocketAddr>,
    /// `--log`.
    pub log: Option<LogLevel>,
    /// `--driver`.
    pub driver: Option<Driver>,
    /// `--drain-timeout`.
    pub drain_timeout: Option<Duration>,
}

impl Config {
    /// This configuration with the flags in place of the file's values, checked again.
    ///
    /// # Errors
    ///
    /// Every mistake that the flags cause; those about a flag name it in place of a file.
    pub fn apply(mut self, overrides: Overrides) -> Result<Self, Vec<Mistake>> {
        let mistakes = Mistakes::default();
        let Overrides {
            shards,
            cores,
            no_pin,
            sip,
            http,
            log,
            driver,
            drain_timeout,
        } = overrides;
        let (server, places) = (&mut self.server, &mut self.places);
        if let Some(shards) = shards {
            if usize::from(shards) > SHARDS_MAX {
                let instead = format!("write a number from 0 to {SHARDS_MAX}");
                mistakes.add(
                    ("--shards", 0),
                    format!("{shards} shards are too many"),
                    instead,
                );
            }
            server.shards = (shards > 0).then_some(shards);
            places.shards = Place::flag("--shards");
        }
        if let Some(cores) = cores {
            server.cores = Some(cores);
            places.cores = Place::flag("--cores");
        }
        if no_pin {
            server.pin = false;
            // Cores of the file are overridden with it; cores of a flag contradict it.
            if &*places.cores.file != "--cores" {
                server.cores = None;
            }
        }
        if !sip.is_empty() {
            server.sip = sip;
            places.sip = Place::flag("--sip");
        }
        if let Some(http) = http {
            server.http = http;
            places.http = Place::flag("--http");
        }
        server.log = log.unwrap_or(server.log);
        server.driver = driver.unwrap_or(server.driver);
        let drain_timeout = drain_timeout.map(|time| time.min(DRAIN_TIMEOUT_MAX));
        server.drain_timeout = drain_timeout.unwrap_or(server.drain_timeout);
        let has_tokens = !server.tokens.is_empty();
        let beside = (self.tls.as_ref(), &self.trunks[..]);
        check::check_server(server, beside, has_tokens, places, &mistakes);
        mistakes.into_result()?;
        Ok(self)
    }
}
