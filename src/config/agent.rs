//! `[agent_defaults]`, `[[agent]]` and `[[agents]]`: the DNs whose phones we watch and ring. An
//! agent's state is not known here; see `agent/`.

use std::sync::Arc;
use std::time::Duration;

use super::trunk::TrunkSet;
use super::{ProfileIndex, QueueIndex};

/// One agent and the phone it sits at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The number of the phone.
    pub dn: Box<str>,
    /// Who logs in when presence does; the DN unless configured.
    pub agent_id: Box<str>,
    /// All else, which it has in common with others.
    pub settings: Arc<AgentSettings>,
}

const _: () = assert!(size_of::<Agent>() <= 40, "there are 100,000 of them");

/// What is configured for agents beside who they are. Those for whom it is the same share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AgentSettings {
    /// The queues that it serves, ascending.
    pub queues: Arc<[QueueIndex]>,
    /// What it can do.
    pub profile: ProfileIndex,
    /// The way to the phone for calls.
    pub trunks: TrunkSet,
    /// The way to the phone for subscriptions; `None` when it is not watched.
    pub presence: Option<TrunkSet>,
    /// Its own wrap-up; `None` leaves it to the queue and the defaults.
    pub wrap_up: Option<WrapUp>,
    /// Its own time to answer; `None` leaves it to the queue and the defaults.
    pub no_answer: Option<Duration>,
    /// What happens to it after a call that it did not answer; `None` leaves it to the queue and
    /// the defaults.
    pub no_answer_action: Option<NoAnswerAction>,
    /// Who logs it in.
    pub login: Login,
    /// What a desktop login without a work mode leads to.
    pub after_login: AfterLogin,
    /// The least pause between two business calls.
    pub legal_guard: Option<Duration>,
    /// How long it may be NotReady without a call before it is logged out.
    pub auto_logout: Option<Duration>,
}

/// What holds for agents and queues that say nothing of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentDefaults {
    /// After-call work.
    pub wrap_up: WrapUp,
    /// How long a phone rings.
    pub no_answer: Duration,
    /// What happens to an agent that let a call ring.
    pub no_answer_action: NoAnswerAction,
}

/// After-call work that follows an established queue call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WrapUp {
    /// None: Ready at once.
    Off,
    /// Ready again after this time, which is not zero.
    Timed(Duration),
    /// Until the agent says Ready.
    Untimed,
}

/// What happens to an agent that let a call ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoAnswerAction {
    /// Nothing.
    None,
    /// It becomes NotReady.
    NotReady,
    /// It is logged out.
    Logout,
}

/// Who logs an agent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Login {
    /// The phone when it registers, or a desktop.
    Auto,
    /// Only a desktop.
    Desktop,
}

/// What a desktop login without a work mode leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AfterLogin {
    /// NotReady, until the agent says Ready.
    NotReady,
    /// Ready, if presence agrees.
    Ready,
}
