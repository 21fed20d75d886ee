//! Wrap-up: the pause that follows an answered call of a queue, timed or until the agent says
//! Ready. It decides when the pause begins and ends; what interrupts it is in `desktop` and
//! `presence`.

use crate::config::{RoutingPointIndex, WrapUp};
use crate::cti::AgentWorkMode;

use super::state::{Agent, Reason};
use super::step::{Step, Timer};
use super::votes::{AfterWrapUp, DesktopVote, Standing};

impl Agent {
    /// An answered call ends. Its NotReady goes out before the call's EventReleased, so that nobody
    /// sees an agent between the two who seems to be free. A direct call has no wrap-up.
    pub(super) fn begin_wrap_up(&mut self, step: &mut Step<'_>, from: Option<RoutingPointIndex>) {
        let Some(routing_point) = from else { return };
        let queue = step.config.routing_point_at(routing_point).queue;
        let wrap_up = step.config.wrap_up(step.dn, queue);
        let leaves = self.phone_went_away() || self.leaves_if_missed(step);
        if wrap_up == WrapUp::Off || leaves || self.votes.last() == Standing::LoggedOut {
            return;
        }
        let then = match &self.votes.desktop {
            DesktopVote::None => AfterWrapUp::Nothing,
            DesktopVote::Ready(work_mode) => AfterWrapUp::Ready(*work_mode),
            DesktopVote::AfterCallWork { then } => *then,
            // Asked for during the call: this is that wrap-up.
            DesktopVote::NotReady(pause) if pause.work_mode == AgentWorkMode::AfterCallWork => {
                AfterWrapUp::Ready(AgentWorkMode::Unknown)
            }
            // The agent has said what follows the call, and it is not wrap-up.
            DesktopVote::NotReady(_) | DesktopVote::Out => return,
        };
        self.votes.desktop = DesktopVote::AfterCallWork { then };
        self.votes.settle();
        match wrap_up {
            WrapUp::Timed(time) => self.timers.arm(step, Timer::WrapUp, time),
            WrapUp::Untimed | WrapUp::Off => self.timers.disarm(step, Timer::WrapUp),
        }
        self.emit_after_call_work(step, wrap_up);
    }

    /// The time is up.
    pub(super) fn end_wrap_up(&mut self, step: &mut Step<'_>) {
        let DesktopVote::AfterCallWork { then } = self.votes.desktop else {
            unreachable!("the timer of wrap-up is disarmed when wrap-up ends early");
        };
        // With no vote left the standing would stay frozen at the NotReady of the wrap-up.
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
