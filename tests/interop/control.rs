//! Desktops and phones control calls whose ends are SIPp. What each end was offered, in the order
//! in which it came, is in its log.

use serde_json::{Value as Json, json};

use super::directory::Directory;
use super::floor::{Crew, Floor, QUEUE_NUMBER};
use super::sipp::{Sipp, Transport};

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];
const CALLER_WITHOUT_UPDATE: &str = "caller_without_update_talks";
const CALLERS: [&str; 2] = ["caller_early_talks", "caller_delayed_talks"];

/// One caller who talks to the agent 3000.
struct Talk {
    floor: Floor,
    caller: Sipp,
    call: String,
}

impl Talk {
    fn begin(name: &str, transport: Transport, caller: &str, crews: &[Crew]) -> Self {
        let floor = Floor::open(&format!("{name}_{caller}"), transport, crews);
        let caller = floor.start_callers(caller, QUEUE_NUMBER, 1);
        let call = floor.call_at("3000", "Talking");
        Self {
            floor,
            caller,
            call,
        }
    }

    /// A desktop asks something about the caller's call and is answered with this event.
    #[track_caller]
    fn ask(&self, dn: &str, message: &str, more: &Json, event: &str) {
        let mut request = json!({"Message": message, "ThisDN": dn, "ConnID": self.call});
        let fields = request.as_object_mut().expect("a request is an object");
        fields.extend(
            more.as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let answer = self.floor.server.request(&request);
        assert_eq!(answer["Message"], event, "{request}: {answer}");
    }

    /// The desktop of a DN ends the call. Afterwards all must be at rest.
    fn end(self, dn: &str) -> Directory {
        self.ask(dn, "RequestReleaseCall", &json!({}), "EventReleased");
        self.over()
    }

    /// The call ends. Afterwards all must be at rest.
    fn over(self) -> Directory {
        let directory = self.floor.directory();
        let ended = self.caller.finish();
        ended.unwrap_or_else(|report| panic!("{report}{}", self.floor.server.log()));
        self.floor.expect_calls([1, 1, 0, 0, 0]);
        self.floor.close();
        directory
    }
}

/// What was offered: whose audio, and whether it is to be heard.
const CALLER_HELD: &str = "m=audio 24580 a=inactive";
const CALLER: &str = "m=audio 24580 a=sendrecv";
const PHONE_HELD: &str = "m=audio 20256 a=inactive";
const PHONE: &str = "m=audio 20256 a=sendrecv";
const NOTHING: &str = "nothing a=sendrecv";

/// Each re-INVITE that a SIPp got had this offer.
#[track_caller]
fn expect_offers(directory: &Directory, scenario: &str, expected: &[&str]) {
    let log = directory.tail(&format!("{scenario}.log"), 1000);
    let offers = log
        .lines()
        .filter_map(|line| line.split_once(" is offered "));
    let offers: Vec<&str> = offers.map(|(_, offer)| offer).collect();
    assert_eq!(offers, expected, "{scenario}: {log}");
}

fn each(test: impl Fn(Transport, &'static str)) {
    for transport in BOTH {
        for caller in CALLERS {
            test(transport, caller);
        }
    }
}

/// A desktop holds a call and retrieves it, at a phone that does this.
fn desktop_holds(name: &str, phone: &'static str) {
    each(|transport, caller| {
        let talk = Talk::begin(name, transport, caller, &[Crew::of(phone, 1)]);
        talk.ask("3000", "RequestHoldCall", &json!({}), "EventHeld");
        talk.ask("3000", "RequestRetrieveCall", &json!({}), "EventRetrieved");
        talk.floor.await_changes(caller, 2);
        talk.floor.await_changes(phone, 2);
        let directory = talk.end("3000");
        expect_offers(&directory, caller, &[PHONE_HELD, PHONE]);
        // What the phone offers when it is asked, the caller is offered.
        expect_offers(&directory, phone, &[CALLER_HELD, NOTHING]);
    });
}

#[test]
fn desktop_holds_and_retrieves() {
    desktop_holds("desktop_holds", "phone_talks");
}

#[test]
fn phone_that_refuses_a_change_with_491_is_asked_again() {
    desktop_holds("refused_change", "phone_refuses_change");
}

#[test]
fn changes_that_cross_are_both_refused_with_491() {
    desktop_holds("glare", "phone_crosses");
}

#[test]
fn phone_holds_and_resumes_without_offers() {
    each(|transport, caller| {
        let crew = Crew::of("phone_delayed_holds", 1);
        let talk = Talk::begin("phone_holds", transport, caller, &[crew]);
        let directory = talk.over();
        expect_offers(&directory, caller, &[NOTHING, NOTHING]);
        let log = directory.tail(&format!("{caller}.log"), 1000);
        let answers = log
            .lines()
            .filter_map(|line| line.split_once(" is answered "));
        let answers: Vec<&str> = answers.map(|(_, answer)| answer).collect();
        assert_eq!(answers, ["a=inactive", "a=sendrecv"], "{log}");
    });
}

#[test]
fn desktop_transfers_in_one_step() {
    each(|transport, caller| {
        let crew = Crew::of("phone_talks", 2);
        let talk = Talk::begin("one_step", transport, caller, &[crew]);
        let to = json!({"OtherDN": "3001"});
        talk.ask("3000", "RequestSingleStepTransfer", &to, "EventReleased");
        talk.floor.await_call("3001", "Talking", &talk.call);
        talk.floor.await_changes(caller, 2);
        let directory = talk.end("3001");
        expect_offers(&directory, caller, &[PHONE_HELD, PHONE]);
        // The one hangs up, and the other is invited.
        expect_offers(&directory, "phone_talks", &[]);
    });
}

#[test]
fn desktop_transfers_after_a_consultation() {
    each(|transport, caller| {
        let crew = Crew::of("phone_talks", 2);
        let talk = Talk::begin("two_steps", transport, caller, &[crew]);
        let to = json!({"OtherDN": "3001"});
        talk.ask("3000", "RequestInitiateTransfer", &to, "EventDialing");
        let consult = talk.floor.call_at("3001", "Talking");
        talk.floor.await_call("3000", "Talking", &consult);
        let with = json!({"TransferConnID": consult});
        talk.ask("3000", "RequestCompleteTransfer", &with, "EventReleased");
        talk.floor.await_call("3001", "Talking", &talk.call);
        talk.floor.await_changes(caller, 2);
        talk.floor.await_changes("phone_talks", 3);
        let directory = talk.end("3001");
        expect_offers(&directory, caller, &[PHONE_HELD, NOTHING]);
        // The first phone's dialog carries the consultation too; then the second has the caller.
        expect_offers(&directory, "phone_talks", &[CALLER_HELD, PHONE, CALLER]);
    });
}

#[test]
fn phone_transfers_by_refer() {
    for transport in BOTH {
        let crews = [
            Crew::of("phone_refers", 1).with_trunk("refer = true\n"),
            Crew::of("phone_talks", 1),
        ];
        let talk = Talk::begin("refer", transport, CALLER_WITHOUT_UPDATE, &crews);
        talk.floor.await_call("3100", "Talking", &talk.call);
        talk.floor.await_changes(CALLER_WITHOUT_UPDATE, 2);
        let directory = talk.end("3100");
        expect_offers(&directory, CALLER_WITHOUT_UPDATE, &[PHONE_HELD, PHONE]);
        expect_offers(&directory, "phone_talks", &[]);
    }
}

#[test]
fn phone_transfers_by_refer_with_replaces() {
    for transport in BOTH {
        let crews = [
            Crew::of("phone_refers_replaces", 1).with_trunk("refer = true\ndual_dialog = true\n"),
            Crew::of("phone_talks", 1),
        ];
        let talk = Talk::begin("replaces", transport, CALLER_WITHOUT_UPDATE, &crews);
        let to = json!({"OtherDN": "3100"});
        talk.ask("3000", "RequestInitiateTransfer", &to, "EventDialing");
        talk.floor.await_call("3100", "Talking", &talk.call);
        talk.floor.await_changes(CALLER_WITHOUT_UPDATE, 2);
        talk.floor.await_changes("phone_talks", 1);
        let directory = talk.end("3100");
        expect_offers(&directory, CALLER_WITHOUT_UPDATE, &[PHONE_HELD, NOTHING]);
        expect_offers(&directory, "phone_talks", &[CALLER]);
    }
}

/// The phone's two calls are two conversations: it was called, and its desktop has made a call.
#[test]
fn phone_joins_two_conversations_by_refer_with_replaces() {
    for transport in BOTH {
        let crews = [
            Crew::of("phone_refers_replaces", 1).with_trunk("refer = true\ndual_dialog = true\n"),
            Crew::of("phone_talks", 1),
        ];
        let mut talk = Talk::begin("joins", transport, CALLER_WITHOUT_UPDATE, &crews);
        talk.ask("3000", "RequestHoldCall", &json!({}), "EventHeld");
        let make = json!({"Message": "RequestMakeCall", "ThisDN": "3000", "OtherDN": "3100"});
        let made = talk.floor.server.request(&make);
        assert_eq!(made["Message"], "EventDialing", "{made}");
        talk.call = made["ConnID"].as_str().expect("a call has a name").into();
        talk.floor.await_call("3100", "Talking", &talk.call);
        talk.floor.await_changes(CALLER_WITHOUT_UPDATE, 2);
        talk.floor.await_changes("phone_talks", 1);
        let directory = talk.end("3100");
        expect_offers(&directory, CALLER_WITHOUT_UPDATE, &[PHONE_HELD, PHONE]);
        // The one across is asked for an offer, which goes through the tie to the caller.
        expect_offers(&directory, "phone_talks", &[NOTHING]);
    }
}
