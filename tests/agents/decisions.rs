//! The decisions behind the state table, each with its default and its option. The numbers are
//! those of the list of ambiguities that the decisions resolve.

use std::time::Duration;

use offhook::agent::{EndCause, Input, OfferSource, Output, PartyState};
use offhook::cti::{AgentWorkMode, DesktopRequest, EventName};
use offhook::presence::Vote;

use super::desk::*;

const NOTHING: [&str; 0] = [];
const CALLER_RELEASED: PartyState = PartyState::Ended(EndCause::CallerReleased);

#[test]
fn decision_1_an_idle_phone_does_not_end_a_break() {
    let mut desk = Desk::new().ready();
    desk.ask(pause());
    assert_eq!(desk.presence(busy()), NOTHING);
    assert_eq!(desk.presence(idle()), NOTHING);
}

#[test]
fn decision_2_a_desktop_logout_holds_until_a_desktop_login() {
    let mut desk = Desk::new().ready();
    desk.ask(logout());
    for vote in [
        closed(),
        idle(),
        Vote::Ready { initial: true },
        busy(),
        idle(),
    ] {
        assert_eq!(desk.presence(vote), NOTHING);
    }
    assert_eq!(desk.ask(login()), ["*Login", "NotReady Unknown"]);
}

#[test]
fn decision_4_a_wish_that_presence_refused_comes_true_with_the_idle_phone() {
    let mut desk = Desk::new().ready();
    desk.ask(pause());
    desk.presence(busy());
    let input = desk.request(ready());
    let outputs = desk.handle(input);
    assert_eq!(in_short(&outputs), ["*Error WrongState"]);
    let error = events_of(&outputs).next().unwrap();
    assert_eq!(
        error.error_message.as_deref(),
        Some("2001 is on the phone (presence)")
    );
    assert_eq!(desk.presence(idle()), ["Ready ManualIn"]);
}

#[test]
fn decision_5_login_at_an_unregistered_phone_is_refused_or_not_ready() {
    let mut desk = Desk::new();
    desk.presence(closed());
    assert_eq!(desk.ask(login()), ["*Error OutOfService"]);

    let mut desk = Desk::with("", "login_while_unregistered = \"notready\"", "");
    desk.presence(closed());
    let auto_in = || login_as(None, AgentWorkMode::AutoIn);
    assert_eq!(desk.ask(auto_in()), ["*Login", "NotReady Unknown closed"]);
    assert_eq!(desk.presence(closed()), NOTHING, "nothing new");
    assert_eq!(desk.ask(ready()), ["*Error WrongState"]);
    assert_eq!(desk.presence(idle()), ["Ready ManualIn"]);
    assert_eq!(desk.presence(closed()), ["Logout"], "new again");
}

#[test]
fn decision_6_a_busy_first_word_is_not_ready_or_literal() {
    let first = || Vote::NotReady {
        activities: vec!["meeting".into()].into(),
        initial: true,
    };
    let mut desk = Desk::new();
    assert_eq!(
        desk.presence(first()),
        ["Login", "NotReady Unknown meeting"]
    );

    let literal = || Desk::with("", "initial_activity = \"literal\"", "");
    let mut desk = literal();
    let outputs = desk.handle(Input::Presence(first()));
    let shown = ["Login", "Ready ManualIn", "NotReady Unknown meeting"];
    assert_eq!(in_short(&outputs), shown);
    assert_eq!(told_queues(&outputs), [], "nobody is routed to in between");
    // Not for an agent who is logged in, and not against a break.
    assert_eq!(desk.presence(first()), NOTHING);
    let mut desk = literal().ready();
    desk.ask(pause());
    desk.presence(closed());
    assert_eq!(
        desk.presence(first()),
        ["Login", "NotReady Unknown meeting"]
    );
}

#[test]
fn decision_7_closed_and_busy_is_logout_or_not_ready() {
    let mut desk = Desk::new().ready();
    assert_eq!(desk.presence(closed_busy()), ["Logout"]);
    let mut desk = Desk::with("", "closed_busy = \"notready\"", "").ready();
    assert_eq!(
        desk.presence(closed_busy()),
        ["NotReady Unknown on-the-phone"]
    );
    assert_eq!(desk.presence(closed()), ["Logout"]);
}

#[test]
fn decision_8_our_own_call_does_not_make_the_agent_not_ready() {
    let mut desk = Desk::with("", "", "wrap_up = 0").ready();
    let call = desk.ringing();
    assert_eq!(desk.presence(busy()), NOTHING);
    desk.party(queued(call, PartyState::Established));
    let outputs = desk.handle(Input::Party(queued(call, CALLER_RELEASED)));
    assert_eq!(in_short(&outputs), ["Released RemoteRelease"]);
    assert_eq!(
        told_queues(&outputs),
        [],
        "the phone is still reported in use"
    );
    let outputs = desk.handle(Input::Presence(idle()));
    assert_eq!(in_short(&outputs), NOTHING);
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "available"), (SERVICE, "available")]
    );
    assert_eq!(desk.after(TAIL), NOTHING);
    assert_eq!(desk.standing(), "Ready (Ready, -)");
}

#[test]
fn decision_8_a_private_call_that_outlives_ours_counts_after_the_tail() {
    let mut desk = Desk::with("", "", "wrap_up = 0").ready();
    let call = desk.talking();
    desk.presence(busy());
    desk.party(queued(call, CALLER_RELEASED));
    assert_eq!(desk.after(Duration::from_millis(999)), NOTHING);
    assert_eq!(
        desk.after(Duration::from_millis(1)),
        ["NotReady Unknown on-the-phone"]
    );
    assert_eq!(desk.presence(idle()), ["Ready ManualIn"]);
}

#[test]
fn decision_8_a_break_of_the_phone_before_a_direct_call_ends_after_the_tail() {
    let mut desk = Desk::new();
    desk.presence(busy());
    let call = desk.new_call();
    desk.reserve(call, OfferSource::Direct);
    desk.party(direct(call, PartyState::Established));
    assert_eq!(desk.presence(idle()), NOTHING);
    desk.party(direct(call, CALLER_RELEASED));
    assert_eq!(desk.after(Duration::from_secs(1)), ["Ready ManualIn"]);
}

#[test]
fn decision_8_literal_applies_presence_at_once() {
    let mut desk = Desk::with("", "own_calls = \"literal\"", "wrap_up = 0").ready();
    let call = desk.talking();
    assert_eq!(desk.presence(busy()), ["NotReady Unknown on-the-phone"]);
    desk.party(queued(call, CALLER_RELEASED));
    assert_eq!(desk.presence(idle()), ["Ready ManualIn"]);
}

#[test]
fn decision_10_lost_presence_freezes_or_lowers() {
    let mut desk = Desk::new().ready();
    assert_eq!(desk.presence(Vote::None), NOTHING);
    assert_eq!(desk.standing(), "Ready (-, -)");
    assert_eq!(desk.ask(pause()), ["*NotReady AuxWork"]);

    let mut desk = Desk::with("", "lost = \"notready\"", "").ready();
    assert_eq!(
        desk.presence(Vote::None),
        ["NotReady Unknown presence-lost"]
    );
    assert_eq!(desk.presence(Vote::None), NOTHING);
    assert_eq!(desk.presence(idle()), ["Ready ManualIn"]);

    let mut desk = Desk::with("", "lost = \"logout\"", "").ready();
    assert_eq!(desk.presence(Vote::None), ["Logout"]);
    let mut desk = Desk::with("", "lost = \"logout\"", "");
    assert_eq!(
        desk.presence(Vote::None),
        NOTHING,
        "nothing was known before"
    );
    assert_eq!(desk.ask(login()), ["*Login", "NotReady Unknown"]);
}

#[test]
fn decision_10_knowing_less_logs_nobody_in_and_keeps_a_break() {
    let mut desk = Desk::new().ready();
    desk.ask(pause());
    desk.presence(closed());
    assert_eq!(desk.presence(Vote::None), NOTHING);
    assert_eq!(desk.presence(idle()), ["Login", "NotReady AuxWork"]);
    desk.presence(closed());
    desk.presence(Vote::None);
    let auto_in = login_as(None, AgentWorkMode::AutoIn);
    assert_eq!(desk.ask(auto_in), ["*Login", "Ready AutoIn"]);
}

#[test]
fn decision_11_a_phone_that_goes_during_the_call_logs_out_after_it() {
    for presence in ["", "own_calls = \"literal\""] {
        let mut desk = Desk::with("", presence, "wrap_up = 30").ready();
        let call = desk.talking();
        let outputs = desk.handle(Input::Presence(closed()));
        assert_eq!(outputs, [], "the parties talk on");
        let ended = desk.party(queued(call, CALLER_RELEASED));
        assert_eq!(ended, ["Released RemoteRelease", "Logout"]);
        assert_eq!(desk.after(Duration::from_secs(60)), NOTHING);
    }
}

#[test]
fn decision_11_a_phone_that_went_during_the_call_is_gone_though_its_subscription_is_too() {
    for lost in ["keep", "notready", "logout"] {
        let mut desk = Desk::with("", &format!("lost = \"{lost}\""), "").ready();
        let call = desk.talking();
        desk.presence(closed());
        assert_eq!(desk.presence(Vote::None), NOTHING);
        let ended = desk.party(queued(call, CALLER_RELEASED));
        assert_eq!(ended.last().map(String::as_str), Some("Logout"), "{lost}");
    }
}

#[test]
fn decision_11_a_call_on_its_way_to_a_lost_phone_is_withdrawn_once() {
    let mut desk = Desk::new().ready();
    let call = desk.ringing();
    let outputs = desk.handle(Input::Presence(closed()));
    assert_eq!(outputs, [withdrawn(call, EndCause::Unreachable)]);
    assert_eq!(desk.handle(Input::Presence(closed())), []);
    let ended = queued(call, PartyState::Ended(EndCause::Unreachable));
    assert_eq!(desk.party(ended), ["Released GeneralError", "Logout"]);
}

#[test]
fn decision_11_a_phone_without_call_waiting_is_closed_by_our_own_call() {
    let mut desk = Desk::with("", "", "wrap_up = 0").ready();
    let call = desk.ringing();
    assert_eq!(
        desk.handle(Input::Presence(closed_busy())),
        [],
        "it rings on"
    );
    desk.party(queued(call, PartyState::Established));
    assert_eq!(
        desk.party(queued(call, CALLER_RELEASED)),
        ["Released RemoteRelease"]
    );
    assert_eq!(desk.presence(idle()), NOTHING);
    assert_eq!(desk.after(TAIL), NOTHING);
    assert_eq!(desk.standing(), "Ready (Ready, -)");
}

#[test]
fn decision_12_a_desktop_replaces_the_default_agent_and_nobody_else() {
    let mut desk = Desk::new().ready();
    assert_eq!(desk.agents.agent_id(DN), Some("A1"));
    let other = || login_as(Some("B7"), AgentWorkMode::Unknown);
    let input = desk.request(other());
    let outputs = desk.handle(input);
    assert_eq!(in_short(&outputs), ["Logout", "*Login", "NotReady Unknown"]);
    let ids: Vec<_> = events_of(&outputs)
        .map(|event| event.agent_id.as_deref().unwrap_or(""))
        .collect();
    assert_eq!(ids, ["A1", "B7", "B7"]);
    assert_eq!(desk.ask(other()), ["*Login"]);
    let third = login_as(Some("C9"), AgentWorkMode::Unknown);
    assert_eq!(desk.ask(third), ["*Error InvalidAgentID"]);
    // The desktop is still there when its phone comes back.
    desk.presence(closed());
    let outputs = desk.handle(Input::Presence(idle()));
    assert_eq!(
        events_of(&outputs).next().unwrap().agent_id.as_deref(),
        Some("B7")
    );
    // And after it has gone, the default agent is.
    desk.ask(DesktopRequest::Gone);
    let outputs = desk.handle(Input::Presence(closed()));
    assert_eq!(
        events_of(&outputs).next().unwrap().agent_id.as_deref(),
        Some("B7")
    );
    let outputs = desk.handle(Input::Presence(idle()));
    assert_eq!(in_short(&outputs), ["Login", "Ready ManualIn"]);
    assert_eq!(
        events_of(&outputs).next().unwrap().agent_id.as_deref(),
        Some("A1")
    );
}

#[test]
fn decision_12_only_a_desktop_logs_in_where_so_configured() {
    let mut desk = Desk::with("", "", "login = \"desktop\"");
    assert_eq!(desk.presence(idle()), NOTHING);
    assert_eq!(desk.ask(login()), ["*Login", "NotReady Unknown"]);
    assert_eq!(desk.ask(ready()), ["*Ready ManualIn"]);
    desk.presence(closed());
    assert_eq!(desk.presence(idle()), ["Login", "Ready ManualIn"]);
    desk.ask(DesktopRequest::Gone);
    desk.presence(closed());
    assert_eq!(desk.presence(idle()), NOTHING);
}

#[test]
fn decision_13_a_login_may_ask_for_ready() {
    for (work_mode, shown) in [
        (AgentWorkMode::AutoIn, "Ready AutoIn"),
        (AgentWorkMode::ManualIn, "Ready ManualIn"),
        (AgentWorkMode::AuxWork, "NotReady AuxWork"),
    ] {
        let mut desk = Desk::new();
        assert_eq!(desk.ask(login_as(None, work_mode)), ["*Login", shown]);
    }
    let mut desk = Desk::with("", "", "after_login = \"ready\"");
    assert_eq!(desk.ask(login()), ["*Login", "Ready ManualIn"]);
}

#[test]
fn decision_13_a_work_mode_fits_its_request() {
    let mut desk = Desk::new().ready();
    let wrong = not_ready(AgentWorkMode::AutoIn);
    assert_eq!(desk.ask(wrong), ["*Error InvalidAttribute"]);
    let reasons = offhook::cti::KeyValueList::new();
    let wrong = DesktopRequest::Ready {
        work_mode: AgentWorkMode::AuxWork,
        reasons,
    };
    assert_eq!(desk.ask(wrong), ["*Error InvalidAttribute"]);
}

#[test]
fn decision_14_a_long_not_ready_of_presence_is_checked_again_and_again() {
    let mut desk = Desk::with("", "notready_refresh = \"60s\"", "").ready();
    desk.presence(busy());
    let refresh = || Output::RefreshPresence(DN);
    assert_eq!(desk.pass(Duration::from_secs(59)), []);
    assert_eq!(desk.pass(Duration::from_secs(1)), [refresh()]);
    assert_eq!(desk.pass(Duration::from_secs(60)), [refresh()]);
    desk.presence(idle());
    assert_eq!(desk.pass(Duration::from_secs(600)), []);
    let mut desk = Desk::with("", "notready_refresh = 0", "").ready();
    desk.presence(busy());
    assert_eq!(desk.pass(Duration::from_secs(86_400)), []);
}

#[test]
fn decisions_15_and_17_the_activity_is_named_in_the_extensions() {
    let mut desk = Desk::new().ready();
    let outputs = desk.handle(Input::Presence(active(&[
        "meeting",
        "on-the-phone",
        "away",
    ])));
    let event = events_of(&outputs).next().unwrap();
    assert_eq!(event.name, EventName::AgentNotReady);
    assert_eq!(event.agent_work_mode, Some(AgentWorkMode::Unknown));
    assert_eq!(text(event, "ReasonCode").as_deref(), Some("on-the-phone"));
    assert_eq!(text(event, "Source").as_deref(), Some("presence"));
    let all = Some("meeting,on-the-phone,away".to_owned());
    assert_eq!(text(event, "PresenceActivities"), all);
    assert!(event.reasons.is_empty());

    let mut desk = Desk::new().ready();
    let outputs = desk.handle(Input::Presence(active(&["meeting"])));
    let event = events_of(&outputs).next().unwrap();
    assert_eq!(text(event, "ReasonCode").as_deref(), Some("meeting"));
    assert_eq!(text(event, "PresenceActivities"), None);
}

#[test]
fn decision_19_a_break_outlives_the_phone_unless_configured() {
    let mut desk = Desk::new().ready();
    desk.ask(pause());
    desk.presence(closed());
    assert_eq!(desk.presence(idle()), ["Login", "NotReady AuxWork"]);

    let option = "relogin_restores_desktop_state = false";
    let mut desk = Desk::with("", option, "").ready();
    desk.ask(pause());
    desk.presence(closed());
    assert_eq!(desk.presence(idle()), ["Login", "Ready ManualIn"]);
    // A logout is not undone by that option.
    desk.ask(logout());
    desk.presence(closed());
    assert_eq!(desk.presence(idle()), NOTHING);
}

#[test]
fn a_desktop_that_goes_away_has_the_configured_consequence() {
    let gone = || DesktopRequest::Gone;
    let mut desk = Desk::new().ready();
    desk.ask(pause());
    assert_eq!(desk.ask(gone()), NOTHING);
    assert_eq!(desk.standing(), "NotReady (Ready, NotReady)");
    // Its break does not outlive the phone now.
    desk.presence(closed());
    assert_eq!(desk.presence(idle()), ["Login", "Ready ManualIn"]);

    let mut desk = Desk::with("on_disconnect = \"notready\"", "", "").ready();
    assert_eq!(desk.ask(gone()), ["NotReady AuxWork desktop-gone"]);
    assert_eq!(desk.ask(gone()), NOTHING);

    let mut desk = Desk::with("on_disconnect = \"logout\"", "", "").ready();
    assert_eq!(desk.ask(gone()), ["Logout"]);
    assert_eq!(desk.presence(busy()), NOTHING);
    assert_eq!(desk.presence(idle()), NOTHING);
}

#[test]
fn a_desktop_that_goes_away_in_a_call_is_missed_after_it_unless_it_returns() {
    let in_call = |option: &str| {
        let option = format!("on_disconnect = \"{option}\"");
        let mut desk = Desk::with(&option, "", "wrap_up = 30").ready();
        let call = desk.talking();
        assert_eq!(desk.ask(DesktopRequest::Gone), NOTHING);
        (desk, queued(call, CALLER_RELEASED))
    };
    let (mut desk, ended) = in_call("logout");
    assert_eq!(desk.party(ended), ["Released RemoteRelease", "Logout"]);
    let (mut desk, ended) = in_call("notready");
    let gone = ["NotReady AuxWork desktop-gone", "Released RemoteRelease"];
    assert_eq!(desk.party(ended), gone);
    assert_eq!(desk.after(Duration::from_secs(90)), NOTHING, "no wrap-up");

    for option in ["keep", "notready", "logout"] {
        let (mut desk, ended) = in_call(option);
        assert_eq!(desk.ask(DesktopRequest::Present), NOTHING);
        let wrap_up = ["NotReady AfterCallWork", "Released RemoteRelease"];
        assert_eq!(desk.party(ended), wrap_up, "{option}");
        let after = desk.after(Duration::from_secs(90));
        assert_eq!(after, ["Ready ManualIn"], "{option}");
    }
}

#[test]
fn requests_do_not_stand_for_a_desktop_that_is_missed() {
    // Anybody may ask: a supervisor, or a program that posts.
    for request in [ready(), login(), logout(), not_ready(AgentWorkMode::AutoIn)] {
        let mut desk = Desk::with("on_disconnect = \"logout\"", "", "wrap_up = 30").ready();
        let call = desk.talking();
        desk.ask(DesktopRequest::Gone);
        desk.ask(request.clone());
        let ended = desk.party(queued(call, CALLER_RELEASED));
        assert_eq!(ended, ["Released RemoteRelease", "Logout"], "{request:?}");
    }
    // What was asked for an agent without a desktop does not outlive the phone.
    let mut desk = Desk::new().ready();
    desk.ask(DesktopRequest::Gone);
    desk.ask(pause());
    desk.presence(closed());
    assert_eq!(desk.presence(idle()), ["Login", "Ready ManualIn"]);
}
