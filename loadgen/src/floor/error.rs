//! Why a floor could not be played, in the words of whoever started it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use offhook::config::Mistake;
use offhook::server::serve::ServeError;
use offhook_shards::{StartError, StopError};

/// Why a floor could not be played.
#[derive(Debug)]
pub enum FloorError {
    /// A port for a PBX.
    Port(io::Error),
    /// A worker does not start.
    Worker(StartError),
    /// A worker has broken.
    Broken(StopError),
    /// A thread of the generator.
    Generator(io::Error),
    /// The server's configuration, which the profile led to.
    Configuration(Vec<Mistake>),
    /// The server does not start or has broken.
    Server(ServeError),
    /// A CTI connection came to an end.
    Cti(String),
    /// A file with the moments at which callers come.
    Arrivals(PathBuf, String),
    /// The agents are not all there.
    NotReady {
        /// How many the server says are logged in.
        ready: usize,
        /// How many there are.
        agents: usize,
        /// How many the server has subscribed to.
        subscribed: usize,
        /// How long they had.
        waited: Duration,
    },
}

impl fmt::Display for FloorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(error) => write!(formatter, "no port for a PBX: {error}"),
            Self::Worker(error) => write!(formatter, "the generator does not start: {error}"),
            Self::Broken(error) => write!(formatter, "the generator: {error}"),
            Self::Generator(error) => write!(formatter, "the generator does not start: {error}"),
            Self::Configuration(mistakes) => {
                formatter.write_str("the profile makes no configuration:")?;
                for mistake in mistakes {
                    write!(formatter, "\n{mistake}")?;
                }
                Ok(())
            }
            Self::Server(error) => write!(formatter, "the server: {error}"),
            Self::Cti(words) => write!(formatter, "the CTI interface: {words}"),
            Self::Arrivals(path, words) => {
                write!(formatter, "the arrivals in {}: {words}", path.display())
            }
            Self::NotReady {
                ready,
                agents,
                subscribed,
                waited,
            } => write!(
                formatter,
                "only {ready} of {agents} agents are logged in after {} s ({subscribed} are \
                 subscribed); no call was offered",
                waited.as_secs()
            ),
        }
    }
}

impl std::error::Error for FloorError {}
