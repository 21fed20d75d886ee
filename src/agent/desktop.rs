//! What a desktop asks for its agent. Every request is answered once: by the event that names its
//! success, or by an error. It checks what only the agent's state can tell; form and permission
//! were checked before.

use crate::config::{AfterLogin, LoginWhileUnregistered, OnDisconnect, WrapUp};
use crate::cti::{AgentWorkMode, DesktopRequest, ErrorCode, KeyValueList, RequestedBy};

use super::claim::Wish;
use super::events::{Answer, reason_code};
use super::state::{Agent, Reason};
use super::step::{Step, Timer};
use super::visits::Withdrawn;
use super::votes::{DesktopVote, Gone, Pause, PresenceVote, ServerDecision, Standing};

impl Agent {
    /// A desktop asks.
    pub(super) fn ask(&mut self, step: &mut Step<'_>, whom: RequestedBy, request: DesktopRequest) {
        match request {
            DesktopRequest::Present => {
                self.timers.disarm(step, Timer::Desktop);
                self.desktop_present = true;
                self.desktop_missed = false;
            }
            DesktopRequest::Gone => self.desktop_gone(step),
            DesktopRequest::RouterGone(router) => self.claimant_gone(step, router),
            DesktopRequest::Login {
                agent_id,
                work_mode,
                reasons,
            } => self.login(step, Answer::to(whom, &reasons), agent_id, work_mode),
            DesktopRequest::Logout { reasons } => self.logout(step, Answer::to(whom, &reasons)),
            DesktopRequest::Ready { work_mode, reasons } => {
                self.ready(step, Answer::to(whom, &reasons), work_mode);
            }
            DesktopRequest::NotReady {
                work_mode,
                wrap_up,
                reasons,
            } => self.not_ready(step, whom, (work_mode, wrap_up), reasons),
            DesktopRequest::MakeCall {
                destination,
                user_data,
                reasons,
            } => self.make_call(step, whom, (destination, user_data, reasons)),
            DesktopRequest::SetDnd { on, reasons } => {
                self.set_do_not_disturb(step, Answer::to(whom, &reasons), on);
            }
            DesktopRequest::SetForward {
                mode,
                destination,
                reasons,
            } => self.set_forward(step, Answer::to(whom, &reasons), mode, destination),
            DesktopRequest::Reserve {
                duration,
                priority,
                reasons,
            } => {
                let wish = Wish {
                    requested_by: whom,
                    duration,
                    priority,
                    reasons,
                };
                self.claim(step, wish);
            }
            DesktopRequest::CancelForward { reasons } => {
                self.cancel_forward(step, Answer::to(whom, &reasons));
            }
        }
    }

    fn login(
        &mut self,
        step: &mut Step<'_>,
        answer: Answer<'_>,
        agent_id: Option<String>,
        work_mode: AgentWorkMode,
    ) {
        if self.votes.last() == Standing::LoggedOut {
            return self.login_from_out(step, answer, agent_id, work_mode);
        }
        let current = self.agent_id(step.config);
        let asked = agent_id.unwrap_or_else(|| current.to_owned());
        if asked == current {
            // An acknowledgement; from now on the login is the desktop's own.
            self.desktop_login = Some(asked.into_boxed_str());
            return self.emit_login(step, Some(answer));
        }
        let whom = answer.requested_by;
        if self.desktop_login.is_some() {
            let why = format!("{current} is logged in at {}", step.number());
            return step.refuse(whom, ErrorCode::InvalidAgentID, why);
        }
        if self.is_engaged() {
            let why = format!("{} is in a call", step.number());
            return step.refuse(whom, ErrorCode::WrongState, why);
        }
        // One agent a device: the one that presence logged in makes room.
        self.timers.disarm(step, Timer::WrapUp);
        self.timers.disarm(step, Timer::LegalGuard);
        self.emit_logout(step, Reason::Desktop, None);
        self.desktop_login = Some(asked.into_boxed_str());
        self.votes.desktop = login_vote(step, work_mode, answer.reasons);
        self.votes.settle();
        self.emit_login(step, Some(answer));
        self.emit_standing(step);
    }

    fn login_from_out(
        &mut self,
        step: &mut Step<'_>,
        answer: Answer<'_>,
        agent_id: Option<String>,
        work_mode: AgentWorkMode,
    ) {
        match (
            &self.votes.presence,
            step.config.presence.login_while_unregistered,
        ) {
            (PresenceVote::Out(Gone::Known), LoginWhileUnregistered::Refuse) => {
                // The agent has come: the latch goes, and the phone decides from here.
                if self.votes.desktop == DesktopVote::Out {
                    self.votes.desktop = Self::unheard(step);
                }
                let why = format!("the phone of {} is not registered", step.number());
                return step.refuse(answer.requested_by, ErrorCode::OutOfService, why);
            }
            (PresenceVote::Out(Gone::Known), LoginWhileUnregistered::NotReady) => {
                self.votes.presence = PresenceVote::Out(Gone::Overruled);
            }
            (PresenceVote::Out(Gone::Expired), _) => self.votes.presence = PresenceVote::None,
            (
                PresenceVote::Out(Gone::Overruled)
                | PresenceVote::None
                | PresenceVote::NotReady(_)
                | PresenceVote::Ready,
                _,
            ) => {}
        }
        let id = agent_id.map_or_else(|| step.agent().agent_id.clone(), String::into_boxed_str);
        self.desktop_login = Some(id);
        self.votes.desktop = login_vote(step, work_mode, answer.reasons);
        self.settle(step, Reason::Presence, Some(answer));
    }

    /// Says how the agent stands after a login.
    fn emit_standing(&self, step: &mut Step<'_>) {
        match self.votes.last() {
            Standing::Ready => self.emit_ready(step, None),
            Standing::NotReady => self.emit_not_ready(step, Reason::Presence, None),
            Standing::LoggedOut => {}
        }
    }

    fn logout(&mut self, step: &mut Step<'_>, answer: Answer<'_>) {
        let whom = answer.requested_by;
        if self.votes.last() == Standing::LoggedOut {
            self.log_out(step, None);
            let why = format!("nobody is logged in at {}", step.number());
            return step.refuse(whom, ErrorCode::AlreadyInState, why);
        }
        if self.is_talking() {
            let why = format!("{} is in a call; log out after it", step.number());
            return step.refuse(whom, ErrorCode::WrongState, why);
        }
        self.log_out(step, Some(answer));
        self.withdraw(step, Withdrawn::ByDesktop);
    }

    fn ready(&mut self, step: &mut Step<'_>, answer: Answer<'_>, work_mode: AgentWorkMode) {
        let whom = answer.requested_by;
        if !asks_for_ready(work_mode) && work_mode != AgentWorkMode::Unknown {
            let why = format!("{} is no work mode of Ready", work_mode.name());
            return step.refuse(whom, ErrorCode::InvalidAttribute, why);
        }
        match self.votes.last() {
            Standing::LoggedOut => {
                let why = format!("nobody is logged in at {}", step.number());
                return step.refuse(whom, ErrorCode::NotLoggedIn, why);
            }
            Standing::Ready => {
                if self.votes.desktop == DesktopVote::None {
                    self.votes.desktop = DesktopVote::Ready(work_mode);
                }
                let why = format!("{} is Ready", step.number());
                return step.refuse(whom, ErrorCode::AlreadyInState, why);
            }
            Standing::NotReady => {}
        }
        if self.is_held_back(step, answer, work_mode) {
            return;
        }
        self.timers.disarm(step, Timer::WrapUp);
        let wrapped_up = self.votes.desktop.is_after_call_work();
        self.votes.desktop = DesktopVote::Ready(work_mode);
        self.settle(step, Reason::Presence, Some(answer));
        if self.votes.last() != Standing::Ready {
            // Presence beats it. The wish is remembered: the next idle NOTIFY makes it true.
            if wrapped_up {
                self.emit_not_ready(step, Reason::Presence, None);
            }
            let why = self.what_presence_says(step);
            step.refuse(whom, ErrorCode::WrongState, why);
        }
    }

    fn not_ready(
        &mut self,
        step: &mut Step<'_>,
        whom: RequestedBy,
        (work_mode, wrap_up): (AgentWorkMode, Option<WrapUp>),
        reasons: KeyValueList,
    ) {
        if asks_for_ready(work_mode) {
            let why = format!("{} is no work mode of NotReady", work_mode.name());
            return step.refuse(whom, ErrorCode::InvalidAttribute, why);
        }
        if self.votes.last() == Standing::LoggedOut {
            let why = format!("nobody is logged in at {}", step.number());
            return step.refuse(whom, ErrorCode::NotLoggedIn, why);
        }
        let answer = Answer {
            requested_by: whom,
            reasons: &reasons.clone(),
        };
        if let (AgentWorkMode::AfterCallWork, Some(wrap_up)) = (work_mode, wrap_up) {
            self.ask_for_wrap_up(step, answer, wrap_up);
            return self.withdraw_queue_call(step);
        }
        self.timers.disarm(step, Timer::WrapUp);
        if self.votes.desktop.is_after_call_work() {
            self.guard_in_silence(step);
        }
        let pause = Pause {
            work_mode,
            reasons,
            decided_by: None,
            wrap_up: None,
        };
        self.votes.desktop = DesktopVote::NotReady(Box::new(pause));
        self.votes.settle();
        // A change of work mode or reasons is reported too.
        self.emit_not_ready(step, Reason::Desktop, Some(answer));
        // Who is NotReady gets no call of a queue, not even the one that rings.
        self.withdraw_queue_call(step);
    }

    pub(super) fn desktop_gone(&mut self, step: &mut Step<'_>) {
        self.timers.disarm(step, Timer::Desktop);
        self.desktop_present = false;
        if self.votes.last() == Standing::LoggedOut {
            // Its vote was kept for the return of the phone; nobody waits for that now.
            self.forget_desktop(step);
            self.desktop_login = None;
            return;
        }
        if self.is_talking() {
            self.desktop_missed = true;
            return;
        }
        match step.config.server.on_disconnect {
            OnDisconnect::Keep => {}
            OnDisconnect::NotReady => {
                self.pause(step, ServerDecision::DesktopGone);
                self.withdraw_queue_call(step);
            }
            OnDisconnect::Logout => {
                self.log_out(step, None);
                self.withdraw(step, Withdrawn::ByDesktop);
            }
        }
    }

    /// Whether the end of the call takes the agent, whose desktop is missed, out of service.
    pub(super) fn leaves_if_missed(&self, step: &Step<'_>) -> bool {
        self.desktop_missed && step.config.server.on_disconnect != OnDisconnect::Keep
    }

    /// The call during which the desktop went away ends, and no desktop is back. That the agent is
    /// NotReady is said before the call's EventReleased, like wrap-up.
    pub(super) fn pause_if_missed(&mut self, step: &mut Step<'_>) {
        if self.desktop_missed && step.config.server.on_disconnect == OnDisconnect::NotReady {
            self.pause(step, ServerDecision::DesktopGone);
        }
    }

    /// The call has ended. A logout is said after its EventReleased.
    pub(super) fn log_out_if_missed(&mut self, step: &mut Step<'_>) {
        let missed = std::mem::take(&mut self.desktop_missed);
        if missed && step.config.server.on_disconnect == OnDisconnect::Logout {
            self.log_out(step, None);
        }
    }

    /// Says NotReady in the desktop's place, unless it has said so itself or is logged out.
    pub(super) fn pause(&mut self, step: &mut Step<'_>, decided_by: ServerDecision) {
        match self.votes.desktop {
            DesktopVote::Out | DesktopVote::NotReady(_) => return,
            DesktopVote::None
            | DesktopVote::AfterCallWork { .. }
            | DesktopVote::LegalGuard { .. }
            | DesktopVote::Ready(_) => {}
        }
        if self.votes.last() == Standing::LoggedOut {
            return;
        }
        self.timers.disarm(step, Timer::WrapUp);
        self.votes.desktop = DesktopVote::NotReady(Box::new(Pause {
            work_mode: AgentWorkMode::AuxWork,
            reasons: KeyValueList::new(),
            decided_by: Some(decided_by),
            wrap_up: None,
        }));
        self.votes.settle();
        self.emit_not_ready(step, Reason::Desktop, None);
    }

    fn what_presence_says(&self, step: &Step<'_>) -> String {
        let dn = step.number();
        match &self.votes.presence {
            PresenceVote::NotReady(activities) => match reason_code(activities) {
                "on-the-phone" => format!("{dn} is on the phone (presence)"),
                activity => format!("{dn} is not ready: {activity} (presence)"),
            },
            PresenceVote::Out(_) => format!("the phone of {dn} is not registered (presence)"),
            PresenceVote::None | PresenceVote::Ready => format!("{dn} is not ready"),
        }
    }
}

fn asks_for_ready(work_mode: AgentWorkMode) -> bool {
    match work_mode {
        AgentWorkMode::ManualIn | AgentWorkMode::AutoIn => true,
        AgentWorkMode::Unknown
        | AgentWorkMode::AfterCallWork
        | AgentWorkMode::AuxWork
        | AgentWorkMode::LegalGuard
        | AgentWorkMode::NoCallDisconnect
        | AgentWorkMode::WalkAway
        | AgentWorkMode::ReturnBack => false,
    }
}

/// What a login says: Ready if its work mode or, without one, the configuration asks for it.
fn login_vote(step: &Step<'_>, work_mode: AgentWorkMode, reasons: &KeyValueList) -> DesktopVote {
    let ready_by_default = work_mode == AgentWorkMode::Unknown
        && step.agent().settings.after_login == AfterLogin::Ready;
    if asks_for_ready(work_mode) || ready_by_default {
        return DesktopVote::Ready(work_mode);
    }
    DesktopVote::NotReady(Box::new(Pause {
        work_mode,
        reasons: reasons.clone(),
        decided_by: None,
        wrap_up: None,
    }))
}
