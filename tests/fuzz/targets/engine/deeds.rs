//! What one line has somebody do.

use std::net::SocketAddr;
use std::time::Duration;

use offhook::sip::{Checked, HeaderIndex, HeaderName, Message, Method};
use offhook_shards::ConnectionOutcome;

use super::desks;
use super::floor::Floor;
use super::messages::{Draft, description, with_lines};
use super::peers::{self, Dialog, Peers, address};

const STATUSES: [&str; 16] = [
    "100 Trying",
    "180 Ringing",
    "200 OK",
    "302 Moved",
    "486 Busy",
    "487 Terminated",
    "491 Pending",
    "503 Unavailable",
    "183 Progress",
    "401 Unauthorized",
    "404 Not Found",
    "408 Timeout",
    "481 Unknown",
    "500 Error",
    "603 Decline",
    "202 Accepted",
];
const METHODS: [&str; 16] = [
    "BYE",
    "INVITE",
    "ACK",
    "UPDATE",
    "CANCEL",
    "PRACK",
    "INFO",
    "REFER",
    "NOTIFY",
    "OPTIONS",
    "MESSAGE",
    "SUBSCRIBE",
    "REGISTER",
    "PUBLISH",
    "UNHEARD",
    "invite",
];
const NUMBERS: [&str; 8] = [
    "7000", "2001", "2002", "3001", "100", "2009", "%37000", "9001",
];
const WAITS: [u64; 10] = [
    1, 200, 500, 1_000, 4_000, 6_000, 20_000, 33_000, 64_000, 300_000,
];
/// Turns of a while in which everybody is well-behaved.
const TURNS_MAX: usize = 60;

/// Does what a line says.
pub(super) fn perform(floor: &mut Floor, deed: u8, rest: &[u8]) {
    let part =
        |index: usize| usize::from(rest.get(index).copied().unwrap_or(b'0').wrapping_sub(b'0'));
    let behind = |count: usize| rest.get(count..).unwrap_or_default();
    // By their letters: p, a, b and so on up to o.
    match deed % 16 {
        0 => floor.drain(),
        1 => answer(floor, part(0), (part(1), part(2)), behind(3)),
        2 => within(floor, part(0), (part(1), part(2)), behind(3)),
        3 => desks::say_bytes(floor, part(0), behind(1)),
        4 => desks::ask(floor, part(0), behind(1)),
        5 => floor.kill(),
        6 => {
            let who = part(0) % 4;
            floor.stream(who, address(who), &with_lines(behind(1)));
        }
        7 => say(floor, address(part(0)), with_lines(behind(1))),
        8 => behave(floor, Duration::from_millis(WAITS[part(0) % WAITS.len()])),
        9 => invite(floor, part(0), (part(1), part(2)), behind(3)),
        10 => replace(floor, part(0), part(1), behind(2)),
        11 => {
            let outcomes = [ConnectionOutcome::Closed, ConnectionOutcome::ConnectFailed];
            floor.connection(None, address(part(0)), outcomes[part(1) % 2]);
        }
        12 => floor.pass(Duration::from_millis(WAITS[part(0) % WAITS.len()])),
        13 => outside(floor, part(0), part(1), behind(2)),
        14 => notify(floor, part(0), behind(1)),
        _ => repeat(floor, part(0), part(1)),
    }
}

/// Desktops log in and are ready, and the PBX says that the phone it is asked about is idle.
pub(super) fn settle_in(floor: &mut Floor) {
    for parts in [b"01", b"11", b"02", b"12"] {
        desks::ask(floor, 0, parts);
    }
    behave(floor, Duration::from_secs(1));
    notify(floor, 0, b"");
}

/// A peer says something.
fn say(floor: &mut Floor, from: SocketAddr, bytes: Vec<u8>) {
    floor.datagram(from, &bytes);
    floor.peers.said.push((from, bytes));
}

/// Something said before is said again, by who has said it or by a stranger.
fn repeat(floor: &mut Floor, back: usize, by: usize) {
    if let Some(at) = Peers::newest(&floor.peers.said, back) {
        let (from, bytes) = floor.peers.said[at].clone();
        let from = if by % 2 == 1 { address(3) } else { from };
        floor.datagram(from, &bytes);
    }
}

/// A call begins.
fn invite(floor: &mut Floor, who: usize, (number, body): (usize, usize), changes: &[u8]) {
    let number = NUMBERS[number % NUMBERS.len()];
    let body = description(body, floor.peers.unique());
    call(
        floor,
        address(who),
        number,
        ("application/sdp", body.as_bytes()),
        changes,
    );
}

/// A call to a number, with this body.
pub(super) fn call(
    floor: &mut Floor,
    from: SocketAddr,
    number: &str,
    content: (&str, &[u8]),
    changes: &[u8],
) {
    let unique = floor.peers.unique();
    let (branch, call_id) = (format!("z9hG4bKi{unique}"), format!("call{unique}"));
    let target = format!("sip:{number}@192.0.2.10:5060");
    let headers = format!(
        "Via: SIP/2.0/UDP {from};branch={branch}\nMax-Forwards: 69\n\
         From: \"Caller\" <sip:100@{from}>;tag=c{unique}\nTo: <sip:{number}@192.0.2.10>\n\
         Call-ID: {call_id}\nCSeq: 1 INVITE\nContact: <sip:100@{from}>\n\
         Allow: INVITE, ACK, BYE, CANCEL, UPDATE, REFER, NOTIFY, PRACK, INFO\n\
         Supported: timer, 100rel, replaces"
    );
    floor.peers.begin(Dialog {
        peer: from,
        call_id,
        own_tag: format!("c{unique}"),
        their_tag: String::new(),
        target: target.clone(),
        cseq: 1,
        invite: (1, branch, target.clone()),
        reliable: (0, 0),
        is_subscription: false,
    });
    let draft = Draft::new(&format!("INVITE {target} SIP/2.0"), &headers, content);
    say(floor, from, draft.changed(changes));
}

/// A request outside of any dialog.
fn outside(floor: &mut Floor, who: usize, method: usize, changes: &[u8]) {
    let unique = floor.peers.unique();
    let (from, method) = (address(who), METHODS[method % METHODS.len()]);
    let headers = format!(
        "Via: SIP/2.0/UDP {from};branch=z9hG4bKo{unique}\nMax-Forwards: 70\n\
         From: <sip:100@{from}>;tag=o{unique}\nTo: <sip:7000@192.0.2.10>\nCall-ID: out{unique}\n\
         CSeq: 1 {method}\nContact: <sip:100@{from}>"
    );
    let first = format!("{method} sip:7000@192.0.2.10:5060 SIP/2.0");
    say(
        floor,
        from,
        Draft::new(&first, &headers, ("text/plain", b"")).changed(changes),
    );
}

/// A request within a dialog.
fn within(floor: &mut Floor, back: usize, (method, body): (usize, usize), changes: &[u8]) {
    if let Some(at) = Peers::newest(&floor.peers.dialogs, back) {
        let method = METHODS[method % METHODS.len()];
        let body = description(body, floor.peers.unique());
        request(
            floor,
            at,
            method,
            ("application/sdp", body.as_bytes()),
            changes,
        );
    }
}

/// A peer asks something in a dialog.
pub(super) fn request(
    floor: &mut Floor,
    at: usize,
    method: &str,
    content: (&str, &[u8]),
    changes: &[u8],
) {
    let unique = floor.peers.unique();
    let dialog = &mut floor.peers.dialogs[at];
    let of_invite = matches!(method, "ACK" | "CANCEL");
    if !of_invite {
        dialog.cseq += 1;
    }
    let fresh = format!("z9hG4bKw{unique}");
    if method == "INVITE" {
        dialog.invite = (dialog.cseq, fresh.clone(), dialog.target.clone());
    }
    let cseq = if of_invite {
        dialog.invite.0
    } else {
        dialog.cseq
    };
    let is_cancel = method == "CANCEL";
    let branch = if is_cancel { &dialog.invite.1 } else { &fresh };
    let target = if is_cancel {
        &dialog.invite.2
    } else {
        &dialog.target
    };
    let to_tag = match &*dialog.their_tag {
        "" => String::new(),
        _ if is_cancel => String::new(),
        tag => format!(";tag={tag}"),
    };
    let Dialog {
        peer,
        call_id,
        own_tag,
        reliable: (rseq, of),
        ..
    } = &*dialog;
    let more = match method {
        "PRACK" => format!("\nRAck: {rseq} {of} INVITE"),
        "REFER" => "\nRefer-To: <sip:2002@192.0.2.10>".to_owned(),
        _ => String::new(),
    };
    let headers = format!(
        "Via: SIP/2.0/UDP {peer};branch={branch}\nMax-Forwards: 69\n\
         From: <sip:100@{peer}>;tag={own_tag}\nTo: <sip:7000@192.0.2.10>{to_tag}\n\
         Call-ID: {call_id}\nCSeq: {cseq} {method}\nContact: <sip:100@{peer}>{more}"
    );
    let draft = Draft::new(&format!("{method} {target} SIP/2.0"), &headers, content);
    let from = *peer;
    say(floor, from, draft.changed(changes));
}

/// One call takes another's place: by REFER within one dialog to the other, or by INVITE.
fn replace(floor: &mut Floor, one: usize, other: usize, changes: &[u8]) {
    let dialogs = &floor.peers.dialogs;
    let (Some(at), Some(of)) = (Peers::newest(dialogs, one), Peers::newest(dialogs, other)) else {
        return;
    };
    let Dialog {
        call_id,
        own_tag,
        their_tag,
        ..
    } = &dialogs[of];
    if one % 2 == 1 {
        let line =
            format!("Replaces: {call_id};to-tag={their_tag};from-tag={own_tag}|Require: replaces|");
        let changes = [line.as_bytes(), changes].concat();
        return invite(floor, one / 2, (1, 1), &changes);
    }
    let line = format!(
        "Refer-To: <sip:100@192.0.2.20?Replaces={call_id}%3Bto-tag%3D{their_tag}\
         %3Bfrom-tag%3D{own_tag}>|"
    );
    let changes = [line.as_bytes(), changes].concat();
    request(floor, at, "REFER", ("text/plain", b""), &changes);
}

/// The PBX says what the phone of 2001 does.
fn notify(floor: &mut Floor, what: usize, changes: &[u8]) {
    let is_subscription = |dialog: &Dialog| dialog.is_subscription;
    let Some(at) = floor.peers.dialogs.iter().rposition(is_subscription) else {
        return;
    };
    let (basic, activity) = [
        ("open", ""),
        ("open", "<r:on-the-phone/>"),
        ("closed", ""),
        ("open", "<r:x/>"),
    ][what % 4];
    let body = format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:d=\"urn:ietf:params:xml:ns:pidf:data-model\" \
         xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"sip:2001@192.0.2.20\">\
         <tuple id=\"a\"><status><basic>{basic}</basic></status></tuple>\
         <d:person id=\"p\"><r:activities>{activity}</r:activities></d:person></presence>"
    );
    let state = "Event: presence|Subscription-State: active;expires=3600|";
    let changes = [state.as_bytes(), changes].concat();
    request(
        floor,
        at,
        "NOTIFY",
        ("application/pidf+xml", body.as_bytes()),
        &changes,
    );
}

/// A peer answers something that the server has asked.
fn answer(floor: &mut Floor, back: usize, (status, body): (usize, usize), changes: &[u8]) {
    if let Some(at) = Peers::newest(&floor.peers.asked, back) {
        let body = description(body, floor.peers.unique());
        let content = ("application/sdp", body.as_bytes());
        respond(
            floor,
            at,
            STATUSES[status % STATUSES.len()],
            content,
            changes,
        );
    }
}

/// A peer answers one request of the server's.
pub(super) fn respond(
    floor: &mut Floor,
    at: usize,
    status: &str,
    content: (&str, &[u8]),
    changes: &[u8],
) {
    let asked = floor.peers.asked[at].clone();
    let mut index = HeaderIndex::new();
    let Ok(Checked::Request(request)) = Message::receive(&asked.bytes, &mut index) else {
        return;
    };
    let tag = peers::tag_for(&request);
    let text = |name| peers::header(&request, name).unwrap_or_default();
    let tagged = if request.to_tag.is_some() {
        String::new()
    } else {
        format!(";tag={tag}")
    };
    let (via, from, to) = (
        text(HeaderName::Via),
        text(HeaderName::From),
        text(HeaderName::To),
    );
    let (call_id, cseq, peer) = (text(HeaderName::CallId), text(HeaderName::CSeq), asked.by);
    let more = if request.method == Method::Subscribe {
        "\nExpires: 3600"
    } else if status.starts_with("401") {
        "\nWWW-Authenticate: Digest realm=\"example.com\",nonce=\"n\",qop=\"auth\""
    } else if status.starts_with("302") {
        "\nContact: <sip:2002@192.0.2.20>"
    } else {
        ""
    };
    let contact = if more.contains("Contact") {
        String::new()
    } else {
        format!("\nContact: <sip:p@{peer}>")
    };
    let headers = format!(
        "Via: {via}\nFrom: {from}\nTo: {to}{tagged}\nCall-ID: {call_id}\nCSeq: {cseq}\n\
         Allow: INVITE, ACK, BYE, CANCEL, UPDATE, REFER, NOTIFY, PRACK, INFO{contact}{more}"
    );
    floor.peers.accept(peer, &request, &tag);
    let is_final = !status.starts_with('1');
    let draft = Draft::new(&format!("SIP/2.0 {status}"), &headers, content);
    floor.peers.asked[at].is_answered |= is_final;
    say(floor, peer, draft.changed(changes));
}

/// For a while everybody answers and acknowledges as it should.
fn behave(floor: &mut Floor, time: Duration) {
    let end = floor.now + time;
    for _ in 0..TURNS_MAX {
        if let Some(at) = floor
            .peers
            .asked
            .iter()
            .position(|asked| !asked.is_answered)
        {
            let mut index = HeaderIndex::new();
            let request = Message::receive(&floor.peers.asked[at].bytes, &mut index);
            let wants = match &request {
                Ok(Checked::Request(request)) => peers::wants_description(request),
                Ok(Checked::Response(_)) | Err(_) => false,
            };
            let body = description(usize::from(wants), floor.peers.unique());
            floor.peers.asked[at].is_answered = true;
            respond(
                floor,
                at,
                "200 OK",
                ("application/sdp", body.as_bytes()),
                b"",
            );
            continue;
        }
        let next = floor.next().filter(|next| *next <= end);
        let step = next.unwrap_or(end).saturating_duration_since(floor.now);
        floor.pass(step);
        if next.is_none() {
            return;
        }
    }
}
