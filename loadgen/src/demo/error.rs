//! Why a demo could not be carried out, in the words of whoever started it.

use std::fmt;
use std::io;
use std::time::Duration;

use offhook::config::Mistake;
use offhook::server::serve::ServeError;

/// Why a demo could not be carried out.
#[derive(Debug)]
pub enum DemoError {
    /// A socket of the simulated PBX.
    Socket(io::Error),
    /// A thread or the clock of the generator.
    Generator(io::Error),
    /// The server's configuration, which the flags led to.
    Configuration(Vec<Mistake>),
    /// The server does not start or has broken.
    Server(ServeError),
    /// The server's CTI interface: connecting, or its end in the middle of the demo.
    Cti(String),
    /// The agents did not become Ready.
    NotReady {
        /// How many did.
        ready: usize,
        /// How many there are.
        agents: usize,
        /// How many the server has subscribed to.
        subscribed: usize,
        /// How long they had.
        waited: Duration,
    },
}

impl fmt::Display for DemoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(formatter, "no socket for the simulated PBX: {error}"),
            Self::Generator(error) => write!(formatter, "the generator does not start: {error}"),
            Self::Configuration(mistakes) => {
                formatter.write_str("the flags make no configuration:")?;
                for mistake in mistakes {
                    write!(formatter, "\n{mistake}")?;
                }
                Ok(())
            }
            Self::Server(error) => write!(formatter, "the server: {error}"),
            Self::Cti(words) => write!(formatter, "the CTI interface: {words}"),
            Self::NotReady {
                ready,
                agents,
                subscribed,
                waited,
            } => write!(
                formatter,
                "only {ready} of {agents} agents are Ready after {} s ({subscribed} are \
                 subscribed); no call was offered",
                waited.as_secs()
            ),
        }
    }
}

impl std::error::Error for DemoError {}
