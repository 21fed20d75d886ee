//! How phones and the people at them behave.

use std::time::Duration;

use offhook::sip::Status;

use crate::population::random::{Random, Span};

/// For how long a PBX lets a phone ring that nobody answers: whoever has called may be gone.
const RINGS_FOR: Duration = Duration::from_mins(3);

/// What a phone does with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether the PBX says 100 at once.
    pub trying: bool,
    /// Time from the INVITE to 180; `None` sends none.
    pub ringing_after: Option<Duration>,
    /// Whether what says that it rings is a 183 with its session description, where it has an offer
    /// to answer.
    pub early_media: bool,
    /// What follows.
    pub then: Answering,
    /// Whether its 200 has a session description, as it must.
    pub describes: bool,
    /// Time from a wish of the server's that the phone answer by itself (`answer-after=0`,
    /// auto-answer, `Event: talk`) to the answer; `None` does not know such wishes.
    pub answers_alone: Option<Duration>,
    /// Time from the answer to the hold; the call is resumed after as long again.
    pub hold_after: Option<Duration>,
    /// Time from the answer to the agent's BYE; `None` leaves it to the other side.
    pub hang_up_after: Option<Duration>,
}

/// How an INVITE to a phone ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// With 200, so long after the INVITE.
    After(Duration),
    /// With this status, so long after the INVITE: 486 busy, 603 declined, 404, 480, …
    Refuse(Duration, Status),
    /// It rings until somebody answers by command, or for ever.
    ByHand,
}

impl Default for Behaviour {
    /// Rings after 20 ms and answers after 100; holds and hangs up by command only.
    fn default() -> Self {
        Self {
            trying: true,
            ringing_after: Some(Duration::from_millis(20)),
            early_media: false,
            then: Answering::After(Duration::from_millis(100)),
            describes: true,
            answers_alone: None,
            hold_after: None,
            hang_up_after: None,
        }
    }
}

impl Behaviour {
    /// Answers after this time.
    #[must_use]
    pub fn answers_after(delay: Duration) -> Self {
        Self {
            then: Answering::After(delay),
            ..Self::default()
        }
    }

    /// Refuses at once with this status.
    #[must_use]
    pub fn refuses(status: Status) -> Self {
        Self {
            ringing_after: None,
            then: Answering::Refuse(Duration::ZERO, status),
            ..Self::default()
        }
    }

    /// Rings until it is told to do otherwise.
    #[must_use]
    pub fn rings() -> Self {
        Self {
            then: Answering::ByHand,
            ..Self::default()
        }
    }
}

/// Something that comes again and again and lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rhythm {
    /// Mean time between two, at one phone.
    pub every: Duration,
    /// How long each lasts.
    pub lasting: Span,
}

/// From what the behaviour of phones is drawn. Chances are of one call, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habits {
    /// Time from the INVITE to 180.
    pub ringing: Span,
    /// Time from 180 to the answer.
    pub answering: Span,
    /// Time from the answer to the agent's BYE; `None` leaves it to the caller.
    pub talking: Option<Span>,
    /// Chance that nobody answers: after three minutes the PBX says 480.
    pub no_answer: f64,
    /// Chance of 486.
    pub busy: f64,
    /// Chance of 603.
    pub declined: f64,
    /// Chance that the agent puts the caller on hold once and resumes.
    pub holds: f64,
    /// Calls that pass the server by.
    pub private_calls: Option<Rhythm>,
    /// Phones that go away and come back.
    pub absences: Option<Rhythm>,
}

impl Default for Habits {
    /// Everybody answers; nobody does anything else.
    fn default() -> Self {
        Self {
            ringing: Span::milliseconds(10, 60),
            answering: Span::milliseconds(100, 1_000),
            talking: None,
            no_answer: 0.0,
            busy: 0.0,
            declined: 0.0,
            holds: 0.0,
            private_calls: None,
            absences: None,
        }
    }
}

impl Habits {
    /// Draws what a phone does with one call.
    #[must_use]
    pub fn behaviour(&self, random: &mut Random) -> Behaviour {
        let ringing = random.within(self.ringing);
        let answer = ringing + random.within(self.answering);
        let talking = self.talking.map(|span| random.within(span));
        let (fate, holds) = (random.fraction(), random.chance(self.holds));
        let then = if fate < self.no_answer {
            Answering::Refuse(RINGS_FOR, Status::TEMPORARILY_UNAVAILABLE)
        } else if fate < self.no_answer + self.busy {
            Answering::Refuse(Duration::ZERO, Status::BUSY_HERE)
        } else if fate < self.no_answer + self.busy + self.declined {
            Answering::Refuse(answer, Status::DECLINE)
        } else {
            Answering::After(answer)
        };
        Behaviour {
            trying: true,
            early_media: false,
            ringing_after: Some(ringing),
            then,
            describes: true,
            answers_alone: None,
            hold_after: talking.filter(|_| holds).map(|length| length / 4),
            hang_up_after: talking,
        }
    }
}
