//! Clients of the control plane: what they ask and what they hear.

use std::collections::BTreeMap;

use offhook::config::{DnIndex, Role};
use offhook::cti::ClientId;
use offhook::server::clients::{Inbox, Kind, queue};
use offhook::server::decode;
use offhook::server::hub::Received;
use offhook::server::permissions::Identity;
use serde_json::{Value as Json, json};

use super::super::schema::check_frame;
use super::floor::Floor;

/// Frames that wait for a client that hears everything after every deed.
const QUEUE: usize = 65_536;

const REQUESTS: [&str; 32] = [
    "AgentLogin",
    "AgentReady",
    "AgentNotReady",
    "AgentLogout",
    "MakeCall",
    "AnswerCall",
    "ReleaseCall",
    "HoldCall",
    "RetrieveCall",
    "InitiateTransfer",
    "CompleteTransfer",
    "InitiateConference",
    "CompleteConference",
    "SingleStepTransfer",
    "SingleStepConference",
    "MuteTransfer",
    "AlternateCall",
    "ReconnectCall",
    "RedirectCall",
    "ClearCall",
    "DeleteFromConference",
    "SendDTMF",
    "SetDNDOn",
    "SetDNDOff",
    "CallForwardSet",
    "CallForwardCancel",
    "AttachUserData",
    "RouteCall",
    "ReserveAgent",
    "RegisterAddress",
    "UnregisterAddress",
    "QueryAddress",
];
const NUMBERS: [&str; 8] = ["2001", "2002", "3001", "7000", "100", "2009", "9001", "*"];

/// A client, and how many answers to which number it waits for.
pub(super) struct Desk {
    id: ClientId,
    inbox: Inbox,
    expected: BTreeMap<u32, i32>,
    last: u32,
}

/// An administrator who is everybody's desktop, a router, and the desktop of 2001.
pub(super) fn open(floor: &mut Floor) {
    floor.desks.clear();
    let of = |role, dns: Vec<DnIndex>, desktop| Identity { role, dns, desktop };
    let identities = [
        Identity::everyone(),
        of(Role::Router, Vec::new(), false),
        of(Role::Agent, vec![DnIndex(0)], true),
    ];
    for identity in identities {
        let (outbox, inbox) = queue(QUEUE);
        let id = floor.hub.connect(floor.now, identity, Kind::Socket, outbox);
        let id = id.expect("there is room");
        floor.desks.push(Desk {
            id,
            inbox,
            expected: BTreeMap::new(),
            last: 0,
        });
        let everything = json!({"Message": "RequestRegisterAddress", "ThisDN": "*"});
        say_json(floor, floor.desks.len() - 1, everything);
    }
}

/// A request by the places of its parts in the tables: request, ThisDN, ConnID, the other ConnID,
/// OtherDN.
pub(super) fn ask(floor: &mut Floor, who: usize, parts: &[u8]) {
    let part =
        |index: usize| usize::from(parts.get(index).copied().unwrap_or(b'0').wrapping_sub(b'0'));
    let call = |index: usize| {
        let newest = floor.calls.len().checked_sub(1 + part(index));
        newest
            .map(|at| floor.calls[at].to_string())
            .unwrap_or_else(|| "0000000000000001".to_owned())
    };
    let request = REQUESTS[part(0) % REQUESTS.len()];
    let mut frame = json!({
        "Message": format!("Request{request}"),
        "ThisDN": NUMBERS[part(1) % NUMBERS.len()],
        "ConnID": call(2),
        "TransferConnID": call(3),
        "PreviousConnID": call(3),
        "OtherDN": NUMBERS[part(4) % NUMBERS.len()],
        "DTMFDigits": "12#",
        "UserData": {"a": "b"},
    });
    if request == "AgentReady" {
        frame["AgentWorkMode"] = json!("ManualIn");
    }
    say_json(floor, who, frame);
}

fn say_json(floor: &mut Floor, who: usize, mut frame: Json) {
    let who = who % floor.desks.len();
    floor.desks[who].last += 1;
    frame["ReferenceID"] = json!(floor.desks[who].last + 1_000_000);
    say(floor, who, frame.to_string().as_bytes());
}

/// A frame as it is; `$0` in it is the newest call, `$1` the one before.
pub(super) fn say_bytes(floor: &mut Floor, who: usize, bytes: &[u8]) {
    let mut frame = Vec::new();
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = after;
        let back = after
            .first()
            .map(|digit| usize::from(digit.wrapping_sub(b'0')));
        let call = back.and_then(|back| floor.calls.len().checked_sub(1 + back));
        match call.filter(|_| *first == b'$') {
            Some(call) => {
                frame.extend_from_slice(floor.calls[call].to_string().as_bytes());
                rest = &after[1..];
            }
            None => frame.push(*first),
        }
    }
    say(floor, who, &frame);
}

fn say(floor: &mut Floor, who: usize, frame: &[u8]) {
    let who = who % floor.desks.len();
    let desk = &mut floor.desks[who];
    let number = match decode::request(frame, true) {
        Ok(asked) => asked.reference_id,
        Err(refusal) => refusal.reference_id,
    };
    if let Some(number) = number {
        *desk.expected.entry(number).or_default() += 1;
    }
    let id = desk.id;
    floor.hub.handle_frame(floor.now, id, Received::Text(frame));
    floor.turn();
}

/// Clients hear what was said since.
pub(super) fn hear(desks: &mut [Desk]) {
    for desk in desks {
        while let Ok(outgoing) = desk.inbox.queue.try_recv() {
            let frame: Json = serde_json::from_str(&outgoing.frame).expect("what is sent is JSON");
            check_frame(&frame);
            // A router hears numbers of ours, so that its answers find their request.
            if frame["Message"] == "EventRouteRequest" {
                continue;
            }
            if let Some(number) = frame["ReferenceID"].as_u64() {
                let number = u32::try_from(number).expect("it was read as one");
                let left = desk.expected.entry(number).or_default();
                *left -= 1;
                assert!(*left >= 0, "an answer that nobody waits for: {frame}");
            }
        }
    }
}

/// Whoever asked was answered.
pub(super) fn at_rest(desks: &[Desk]) {
    for desk in desks {
        let open = desk.expected.iter().find(|(_, count)| **count != 0);
        assert!(open.is_none(), "a request has no answer: {open:?}");
    }
}
