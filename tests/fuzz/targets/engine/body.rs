//! Bodies: a call carries its caller's body to the phone and the phone's back. What is a session
//! description keeps its media, anything else (multipart, broken or huge) arrives as it was sent.

use std::time::Duration;

use offhook::sip::{Checked, HeaderIndex, HeaderName, Message, Method, Sdp};

use super::deeds::{call, request, respond};
use super::floor::Floor;
use super::peers::address;

/// A line with the type of both bodies, the caller's body, a NUL, the phone's.
pub fn run(bytes: &[u8]) {
    let (first, rest) = split(bytes, b'\n');
    let (offer, answer) = split(rest, 0);
    let Ok(content_type) = std::str::from_utf8(first) else {
        return;
    };
    let mut floor = Floor::new();
    call(&mut floor, address(0), "2002", (content_type, offer), b"");
    if rang(&floor, content_type, offer) {
        let ringing = floor.peers.asked.len() - 1;
        respond(&mut floor, ringing, "200 OK", (content_type, answer), b"");
        floor.check();
        let dialog = caller(&floor);
        request(&mut floor, dialog, "ACK", ("text/plain", b""), b"");
        floor.pass(Duration::from_secs(1));
        request(&mut floor, dialog, "BYE", ("text/plain", b""), b"");
    }
    floor.rest();
}

/// The caller's dialog stands before the phone's, behind what the PBX is subscribed to.
fn caller(floor: &Floor) -> usize {
    let mut dialogs = floor.peers.dialogs.iter();
    let found = dialogs.position(|dialog| !dialog.is_subscription);
    found.expect("somebody has called")
}

fn split(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == at);
    end.map_or((bytes, &[]), |end| (&bytes[..end], &bytes[end + 1..]))
}

/// Whether the phone rings; if it does, with what the caller has sent.
fn rang(floor: &Floor, content_type: &str, offer: &[u8]) -> bool {
    let mut index = HeaderIndex::new();
    let invite = floor
        .peers
        .asked
        .last()
        .map(|asked| Message::receive(&asked.bytes, &mut index));
    let Some(Ok(Checked::Request(invite))) = invite else {
        return false;
    };
    if invite.method != Method::Invite {
        return false;
    }
    let body = invite.message.body();
    if offer.is_empty() {
        return true;
    }
    match (is_description(content_type), Sdp::parse(offer)) {
        (true, Ok(sent)) => {
            let carried = Sdp::parse(body).expect("a description stays one");
            assert!(sent.media().eq(carried.media()), "the media have changed");
        }
        (true, Err(_)) | (false, _) => {
            assert_eq!(body, offer, "the body has changed");
            let carried = invite
                .message
                .header(HeaderName::ContentType)
                .unwrap_or_default();
            // A quoted string may hold control characters, which become blanks.
            let expected = content_type.replace(|letter: char| letter.is_ascii_control(), " ");
            assert_eq!(carried.trim_ascii(), expected.trim_ascii().as_bytes());
        }
    }
    true
}

fn is_description(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case("application/sdp")
}
