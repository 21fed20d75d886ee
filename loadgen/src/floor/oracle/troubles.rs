//! What goes wrong on purpose, and what that excuses: each kind of fault only what must follow from
//! it, at its PBX, while it lasts and for a little time after.

use std::time::{Duration, Instant};

use crate::floor::profile::FaultKind;
use crate::population::Fault;

/// How long the effects of a fault may last after its end: a transaction's 32 s (RFC 3261
/// §17.1.1.2), and a refresh.
const AFTERMATH: Duration = Duration::from_secs(40);

/// What looks like a broken rule and may be what a fault on purpose has to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lapse {
    /// A party met a broken rule of SIP.
    Met(Fault),
    /// A caller's call is lost.
    CallLost,
    /// A call at a phone has not ended.
    PhoneLeft,
    /// A phone or a caller has two calls at once.
    TwoAtOnce,
    /// A caller rings at an agent who takes no calls.
    Unfree,
    /// What the server says of an agent is not true.
    Stale,
    /// A caller waits while an agent is free.
    Starved,
    /// What a phone did is not told, or what is told did not happen.
    Untold,
}

/// When something goes wrong at a PBX, and until when what follows is no surprise.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    from: Instant,
    until: Instant,
    kind: FaultKind,
}

/// Times of trouble, by PBX.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    by_pbx: Vec<Vec<Trouble>>,
    /// How long the legs of a call contradict each other before that is reported.
    legs: Duration,
}

impl Troubles {
    /// None yet, at so many PBXs.
    pub(super) fn new(pbxs: usize, legs: Duration) -> Self {
        Self {
            by_pbx: vec![Vec::new(); pbxs],
            legs,
        }
    }

    /// Something goes wrong at a PBX, for so long.
    pub(super) fn begin(&mut self, at: Instant, pbx: usize, kind: FaultKind, lasting: Duration) {
        if let Some(troubles) = self.by_pbx.get_mut(pbx) {
            troubles.push(Trouble {
                from: at,
                until: at + lasting + AFTERMATH,
                kind,
            });
        }
    }

    /// Whether what was found at a PBX, and began and ended then, had to be.
    pub(super) fn excuse(&self, pbx: usize, from: Instant, until: Instant, lapse: Lapse) -> bool {
        let Some(troubles) = self.by_pbx.get(pbx) else {
            return false;
        };
        let touches = |trouble: &Trouble| trouble.from <= until && from <= trouble.until;
        troubles
            .iter()
            .any(|trouble| touches(trouble) && excuses(trouble.kind, lapse))
    }

    /// The same of a broken rule of SIP that a party reports at a moment. Contradictions between
    /// the legs of a call began earlier, for they are reported when they have lasted.
    pub(super) fn excuse_fault(&self, pbx: usize, at: Instant, fault: Fault) -> bool {
        let lasted = matches!(
            fault,
            Fault::LeftBehind | Fault::ConnectedToNobody | Fault::OfferedTwice
        );
        let from = if lasted {
            at.checked_sub(self.legs).unwrap_or(at)
        } else {
            at
        };
        self.excuse(pbx, from, at, Lapse::Met(fault))
    }
}

/// Whether a fault on purpose explains a lapse. A network that loses, doubles and delays datagrams
/// explains nothing, for everything is sent until it is answered; nor do NOTIFYs that say nothing
/// new, nor refusals, which the server hears.
fn excuses(kind: FaultKind, lapse: Lapse) -> bool {
    match kind {
        // The server cannot know what happens at a node that is cut off, nor end its calls.
        FaultKind::Silence | FaultKind::Restart => match lapse {
            Lapse::Met(fault) => outage_excuses(fault),
            Lapse::CallLost => false,
            Lapse::PhoneLeft
            | Lapse::TwoAtOnce
            | Lapse::Unfree
            | Lapse::Stale
            | Lapse::Starved
            | Lapse::Untold => true,
        },
        // Until the server asks again, nothing tells it of the phones.
        FaultKind::Forget => matches!(lapse, Lapse::Unfree | Lapse::Stale | Lapse::Starved),
        // What breaks RFC 3264 on purpose is passed on or ends the call.
        FaultKind::Mute(_) => match lapse {
            Lapse::Met(fault) => mute_excuses(fault),
            Lapse::CallLost => true,
            Lapse::PhoneLeft
            | Lapse::TwoAtOnce
            | Lapse::Unfree
            | Lapse::Stale
            | Lapse::Starved
            | Lapse::Untold => false,
        },
        FaultKind::Storm(_) | FaultKind::Weather(_) | FaultKind::BrownOut(_) => false,
    }
}

fn outage_excuses(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::InviteUnanswered
            | Fault::NoFinalResponse
            | Fault::ByeUnanswered
            | Fault::ChangeUnanswered
            | Fault::NeverAcknowledged
            | Fault::NotifyUnanswered
            | Fault::ReferUnanswered
            | Fault::LeftBehind
            | Fault::ConnectedToNobody
            | Fault::OfferedTwice
    )
}

fn mute_excuses(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::OkWithoutAnswer
            | Fault::OkWithoutOffer
            | Fault::AckWithoutAnswer
            | Fault::AnswerMisfits
            | Fault::LeftBehind
            | Fault::ConnectedToNobody
    )
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
mod tests {
    use super::*;
    use crate::floor::profile::Weather;

    const LEGS: Duration = Duration::from_secs(34);

    /// Every kind, and the letter that stands for it below.
    fn kinds() -> [(char, FaultKind); 7] {
        [
            ('s', FaultKind::Silence),
            ('r', FaultKind::Restart),
            ('f', FaultKind::Forget),
            ('t', FaultKind::Storm(3)),
            ('w', FaultKind::Weather(Weather::CALM)),
            ('m', FaultKind::Mute(0.5)),
            ('b', FaultKind::BrownOut(0.5)),
        ]
    }

    #[test]
    fn each_kind_of_fault_excuses_what_must_follow_and_nothing_else() {
        for (lapse, excused_by) in [
            (Lapse::Met(Fault::ByeUnanswered), "sr"),
            (Lapse::Met(Fault::NotifyUnanswered), "sr"),
            (Lapse::Met(Fault::OkWithoutAnswer), "m"),
            (Lapse::Met(Fault::LeftBehind), "srm"),
            (Lapse::Met(Fault::OriginChanged), ""),
            (Lapse::Met(Fault::StillUp), ""),
            (Lapse::CallLost, "m"),
            (Lapse::PhoneLeft, "sr"),
            (Lapse::TwoAtOnce, "sr"),
            (Lapse::Unfree, "srf"),
            (Lapse::Stale, "srf"),
            (Lapse::Starved, "srf"),
            (Lapse::Untold, "sr"),
        ] {
            for (letter, kind) in kinds() {
                let start = Instant::now();
                let mut troubles = Troubles::new(2, LEGS);
                troubles.begin(start, 0, kind, Duration::from_secs(5));
                let excused = troubles.excuse(0, start, start, lapse);
                assert_eq!(excused, excused_by.contains(letter), "{lapse:?} {kind:?}");
                assert!(!troubles.excuse(1, start, start, lapse), "another PBX");
            }
        }
    }

    #[test]
    fn an_excuse_ends_40_seconds_after_the_fault() {
        let start = Instant::now();
        let mut troubles = Troubles::new(1, LEGS);
        troubles.begin(start, 0, FaultKind::Silence, Duration::from_secs(5));
        let after = |seconds| start + Duration::from_secs(seconds);
        for (seconds, excused) in [(0, true), (45, true), (46, false)] {
            let at = after(seconds);
            assert_eq!(troubles.excuse(0, at, at, Lapse::Stale), excused);
            let bye = Fault::ByeUnanswered;
            assert_eq!(troubles.excuse_fault(0, at, bye), excused, "{seconds}");
        }
        // What has lasted for 34 s began in time.
        for (seconds, excused) in [(79, true), (80, false)] {
            let left = troubles.excuse_fault(0, after(seconds), Fault::LeftBehind);
            assert_eq!(left, excused, "{seconds}");
        }
    }
}
