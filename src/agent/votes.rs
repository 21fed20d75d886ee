//! The two votes on an agent's state, and the rule that joins them: the lower one wins, and a vote
//! that was never cast has no say. It decides nothing else; who casts which vote when is in
//! `presence`, `desktop`, `wrap_up` and `party`.

use crate::config::{Login, WrapUp};
use crate::cti::{AgentWorkMode, KeyValueList};
use crate::journal::field::{Field, Reader, choices, fields};
use crate::presence::ActivityList;

/// Where an agent stands, and what a vote can say. A message that lowers it always beats one from
/// the other side that raises it, which is what the minimum of two lasting votes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Gets nothing.
    LoggedOut,
    /// Gets direct calls, and none of a queue.
    NotReady,
    /// Gets calls of its queues.
    Ready,
}

/// What the phone says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PresenceVote {
    /// Nothing.
    None,
    /// It is gone.
    Out(Gone),
    /// It is in use, for these activities; never empty.
    NotReady(ActivityList),
    /// It is idle.
    Ready,
}

/// How a phone is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// As its PBX says.
    Known,
    /// A desktop logged in all the same, as it may be configured to: NotReady until the phone says
    /// something new.
    Overruled,
    /// It was when presence was lost. That we know less than before logs nobody in, but a desktop
    /// may.
    Expired,
}

/// What the desktop says, and the server on its behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DesktopVote {
    /// Nothing.
    None,
    /// Logged out, until a desktop logs in: no NOTIFY lifts it.
    Out,
    /// A break, or what the server counts as one.
    NotReady(Box<Pause>),
    /// The server's wrap-up.
    AfterCallWork {
        /// What is said when it is over.
        then: AfterWrapUp,
    },
    /// The least pause between two business calls.
    LegalGuard {
        /// What is said when it is over.
        then: AfterWrapUp,
    },
    /// Takes calls.
    Ready(AgentWorkMode),
}

/// Why a desktop's agent is NotReady.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pause {
    /// For what.
    pub(super) work_mode: AgentWorkMode,
    /// The client's reasons.
    pub(super) reasons: KeyValueList,
    /// Set when not the desktop but the server decided.
    pub(super) decided_by: Option<ServerDecision>,
    /// The wrap-up that it asks for after the call.
    pub(super) wrap_up: Option<WrapUp>,
}

/// What makes the server say NotReady in the desktop's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerDecision {
    /// The phone was not answered.
    NoAnswer,
    /// The desktop went away.
    DesktopGone,
}

/// The desktop's vote that wrap-up covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterWrapUp {
    /// None was cast: presence alone decides.
    Nothing,
    /// Ready.
    Ready(AgentWorkMode),
}

/// Both votes, and what they last came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Votes {
    pub(super) presence: PresenceVote,
    pub(super) desktop: DesktopVote,
    last: Standing,
}

impl PresenceVote {
    /// What it counts as; `None` has no say.
    pub(super) fn standing(&self) -> Option<Standing> {
        match self {
            Self::None => None,
            Self::Out(Gone::Known | Gone::Expired) => Some(Standing::LoggedOut),
            Self::Out(Gone::Overruled) | Self::NotReady(_) => Some(Standing::NotReady),
            Self::Ready => Some(Standing::Ready),
        }
    }

    /// Whether the phone is known to be gone.
    pub(super) fn is_out(&self) -> bool {
        matches!(self, Self::Out(_))
    }
}

impl DesktopVote {
    /// What it counts as; `None` has no say.
    pub(super) fn standing(&self) -> Option<Standing> {
        match self {
            Self::None => None,
            Self::Out => Some(Standing::LoggedOut),
            Self::NotReady(_) | Self::AfterCallWork { .. } | Self::LegalGuard { .. } => {
                Some(Standing::NotReady)
            }
            Self::Ready(_) => Some(Standing::Ready),
        }
    }

    /// Whether the server's wrap-up is on.
    pub(super) fn is_after_call_work(&self) -> bool {
        matches!(self, Self::AfterCallWork { .. })
    }
}

impl From<AfterWrapUp> for DesktopVote {
    fn from(then: AfterWrapUp) -> Self {
        match then {
            AfterWrapUp::Nothing => Self::None,
            AfterWrapUp::Ready(work_mode) => Self::Ready(work_mode),
        }
    }
}

choices!(Standing {
    LoggedOut = 1,
    NotReady = 2,
    Ready = 3,
});
choices!(Gone {
    Known = 1,
    Overruled = 2,
    Expired = 3,
});
choices!(ServerDecision {
    NoAnswer = 1,
    DesktopGone = 2,
});
fields!(Pause {
    work_mode,
    reasons,
    decided_by,
    wrap_up,
});
fields!(Votes {
    presence,
    desktop,
    last,
});

impl Field for PresenceVote {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.push(1),
            Self::Out(gone) => {
                out.push(2);
                gone.write(out);
            }
            Self::NotReady(activities) => {
                out.push(3);
                activities.write(out);
            }
            Self::Ready => out.push(4),
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        match u8::read(from)? {
            1 => Some(Self::None),
            2 => Gone::read(from).map(Self::Out),
            3 => Field::read(from).map(Self::NotReady),
            4 => Some(Self::Ready),
            _ => None,
        }
    }
}

impl Field for DesktopVote {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.push(1),
            Self::Out => out.push(2),
            Self::NotReady(pause) => {
                out.push(3);
                pause.write(out);
            }
            Self::AfterCallWork { then } => {
                out.push(4);
                then.write(out);
            }
            Self::LegalGuard { then } => {
                out.push(5);
                then.write(out);
            }
            Self::Ready(work_mode) => {
                out.push(6);
                work_mode.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        match u8::read(from)? {
            1 => Some(Self::None),
            2 => Some(Self::Out),
            3 => Some(Self::NotReady(Box::new(Pause::read(from)?))),
            4 => Some(Self::AfterCallWork {
                then: Field::read(from)?,
            }),
            5 => Some(Self::LegalGuard {
                then: Field::read(from)?,
            }),
            6 => AgentWorkMode::read(from).map(Self::Ready),
            _ => None,
        }
    }
}

impl Field for AfterWrapUp {
    fn write(&self, out: &mut Vec<u8>) {
        let work_mode = match self {
            Self::Nothing => None,
            Self::Ready(work_mode) => Some(*work_mode),
        };
        work_mode.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let work_mode = Option::read(from)?;
        Some(work_mode.map_or(Self::Nothing, Self::Ready))
    }
}

impl Votes {
    /// Those of an agent of whom nothing was heard.
    pub(super) fn of_nobody(login: Login) -> Self {
        Self::new(match login {
            Login::Auto => DesktopVote::None,
            Login::Desktop => DesktopVote::Out,
        })
    }

    /// Logged out; presence has said nothing.
    pub(super) fn new(desktop: DesktopVote) -> Self {
        Self {
            presence: PresenceVote::None,
            desktop,
            last: Standing::LoggedOut,
        }
    }

    /// What the votes come to. With no vote at all, what they last came to: a lost trunk must not
    /// log out the whole floor.
    pub(super) fn effective(&self) -> Standing {
        match (self.presence.standing(), self.desktop.standing()) {
            (None, None) => self.last,
            (Some(only), None) | (None, Some(only)) => only,
            (Some(presence), Some(desktop)) => presence.min(desktop),
        }
    }

    /// What they came to when this was last asked, and what they come to now.
    pub(super) fn settle(&mut self) -> (Standing, Standing) {
        let before = self.last;
        self.last = self.effective();
        (before, self.last)
    }

    /// What they came to when last settled.
    pub(super) fn last(&self) -> Standing {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_vote_wins_and_no_vote_has_no_say() {
        let pause = || {
            DesktopVote::NotReady(Box::new(Pause {
                work_mode: AgentWorkMode::AuxWork,
                reasons: KeyValueList::new(),
                decided_by: None,
                wrap_up: None,
            }))
        };
        let ready = || DesktopVote::Ready(AgentWorkMode::ManualIn);
        let busy = || PresenceVote::NotReady(ActivityList::new(vec!["meeting".to_owned()]));
        let out = PresenceVote::Out;
        for (presence, desktop, effective) in [
            (PresenceVote::None, DesktopVote::None, Standing::LoggedOut),
            (PresenceVote::None, ready(), Standing::Ready),
            (PresenceVote::Ready, DesktopVote::None, Standing::Ready),
            (PresenceVote::Ready, DesktopVote::Out, Standing::LoggedOut),
            (PresenceVote::Ready, pause(), Standing::NotReady),
            (busy(), ready(), Standing::NotReady),
            (busy(), pause(), Standing::NotReady),
            (out(Gone::Known), ready(), Standing::LoggedOut),
            (out(Gone::Expired), pause(), Standing::LoggedOut),
            (out(Gone::Overruled), ready(), Standing::NotReady),
            (out(Gone::Overruled), DesktopVote::Out, Standing::LoggedOut),
        ] {
            let votes = Votes {
                presence,
                desktop,
                last: Standing::LoggedOut,
            };
            assert_eq!(votes.effective(), effective, "{votes:?}");
        }
    }

    #[test]
    fn without_votes_the_last_standing_is_frozen() {
        let mut votes = Votes::new(DesktopVote::None);
        votes.presence = PresenceVote::Ready;
        assert_eq!(votes.settle(), (Standing::LoggedOut, Standing::Ready));
        votes.presence = PresenceVote::None;
        assert_eq!(votes.settle(), (Standing::Ready, Standing::Ready));
    }
}
