//! What the server says on its CTI connections, read once into plain values.

use std::time::Instant;

use serde_json::Value;

/// One of the generator's CTI connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Connection(pub usize);

/// One message of the server's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    /// When it was read.
    pub at: Instant,
    /// By whom.
    pub connection: Connection,
    /// `EventRinging`, ….
    pub message: String,
    /// Whose stream it belongs to.
    pub dn: String,
    /// The request that it answers.
    pub reference: Option<u64>,
    /// Its number in the stream.
    pub sequence: Option<u64>,
    /// The call.
    pub conn_id: Option<String>,
    /// The call that it belongs to, or that it took the place of.
    pub previous: Option<String>,
    /// Who calls.
    pub ani: Option<String>,
    /// What was dialled.
    pub dnis: Option<String>,
    /// The work mode of an agent.
    pub work_mode: Option<String>,
    /// Why an agent is not ready, as presence or a snapshot has it.
    pub reason: Option<String>,
    /// The code of an error.
    pub error: Option<String>,
    /// The call type.
    pub call_type: Option<String>,
    /// Why a party has left.
    pub call_state: Option<String>,
    /// Agents in a snapshot, with their status.
    pub agents: Vec<AgentState>,
    /// Whether it is a snapshot, or the last page of one.
    pub ends_snapshot: bool,
}

/// An agent as a snapshot shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentState {
    /// The DN.
    pub dn: String,
    /// What is said about it.
    pub word: Word,
}

/// What the server says about an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Logged in, and no more is known yet.
    LoggedIn,
    /// Logged out.
    LoggedOut,
    /// Takes calls.
    Ready,
    /// Takes none; with the reason that presence gives.
    NotReady(Option<String>),
    /// Wraps up.
    WrappingUp,
}

impl Said {
    /// Reads a frame; `None` when it is no message of the server's.
    #[must_use]
    pub(super) fn read(at: Instant, connection: Connection, text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let word = |name: &str| value[name].as_str().map(str::to_owned);
        let extensions = &value["Extensions"];
        let of_extensions = |name: &str| extensions[name].as_str().map(str::to_owned);
        let message = word("Message")?;
        Some(Self {
            at,
            connection,
            dn: word("ThisDN").unwrap_or_default(),
            reference: value["ReferenceID"].as_u64(),
            sequence: value["EventSequenceNumber"].as_u64(),
            conn_id: word("ConnID"),
            previous: word("PreviousConnID"),
            ani: word("ANI"),
            dnis: word("DNIS"),
            work_mode: word("AgentWorkMode"),
            reason: of_extensions("ReasonCode"),
            error: word("ErrorCode"),
            call_type: word("CallType"),
            call_state: word("CallState"),
            agents: snapshot(&message, &value),
            ends_snapshot: message == "EventRegistered"
                && extensions["Page"] == extensions["Pages"],
            message,
        })
    }

    /// Whether the call consults about another.
    #[must_use]
    pub(super) fn is_consult(&self) -> bool {
        self.call_type.as_deref() == Some("Consult")
    }

    /// What was done to a call, if it tells of that; a transfer is told once.
    #[must_use]
    pub(super) fn deed(&self) -> Option<&'static str> {
        match self.message.as_str() {
            "EventHeld" => Some("held"),
            "EventRetrieved" => Some("retrieved"),
            "EventDialing" if self.is_consult() => Some("consulted about"),
            "EventDialing" => Some("dialled"),
            "EventReleased" if self.call_state.as_deref() == Some("Transferred") => {
                // In two steps, the consultation is released as well.
                (!self.is_consult()).then_some("transferred")
            }
            _ => None,
        }
    }

    /// What it says about the agent of its DN, if anything.
    #[must_use]
    pub(super) fn word(&self) -> Option<Word> {
        match self.message.as_str() {
            "EventAgentLogin" => Some(Word::LoggedIn),
            "EventAgentLogout" => Some(Word::LoggedOut),
            "EventAgentReady" => Some(Word::Ready),
            "EventAgentNotReady" if self.work_mode.as_deref() == Some("AfterCallWork") => {
                Some(Word::WrappingUp)
            }
            "EventAgentNotReady" => Some(Word::NotReady(self.reason.clone())),
            _ => None,
        }
    }
}

/// The agents of `EventRegistered`: one, or a page of all addresses.
fn snapshot(message: &str, value: &Value) -> Vec<AgentState> {
    if message != "EventRegistered" {
        return Vec::new();
    }
    let extensions = &value["Extensions"];
    let of = |dn: &Value, address: &Value| {
        let word = match address["AgentStatus"].as_str()? {
            "LoggedOut" => Word::LoggedOut,
            "LoggedIn" => Word::LoggedIn,
            "Ready" => Word::Ready,
            "ACW" => Word::WrappingUp,
            _ => Word::NotReady(address["ReasonCode"].as_str().map(str::to_owned)),
        };
        let dn = dn.as_str()?.to_owned();
        Some(AgentState { dn, word })
    };
    match extensions["Addresses"].as_array() {
        Some(addresses) => addresses
            .iter()
            .filter_map(|address| of(&address["ThisDN"], address))
            .collect(),
        None => of(&value["ThisDN"], extensions).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn said(text: &str) -> Said {
        Said::read(Instant::now(), Connection(3), text).expect("a message")
    }

    #[test]
    fn agent_events_and_snapshots_are_words() {
        let event = said(
            r#"{"Message":"EventAgentNotReady","ThisDN":"1","AgentWorkMode":"Unknown",
            "Extensions":{"ReasonCode":"on-the-phone"},"EventSequenceNumber":9}"#,
        );
        assert_eq!(
            event.word(),
            Some(Word::NotReady(Some("on-the-phone".to_owned())))
        );
        assert_eq!((event.dn.as_str(), event.sequence), ("1", Some(9)));
        let event = said(
            r#"{"Message":"EventAgentNotReady","ThisDN":"1","AgentWorkMode":"AfterCallWork"}"#,
        );
        assert_eq!(event.word(), Some(Word::WrappingUp));
        let event = said(
            r#"{"Message":"EventRegistered","ThisDN":"*","ReferenceID":1,"Extensions":{
            "Page":1,"Pages":2,"Addresses":[{"ThisDN":"1","AgentStatus":"Ready"},{"ThisDN":"ucm"},
            {"ThisDN":"2","AgentStatus":"NotReady","ReasonCode":"away"}]}}"#,
        );
        let words: Vec<(&str, &Word)> = event
            .agents
            .iter()
            .map(|agent| (agent.dn.as_str(), &agent.word))
            .collect();
        let away = Word::NotReady(Some("away".to_owned()));
        assert_eq!(words, [("1", &Word::Ready), ("2", &away)]);
        assert!(!event.ends_snapshot);
        let event = said(
            r#"{"Message":"EventRegistered","ThisDN":"*","Extensions":{"Page":2,"Pages":2,
            "Addresses":[]}}"#,
        );
        assert!(event.ends_snapshot);
        let event = said(
            r#"{"Message":"EventRegistered","ThisDN":"1","Extensions":{"AgentStatus":"Ready"}}"#,
        );
        assert!(event.ends_snapshot && event.agents.len() == 1);
        let event = said(r#"{"Message":"EventRinging","ThisDN":"1","ConnID":"0a","ANI":"30"}"#);
        assert_eq!((event.word(), event.conn_id.as_deref()), (None, Some("0a")));
    }

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn what_is_no_message_is_none() {
        for text in ["", "[]", "{}", "{\"Message\":7}", "null"] {
            assert_eq!(
                Said::read(Instant::now(), Connection(0), text),
                None,
                "{text}"
            );
        }
    }
}
