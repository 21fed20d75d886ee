//! Every flow of call control, played in the simulator and drawn: `docs/call_flows.md` is what
//! comes of it. `OFFHOOK_REWRITE=1 cargo test --test sim call_flows` writes the page anew.

use std::fmt::Write as _;
use std::time::Duration;

use offhook::cti::{CallAction, ConsultKind, DesktopRequest, EventName, ForwardMode, KeyValueList};
use offhook::sip::Status;
use offhook_loadgen::population::{Behaviour, CallPlan, Change, Party, Token};

use super::control::{
    AGENT, OTHER, OUTSIDE, act, conn_of, connected, consult, consulting, make_call, single_step,
    talking,
};
use super::ladder;
use super::network::Faults;
use super::trace::Trace;
use super::world::{Setup, World};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/call_flows.md");

const HEAD: &str = "\
# Call flows

What goes over the wire, and what desktops ask and are told meanwhile. The page is written by a \
test (`tests/sim/flows.rs`) from what the simulator's callers, phones and servers of media really \
said, so that it shows what the server does. `OFFHOOK_REWRITE=1 cargo test --test sim call_flows` \
writes it anew.

How to read it: time goes downwards; `:` is a pause. 2000 and 2001 are phones of agents, 4000 is \
a number outside, 7000 a routing point; all are reached by one trunk to a UCM, whose phones give \
their offer in the 200. Beside a phone stand the requests of its desktop and the events that its \
desktop hears; what a routing point's listeners hear stands beside Offhook. `[offer]` and \
`[answer]` are session descriptions, with the direction of the audio where it is not both ways. \
Left out are `100 Trying`, OPTIONS, presence, and the events of agents' states.
";

/// One flow: what it is called, what it shows, how it is played.
struct Flow {
    title: &'static str,
    text: &'static str,
    play: fn() -> World,
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "who wants the page written says so by a variable"
)]
fn call_flows_are_as_the_page_shows_them() {
    let page = page();
    if std::env::var_os("OFFHOOK_REWRITE").is_some() {
        std::fs::write(PAGE, page).expect("the page can be written");
        return;
    }
    let committed = std::fs::read_to_string(PAGE).unwrap_or_default();
    let mut lines = committed.lines().zip(page.lines()).enumerate();
    let differs = lines.find(|(_, (is, should))| is != should);
    assert!(
        committed == page,
        "docs/call_flows.md is not what the simulator plays: {differs:?}\n\
         OFFHOOK_REWRITE=1 cargo test --test sim call_flows writes it anew"
    );
}

/// The whole page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    for (heading, flows) in chapters() {
        write!(page, "\n## {heading}\n").expect("a string takes everything");
        for flow in flows {
            let Flow { title, text, play } = flow;
            let mut world = play();
            let trace = world.trace.take().expect("a stage records what is said");
            let drawn = ladder::draw(&trace.lines);
            write!(page, "\n### {title}\n\n{text}\n\n```text\n{drawn}\n```\n")
                .expect("a string takes everything");
            end(&mut world);
        }
    }
    page
}

fn chapters() -> [(&'static str, Vec<Flow>); 5] {
    [
        ("Calls", calls()),
        ("Hold", holds()),
        ("Consultation and transfer", transfers()),
        ("Conference", conferences()),
        ("Sessions", sessions()),
    ]
}

/// Whoever is still there leaves, and nothing is left of the call.
fn end(world: &mut World) {
    let live = world.tokens();
    for token in live {
        world.population.callers.give_up(world.now, token);
        world.population.callers.hang_up(world.now, token);
    }
    let phones = world
        .population
        .pbx
        .phones()
        .map(|phone| phone.dn.to_owned());
    for dn in phones.collect::<Vec<_>>() {
        world.phone(&dn).hang_up();
    }
    world.finish();
}

/// A world of so many agents in which every datagram takes the same time.
fn stage_of(agents: u32, server: &str, trunk: &str, more: &str) -> World {
    let way = Duration::from_millis(1);
    let faults = Faults {
        delay_min: way,
        delay_max: way,
        ..Faults::CALM
    };
    let setup = Setup {
        shards: 1,
        faults,
        server: server.to_owned(),
        trunk: format!("outbound = true\n{trunk}"),
        ..Setup::calm(agents)
    };
    let mut world = World::new(setup.with(more));
    world.run_until_ready();
    world.journal.events.clear();
    world.trace = Some(Trace::default());
    world
}

fn stage(trunk: &str) -> World {
    stage_of(2, "", trunk, "")
}

/// The same, with somebody who talks to the agent; what it took is not shown.
fn in_call(server: &str, trunk: &str) -> (World, Token, offhook::cti::ConnId) {
    let mut world = stage_of(2, server, trunk, "");
    let (token, main) = talking(&mut world);
    forget(&mut world);
    (world, token, main)
}

/// What was said so far is not shown; whose dialogs there are is remembered.
fn forget(world: &mut World) {
    if let Some(trace) = &mut world.trace {
        trace.lines.clear();
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn calls() -> Vec<Flow> {
    let mut flows = from_callers();
    flows.extend(in_hand());
    flows.extend(made_and_forwarded());
    flows
}

fn from_callers() -> Vec<Flow> {
    vec![
        Flow {
            title: "A queue's call, early offer",
            text: "The caller's INVITE has an offer, which goes to the phone. The caller waits \
                   at the routing point until an agent is found.",
            play: || {
                let mut world = stage_of(1, "", "", "");
                let plan = CallPlan::to("7000").with_offer();
                world.call(plan.talks_for(seconds(3)));
                world.run_for(seconds(6));
                world
            },
        },
        Flow {
            title: "A queue's call, delayed offer",
            text: "The caller's INVITE has no offer (UCM's default): the phone's goes to the \
                   caller in the 200, and the answer comes back in the ACK.",
            play: || {
                let mut world = stage_of(1, "", "", "");
                world.call(CallPlan::to("7000").talks_for(seconds(3)));
                world.run_for(seconds(6));
                world
            },
        },
        Flow {
            title: "Nobody answers",
            text: "The phone rings for as long as `no_answer` says. Its agent is NotReady from \
                   then on, and the caller, who keeps the place, goes to the next one.",
            play: || {
                let more = "[agent_defaults]\nno_answer = 8\n";
                let mut world = stage_of(2, "", "", more);
                for dn in [AGENT, OTHER] {
                    world.phone(dn).set_behaviour(Some(Behaviour::rings()));
                }
                world.call(CallPlan::to("7000"));
                world.run_for(seconds(9));
                for dn in [AGENT, OTHER] {
                    world.phone(dn).answer();
                }
                world.run_for(seconds(1));
                world
            },
        },
        Flow {
            title: "The caller gives up",
            text: "The phone's INVITE is taken back, and the caller's ends with 487.",
            play: || {
                let mut world = stage_of(1, "", "", "");
                world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
                world.call(CallPlan::to("7000").waits_for(seconds(2)));
                world.run_for(seconds(4));
                world
            },
        },
    ]
}

fn in_hand() -> Vec<Flow> {
    vec![
        Flow {
            title: "AnswerCall",
            text: "With `answer = \"talk\"` the phone is told by NOTIFY to answer by itself; with \
                   `call-info` and `alert-info` it is called again and asked to.",
            play: || {
                let mut world = stage("answer = \"talk\"\n");
                let alone = Behaviour {
                    answers_alone: Some(Duration::from_millis(100)),
                    ..Behaviour::rings()
                };
                world.phone(AGENT).set_behaviour(Some(alone));
                world.call(CallPlan::to(AGENT));
                world.run_for(seconds(2));
                let conn_id = conn_of(&world, AGENT, EventName::Ringing);
                act(&mut world, AGENT, conn_id, CallAction::Answer);
                world
            },
        },
        Flow {
            title: "RedirectCall",
            text: "A call that rings is sent elsewhere.",
            play: || {
                let mut world = stage("");
                world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
                world.call(CallPlan::to(AGENT));
                world.run_for(seconds(3));
                let conn_id = conn_of(&world, AGENT, EventName::Ringing);
                let destination = OTHER.to_owned();
                let redirect = CallAction::Redirect { destination };
                act(&mut world, AGENT, conn_id, redirect);
                world
            },
        },
        Flow {
            title: "SendDTMF",
            text: "With `dtmf = \"dtmf-relay\"` or `\"dtmf\"` each digit is an INFO to whom the \
                   agent hears, sent when the one before has its answer.",
            play: || {
                let (mut world, _, main) = in_call("", "dtmf = \"dtmf-relay\"\n");
                let digits = "1#".to_owned();
                act(&mut world, AGENT, main, CallAction::SendDtmf { digits });
                world
            },
        },
        Flow {
            title: "ReleaseCall",
            text: "The desktop ends the call: both legs get BYE.",
            play: || {
                let (mut world, _, main) = in_call("", "");
                act(&mut world, AGENT, main, CallAction::Release);
                world
            },
        },
    ]
}

fn made_and_forwarded() -> Vec<Flow> {
    vec![
        Flow {
            title: "MakeCall, flow I",
            text: "The agent's own phone is called first and gives the offer for whom it calls \
                   (RFC 3725, section 4.1).",
            play: || {
                let mut world = stage("");
                make_call(&mut world, AGENT, OUTSIDE);
                world
            },
        },
        Flow {
            title: "MakeCall, flow IV",
            text: "With `make_call_flow = \"4\"` the phone is connected without media first, and \
                   gets the offer of whom it calls when that one has answered.",
            play: || {
                let mut world = stage("make_call_flow = \"4\"\n");
                make_call(&mut world, AGENT, OUTSIDE);
                world
            },
        },
        Flow {
            title: "Forwarding, always",
            text: "The DN's calls go elsewhere, and its own phone does not ring.",
            play: || forwarded(ForwardMode::Unconditional),
        },
        Flow {
            title: "Forwarding, on no answer",
            text: "The phone is given its time before the call goes elsewhere.",
            play: || forwarded(ForwardMode::OnNoAnswer),
        },
    ]
}

fn forwarded(mode: ForwardMode) -> World {
    let more = "[agent_defaults]\nno_answer = 8\n";
    let mut world = stage_of(2, "", "", more);
    world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
    let forward = DesktopRequest::SetForward {
        mode,
        destination: OTHER.to_owned(),
        reasons: KeyValueList::new(),
    };
    world.ask(AGENT, forward);
    world.run_for(seconds(1));
    world.call(CallPlan::to(AGENT));
    world.run_for(seconds(12));
    world
}

fn holds() -> Vec<Flow> {
    vec![
        Flow {
            title: "HoldCall and RetrieveCall without music",
            text: "Both legs become inactive, the agent's first, which may refuse. To take the \
                   call back, the caller is asked for a new offer.",
            play: || held(""),
        },
        Flow {
            title: "HoldCall and RetrieveCall with music",
            text: "With `music` in `[server]` the caller is connected to the source of it.",
            play: || held("music = \"sip:music@10.0.2.1:5060\""),
        },
        Flow {
            title: "The phone holds by itself",
            text: "What the phone does is passed on, with its offer and the answer to it.",
            play: || {
                let (mut world, _, _) = in_call("", "");
                assert!(world.phone(AGENT).change(Change::Hold));
                world.run_for(seconds(3));
                assert!(world.phone(AGENT).change(Change::Resume));
                world.run_for(seconds(3));
                world
            },
        },
        Flow {
            title: "The phone refuses to be held",
            text: "The call is as it was, and the desktop hears why.",
            play: || {
                let (mut world, _, main) = in_call("", "");
                let refuse = offhook_loadgen::population::Reception::Refuse(Status(488));
                world.phone(AGENT).set_reception(refuse);
                act(&mut world, AGENT, main, CallAction::Hold);
                world
            },
        },
    ]
}

fn held(server: &str) -> World {
    let (mut world, _, main) = in_call(server, "");
    act(&mut world, AGENT, main, CallAction::Hold);
    act(&mut world, AGENT, main, CallAction::Retrieve);
    world
}

fn transfers() -> Vec<Flow> {
    let mut flows = two_steps();
    flows.extend(one_step());
    flows.extend(by_phone());
    flows
}

fn two_steps() -> Vec<Flow> {
    vec![
        Flow {
            title: "Transfer in two steps, one dialog",
            text: "The agent's phone has one dialog (UCM): it is the held call's first, then the \
                   consultation's. The transfer connects the two others before 2000 is let go.",
            play: || transferred(""),
        },
        Flow {
            title: "Transfer in two steps, two dialogs",
            text: "With `dual_dialog` the phone is called again for the consultation.",
            play: || transferred("dual_dialog = true\n"),
        },
        Flow {
            title: "AlternateCall and ReconnectCall",
            text: "The agent turns to the caller, and back to the consulted one; ReconnectCall \
                   ends the consultation.",
            play: || {
                let (mut world, _, main) = in_call("", "");
                let beside = consulting(&mut world, main, OTHER);
                forget(&mut world);
                let alternate = CallAction::Alternate { held: main };
                act(&mut world, AGENT, beside, alternate);
                let alternate = CallAction::Alternate { held: beside };
                act(&mut world, AGENT, main, alternate);
                let reconnect = CallAction::Reconnect { held: main };
                act(&mut world, AGENT, beside, reconnect);
                world
            },
        },
        Flow {
            title: "A consultation is cancelled",
            text: "The agent returns to the caller while the other phone still rings.",
            play: || {
                let (mut world, _, main) = in_call("", "");
                world.phone(OTHER).set_behaviour(Some(Behaviour::rings()));
                act(&mut world, AGENT, main, consult(OTHER));
                let beside = conn_of(&world, AGENT, EventName::Dialing);
                forget(&mut world);
                let reconnect = CallAction::Reconnect { held: main };
                act(&mut world, AGENT, beside, reconnect);
                world
            },
        },
    ]
}

fn transferred(trunk: &str) -> World {
    let (mut world, token, main) = in_call("", trunk);
    world.phone(AGENT).set_calls_max(2);
    let beside = consulting(&mut world, main, OTHER);
    let complete = CallAction::CompleteTransfer { consult: beside };
    act(&mut world, AGENT, main, complete);
    assert!(connected(&world, token, OTHER));
    world
}

fn one_step() -> Vec<Flow> {
    vec![
        Flow {
            title: "SingleStepTransfer",
            text: "The agent leaves at once. A caller whom nobody takes goes back to the queue \
                   in which it was answered, or, of a call that came through none, to the agent.",
            play: || {
                let (mut world, _, main) = in_call("", "");
                act(&mut world, AGENT, main, single_step(OTHER));
                world
            },
        },
        Flow {
            title: "MuteTransfer",
            text: "A consultation that is a transfer as soon as the other phone rings.",
            play: || {
                let (mut world, _, main) = in_call("", "");
                let action = CallAction::MuteTransfer {
                    destination: OTHER.to_owned(),
                    user_data: KeyValueList::new(),
                };
                act(&mut world, AGENT, main, action);
                world
            },
        },
    ]
}

fn by_phone() -> Vec<Flow> {
    vec![
        Flow {
            title: "A phone transfers by REFER",
            text: "With `refer` of the trunk, what the phone asks for is done as if its desktop \
                   had asked for a SingleStepTransfer. The last NOTIFY says 200 before anybody \
                   was called, where RFC 3515, section 2.4.5, wants the state of that call: the \
                   caller is Offhook's to place from here on, and comes back, if at all, as \
                   another call; the phone's leg, and with it the subscription, ends at once, so \
                   that it is free; anything but 200 would be shown as a transfer that failed.",
            play: || {
                let (mut world, _, _) = in_call("", "refer = true\n");
                assert!(world.phone(AGENT).refer(OTHER));
                world.run_for(seconds(3));
                world
            },
        },
        Flow {
            title: "A phone transfers by REFER with Replaces",
            text: "The phone has a dialog for each call and names the one that it wants replaced: \
                   as CompleteTransfer. The two are connected first, and the last NOTIFY says \
                   what came of it; if they cannot be, the phone keeps both calls.",
            play: || {
                let (mut world, _, main) = in_call("", "dual_dialog = true\nrefer = true\n");
                world.phone(AGENT).set_calls_max(2);
                consulting(&mut world, main, OTHER);
                forget(&mut world);
                assert!(world.phone(AGENT).refer_attended(OTHER));
                world.run_for(seconds(3));
                world
            },
        },
    ]
}

const MIXER: &str = "mixer = \"sip:10.0.2.1:5060\"";

fn conferences() -> Vec<Flow> {
    vec![
        Flow {
            title: "Conference in two steps",
            text: "Each of the three is connected to the same conference at the `mixer` \
                   (RFC 4240, section 5), whose name is the call's ConnID.",
            play: || {
                let (mut world, token, main) = in_call(MIXER, "");
                let action = CallAction::Consult {
                    kind: ConsultKind::Conference,
                    destination: OTHER.to_owned(),
                    user_data: KeyValueList::new(),
                };
                act(&mut world, AGENT, main, action);
                let beside = conn_of(&world, AGENT, EventName::Dialing);
                let complete = CallAction::CompleteConference { consult: beside };
                act(&mut world, AGENT, main, complete);
                all_confer(&world, token);
                world
            },
        },
        Flow {
            title: "SingleStepConference and DeleteFromConference",
            text: "Somebody is called into the conversation, and sent away again: two are left, \
                   and stay at the mixer.",
            play: || {
                let (mut world, token, main) = in_call(MIXER, "");
                let action = CallAction::SingleStepConference {
                    destination: OTHER.to_owned(),
                    user_data: KeyValueList::new(),
                };
                act(&mut world, AGENT, main, action);
                all_confer(&world, token);
                let other_dn = OTHER.to_owned();
                let delete = CallAction::DeleteParty { other_dn };
                act(&mut world, AGENT, main, delete);
                world
            },
        },
    ]
}

/// All three hear the same conference.
fn all_confer(world: &World, token: Token) {
    let parties = [
        Party::Caller(token),
        Party::phone(AGENT),
        Party::phone(OTHER),
    ];
    let names = parties.map(|party| world.served(&party));
    assert!(
        names[0].is_some() && names.iter().all(|name| *name == names[0]),
        "{names:?}"
    );
}

fn sessions() -> Vec<Flow> {
    vec![
        Flow {
            title: "Session refresh",
            text: "A leg whose far end has agreed to a session timer (RFC 4028) is refreshed half \
                   of `session_expires` after the last word on it, by UPDATE where the far end \
                   takes that. An UPDATE without a description, as a far end refreshes, is \
                   answered here; a re-INVITE has an offer, which the other side answers.",
            play: || {
                let (mut world, _, _) = in_call("", "");
                world.run_for(seconds(1_000));
                assert!(world.phone(AGENT).change(Change::Update));
                world.run_for(seconds(3));
                assert!(world.phone(AGENT).change(Change::Refresh));
                world.run_for(seconds(3));
                world
            },
        },
        Flow {
            title: "Glare",
            text: "The desktop wants the call held while the phone changes it by itself: each \
                   refuses the other with 491, and both try again after the times of RFC 3261, \
                   section 14.1.",
            play: || {
                let (mut world, _, main) = in_call("", "");
                assert!(world.phone(AGENT).change(Change::Refresh));
                act(&mut world, AGENT, main, CallAction::Hold);
                world.run_for(seconds(8));
                world
            },
        },
    ]
}
