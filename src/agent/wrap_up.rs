//! Wrap-up: the pause that follows an answered business call, timed or until the agent says Ready;
//! and the legal guard, the least pause between two such calls. It decides when the pauses begin
//! and end; what interrupts them is in `desktop` and `presence`.

use crate::config::{QueueIndex, WrapUp};
use crate::cti::{AgentWorkMode, ErrorCode};

use super::events::Answer;
use super::state::{Agent, Reason};
use super::step::{Step, Timer};
use super::votes::{AfterWrapUp, DesktopVote, Pause, Standing};

impl Agent {
    /// The last business call of a contact ends.
    pub(super) fn begin_wrap_up(&mut self, step: &mut Step<'_>, queue: Option<QueueIndex>) {
        let leaves = self.phone_went_away() || self.leaves_if_missed(step);
        if leaves || self.votes.last() == Standing::LoggedOut {
            return;
        }
        let configured = step.config.wrap_up(step.dn, queue);
        let (then, wrap_up) = match &self.votes.desktop {
            DesktopVote::None => (AfterWrapUp::Nothing, configured),
            DesktopVote::Ready(work_mode) => (AfterWrapUp::Ready(*work_mode), configured),
            DesktopVote::AfterCallWork { then } | DesktopVote::LegalGuard { then } => {
                (*then, configured)
            }
            // Asked for during the call: this is that wrap-up.
            DesktopVote::NotReady(pause) if pause.work_mode == AgentWorkMode::AfterCallWork => {
                let asked = pause.wrap_up.unwrap_or(configured);
                (AfterWrapUp::Ready(AgentWorkMode::Unknown), asked)
            }
            // The agent has said what follows the call, and it is not wrap-up.
            DesktopVote::NotReady(_) => return self.guard_in_silence(step),
            DesktopVote::Out => return,
        };
        match wrap_up {
            WrapUp::Off => {
                // A wrap-up that is on, and a pause that was asked for, last longer than the guard.
                let may_guard = matches!(
                    self.votes.desktop,
                    DesktopVote::None | DesktopVote::Ready(_) | DesktopVote::LegalGuard { .. }
                );
                if may_guard {
                    self.begin_legal_guard(step, then);
                }
            }
            WrapUp::Timed(_) | WrapUp::Untimed => self.wrap_up(step, wrap_up, then, None),
        }
    }

    /// A business call is answered: the pause that is on begins anew after it.
    pub(super) fn interrupt_wrap_up(&mut self, step: &mut Step<'_>, next: WrapUp) {
        match (&self.votes.desktop, next) {
            (DesktopVote::LegalGuard { .. }, _)
            | (DesktopVote::AfterCallWork { .. }, WrapUp::Timed(_) | WrapUp::Untimed) => {
                self.timers.disarm(step, Timer::WrapUp);
                self.timers.disarm(step, Timer::LegalGuard);
            }
            (
                DesktopVote::AfterCallWork { .. }
                | DesktopVote::None
                | DesktopVote::Out
                | DesktopVote::NotReady(_)
                | DesktopVote::Ready(_),
                _,
            ) => {}
        }
    }

    /// The desktop asks for wrap-up and says how long: in place of the one that is on, or of its
    /// own. During a call it is the wrap-up after the call.
    pub(super) fn ask_for_wrap_up(
        &mut self,
        step: &mut Step<'_>,
        answer: Answer<'_>,
        wrap_up: WrapUp,
    ) {
        if self
            .visits
            .iter()
            .any(|visit| visit.is_business() && visit.was_up)
        {
            // A wrap-up asked for before the answer is the one after the call from now on.
            self.timers.disarm(step, Timer::WrapUp);
            self.votes.desktop = DesktopVote::NotReady(Box::new(Pause {
                work_mode: AgentWorkMode::AfterCallWork,
                reasons: answer.reasons.clone(),
                decided_by: None,
                wrap_up: Some(wrap_up),
            }));
            self.votes.settle();
            return self.emit_after_call_work(step, wrap_up, Some(answer));
        }
        let then = match self.votes.desktop {
            DesktopVote::AfterCallWork { then } | DesktopVote::LegalGuard { then } => then,
            DesktopVote::None
            | DesktopVote::Out
            | DesktopVote::NotReady(_)
            | DesktopVote::Ready(_) => AfterWrapUp::Ready(AgentWorkMode::Unknown),
        };
        self.wrap_up(step, wrap_up, then, Some(answer));
    }

    /// The time is up.
    pub(super) fn end_wrap_up(&mut self, step: &mut Step<'_>) {
        let DesktopVote::AfterCallWork { then } = self.votes.desktop else {
            unreachable!("the timer of wrap-up is disarmed when wrap-up ends early");
        };
        if !self.begin_legal_guard(step, then) {
            self.pause_is_over(step, then);
        }
    }

    /// The least pause is over. An agent on a break of its own stays there.
    pub(super) fn end_legal_guard(&mut self, step: &mut Step<'_>) {
        if let DesktopVote::LegalGuard { then } = self.votes.desktop {
            self.pause_is_over(step, then);
        }
    }

    /// The least pause begins, if there is one and it does not run yet, behind another.
    pub(super) fn guard_in_silence(&mut self, step: &mut Step<'_>) {
        if let (Some(guard), false) = (
            step.agent().settings.legal_guard,
            self.timers.is_armed(Timer::LegalGuard),
        ) {
            self.timers.arm(step, Timer::LegalGuard, guard);
        }
    }

    /// Whether the least pause forbids the agent to be Ready now. It is shown as what it is, and
    /// the wish is remembered: when it is over, the agent is Ready.
    pub(super) fn is_held_back(
        &mut self,
        step: &mut Step<'_>,
        answer: Answer<'_>,
        work_mode: AgentWorkMode,
    ) -> bool {
        let then = AfterWrapUp::Ready(work_mode);
        match self.votes.desktop {
            DesktopVote::LegalGuard { .. } => self.votes.desktop = DesktopVote::LegalGuard { then },
            DesktopVote::AfterCallWork { .. } => {
                if !self.begin_legal_guard(step, then) {
                    return false;
                }
                self.timers.disarm(step, Timer::WrapUp);
            }
            DesktopVote::NotReady(_) if self.timers.is_armed(Timer::LegalGuard) => {
                self.votes.desktop = DesktopVote::LegalGuard { then };
                self.votes.settle();
                self.emit_not_ready(step, Reason::Desktop, None);
            }
            DesktopVote::NotReady(_)
            | DesktopVote::None
            | DesktopVote::Out
            | DesktopVote::Ready(_) => return false,
        }
        let why = format!("{} is Ready when the legal guard is over", step.number());
        step.refuse(answer.requested_by, ErrorCode::WrongState, why);
        true
    }

    fn wrap_up(
        &mut self,
        step: &mut Step<'_>,
        wrap_up: WrapUp,
        then: AfterWrapUp,
        answer: Option<Answer<'_>>,
    ) {
        self.votes.desktop = DesktopVote::AfterCallWork { then };
        self.votes.settle();
        self.timers.disarm(step, Timer::LegalGuard);
        match wrap_up {
            WrapUp::Timed(time) => self.timers.arm(step, Timer::WrapUp, time),
            WrapUp::Untimed | WrapUp::Off => self.timers.disarm(step, Timer::WrapUp),
        }
        self.emit_after_call_work(step, wrap_up, answer);
    }

    fn begin_legal_guard(&mut self, step: &mut Step<'_>, then: AfterWrapUp) -> bool {
        let Some(guard) = step.agent().settings.legal_guard else {
            return false;
        };
        self.votes.desktop = DesktopVote::LegalGuard { then };
        self.votes.settle();
        self.timers.arm(step, Timer::LegalGuard, guard);
        self.emit_not_ready(step, Reason::Desktop, None);
        true
    }

    fn pause_is_over(&mut self, step: &mut Step<'_>, then: AfterWrapUp) {
        // With no vote left the standing would stay frozen at the NotReady of the pause.
        self.votes.desktop = match (self.votes.presence.standing(), then) {
            (None, AfterWrapUp::Nothing) => DesktopVote::Ready(AgentWorkMode::Unknown),
            (Some(_), AfterWrapUp::Nothing) | (_, AfterWrapUp::Ready(_)) => then.into(),
        };
        let (_, after) = self.votes.settle();
        match after {
            Standing::Ready => self.emit_ready(step, None),
            Standing::NotReady => self.emit_not_ready(step, Reason::Presence, None),
            Standing::LoggedOut => unreachable!("a logout ends wrap-up"),
        }
    }
}
