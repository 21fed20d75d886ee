//! One message: whatever it is, every header can be asked for, and what is accepted is answered by
//! a message that belongs to it.

use std::net::SocketAddr;

use offhook::sip::{Checked, HeaderIndex, Malformed, Message, Sdp, Status, Writer, frame};

/// One datagram.
pub fn run(bytes: &[u8]) {
    let _ = frame(bytes);
    let source = SocketAddr::from(([192, 0, 2, 1], 5060));
    let mut index = HeaderIndex::new();
    let mut written = Vec::new();
    match Message::receive(bytes, &mut index) {
        Ok(Checked::Request(request)) => {
            touch(&request.message);
            Writer::response(&mut written, Status::OK, &request, source, Some("t")).end();
            let mut index = HeaderIndex::new();
            let Ok(Checked::Response(response)) = Message::receive(&written, &mut index) else {
                panic!("{} cannot be read", String::from_utf8_lossy(&written));
            };
            assert_eq!(
                (response.call_id, response.cseq),
                (request.call_id, request.cseq)
            );
            assert_eq!(response.cseq_method, request.method);
            assert_eq!(response.via.branch(), request.via.branch());
            assert_eq!(response.from_tag, request.from_tag);
            assert_eq!(response.to_tag, request.to_tag.or(Some("t")));
            assert_eq!(
                response.message.vias().count(),
                request.message.vias().count()
            );
        }
        Ok(Checked::Response(response)) => touch(&response.message),
        Err(rejection) => {
            if let Some(message) = &rejection.message {
                touch(message);
            }
            if let Some(mut writer) = Writer::rejection(&mut written, &rejection, source, "t") {
                writer.end();
                let mut index = HeaderIndex::new();
                match Message::parse(&written, &mut index) {
                    Ok(_) => {}
                    // It repeats what was too long, or at the limit before a tag was added.
                    Err(Malformed::LineTooLong | Malformed::HeadTooLarge) => {}
                    Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&written)),
                }
            }
        }
    }
}

/// Asks for everything that a message can be asked for.
fn touch(message: &Message<'_>) {
    let everything = message.all_headers().count();
    assert!(message.unknown_headers().count() <= everything);
    for via in message.vias().filter_map(Result::ok) {
        let _ = (via.received(), via.rport());
    }
    let _ = message.contacts().filter_map(Result::ok).count();
    let _ = message.routes().chain(message.record_routes()).count();
    let _ = message.remote_parties().count() + message.diversions().count();
    for reason in message.reasons().filter_map(Result::ok) {
        let _ = (reason.cause(), reason.is_q850());
    }
    let _ = message
        .require()
        .chain(message.supported())
        .chain(message.accept())
        .count();
    let _ = (
        message.event(),
        message.subscription_state(),
        message.retry_after(),
    );
    let _ = (
        message.session_expires(),
        message.min_se(),
        message.expires(),
    );
    let _ = (
        message.content_type(),
        message.content_disposition(),
        message.content_length(),
    );
    let _ = (
        message.rseq(),
        message.rack(),
        message.replaces(),
        message.session_id(),
    );
    let _ = (
        message.max_forwards(),
        message.min_expires(),
        message.identity_is_private(),
    );
    if let Ok(caller) = message.calling_identity() {
        assert!(caller.uri.equivalent(&caller.uri), "{caller}");
    }
    let _ = Sdp::parse(message.body());
}
