//! How much an engine has made that nobody has taken out.

use super::Engine;
use super::notebook::Notebook;

/// How much waits to be said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// To the network.
    pub transmits: usize,
    /// To other shards.
    pub messages: usize,
    /// To the control plane.
    pub events: usize,
}

impl Engine {
    /// How many things wait to be written down.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.notebook.as_ref().map_or(0, Notebook::len)
    }

    /// How much waits to be said.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        Waiting {
            transmits: self.user_agent.messages_to_send(),
            messages: self.messages.len(),
            events: self.events.len(),
        }
    }
}
