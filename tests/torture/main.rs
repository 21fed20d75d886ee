//! The torture messages of RFC 4475 and RFC 5118, each with the treatment that the table names.
//!
//! The messages are the IETF's and not in this repository. They are read from `../shared/data`
//! beside it, or from the directory that `OFFHOOK_TEST_DATA` names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod server;
mod verdicts;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use offhook::sip::{
    Checked, Frame, HeaderIndex, HeaderName, Malformed, Message, Rejection, Request, Sdp,
    StartLine, Status, Via, Writer, frame,
};
use verdicts::{Field, Parser, Verdict};

#[test]
fn every_message_gets_its_verdict() {
    let Some(directory) = data_directory() else {
        skipped("no torture messages");
        return;
    };
    let mut count = 0;
    for verdict in verdicts::all() {
        let bytes = std::fs::read(directory.join(verdict.file)).expect(verdict.file);
        judge(verdict, &bytes);
        count += 1;
    }
    assert_eq!(count, 61);
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the engine needs some instant to count from"
)]
fn the_server_gives_every_message_its_answer() {
    let Some(directory) = data_directory() else {
        skipped("no torture messages");
        return;
    };
    let mut faults = Vec::new();
    for verdict in verdicts::all() {
        let bytes = std::fs::read(directory.join(verdict.file)).expect(verdict.file);
        let answers = server::answers(std::time::Instant::now(), &bytes);
        let right = match answers[..] {
            [] => verdict.server.is_empty(),
            [status] => verdict.server.contains(&status),
            _ => false,
        };
        if !right {
            faults.push(format!(
                "{}: {answers:?}, not {:?}",
                verdict.file, verdict.server
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_names_every_message_of_the_manifests_once() {
    let Some(directory) = data_directory() else {
        skipped("no manifests");
        return;
    };
    let judged: Vec<&str> = verdicts::all().map(|verdict| verdict.file).collect();
    let distinct: BTreeSet<&str> = judged.iter().copied().collect();
    assert_eq!(distinct.len(), judged.len(), "a message has two verdicts");
    let mut listed = BTreeSet::new();
    for collection in ["rfc4475", "rfc5118"] {
        let path = directory.join(collection).join("MANIFEST.csv");
        let manifest = std::fs::read_to_string(path).expect("a manifest");
        for row in manifest.lines().skip(1) {
            let mut cells = row.split(',');
            let name = cells.next().expect("a name");
            let class = cells.nth(1).expect("a class");
            listed.insert(format!("{collection}/{class}/{name}.dat"));
        }
    }
    let judged: BTreeSet<String> = judged.into_iter().map(str::to_owned).collect();
    assert_eq!(judged, listed);
}

#[test]
fn on_a_stream_a_doubtful_length_loses_the_framing() {
    let Some(directory) = data_directory() else {
        skipped("no torture messages");
        return;
    };
    let length = HeaderName::ContentLength;
    for (file, expected) in [
        (
            "rfc4475/invalid/ncl.dat",
            Frame::Malformed(Malformed::Invalid(length)),
        ),
        (
            "rfc4475/application/mcl01.dat",
            Frame::Malformed(Malformed::Duplicate(length)),
        ),
        (
            "rfc4475/compat/inv2543.dat",
            Frame::Malformed(Malformed::ContentLengthMissing),
        ),
        ("rfc4475/invalid/clerr.dat", Frame::Incomplete),
        ("rfc4475/valid/wsinv.dat", Frame::Complete(1001)),
        ("rfc4475/valid/mpart01.dat", Frame::Complete(1290)),
        ("rfc4475/valid/longreq.dat", Frame::Complete(3515)),
        ("rfc4475/valid/dblreq.dat", Frame::Complete(300)),
    ] {
        let bytes = std::fs::read(directory.join(file)).expect(file);
        assert_eq!(frame(&bytes), expected, "{file}");
    }
}

/// Past the test harness, which swallows what a passing test prints.
fn skipped(what: &str) {
    use std::io::Write;
    let cure = "set OFFHOOK_TEST_DATA to the directory that has rfc4475 and rfc5118";
    writeln!(std::io::stderr(), "SKIPPED: {what}; {cure}").expect("stderr can be written");
}

fn data_directory() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the data lies is the host's matter"
    )]
    let named = std::env::var("OFFHOOK_TEST_DATA").ok().map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    Some(named.unwrap_or_else(beside)).filter(|path| path.join("rfc4475").is_dir())
}

fn judge(verdict: &Verdict, bytes: &[u8]) {
    let file = verdict.file;
    let mut index = HeaderIndex::new();
    match (&verdict.parser, Message::receive(bytes, &mut index)) {
        (Parser::Accept(fields), Ok(checked)) => {
            for (number, field) in fields.iter().enumerate() {
                check(field, &checked, &format!("{file}, field {number}"));
            }
            match checked {
                Checked::Request(request) => {
                    assert!(!verdict.server.is_empty(), "{file}: a request is answered");
                    check_response(&request, file);
                }
                // Nothing here was asked for, so no response has a transaction.
                Checked::Response(_) => assert!(verdict.server.is_empty(), "{file}"),
            }
        }
        (Parser::Reject(error, status), Err(rejection)) => {
            assert_eq!(rejection.error, *error, "{file}");
            assert_eq!(rejection.answer, Some(Status(*status)), "{file}");
            assert_eq!(
                verdict.server,
                [*status],
                "{file}: the parser's answer is the server's"
            );
            check_answer(&rejection, *status, file);
            let mut index = HeaderIndex::new();
            let parsed = Message::parse(bytes, &mut index).and_then(|message| {
                message
                    .check()
                    .map_err(|rejection| rejection.error)
                    .map(|_| ())
            });
            assert_eq!(parsed, Err(*error), "{file}");
        }
        (Parser::Drop(error), Err(rejection)) => {
            assert_eq!(rejection.error, *error, "{file}");
            assert_eq!(rejection.answer, None, "{file}");
            assert!(verdict.server.is_empty(), "{file}");
        }
        (Parser::Accept(_), Err(rejection)) => panic!("{file}: refused with {}", rejection.error),
        (Parser::Reject(error, _) | Parser::Drop(error), Ok(_)) => {
            panic!("{file}: accepted, but {error}");
        }
    }
}

fn source() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 41_000))
}

/// A response to an accepted request is itself accepted and goes back to the same transaction.
fn check_response(request: &Request<'_>, file: &str) {
    let mut written = Vec::new();
    Writer::response(&mut written, Status::OK, request, source(), Some("ours")).end();
    let mut index = HeaderIndex::new();
    match Message::receive(&written, &mut index) {
        Ok(Checked::Response(response)) => {
            assert_eq!(response.call_id, request.call_id, "{file}");
            assert_eq!(response.cseq, request.cseq, "{file}");
            assert_eq!(response.via.branch(), request.via.branch(), "{file}");
            assert_eq!(response.via.received(), Some(source().ip()), "{file}");
            assert_eq!(response.to_tag, request.to_tag.or(Some("ours")), "{file}");
            assert_eq!(response.from_tag, request.from_tag, "{file}");
            let vias = request.message.vias().count();
            assert_eq!(response.message.vias().count(), vias, "{file}");
        }
        other => panic!("{file}: our response is {other:?}"),
    }
}

/// The answer to a refused request can be written, and is a message.
fn check_answer(rejection: &Rejection<'_>, status: u16, file: &str) {
    let mut written = Vec::new();
    let writer = Writer::rejection(&mut written, rejection, source(), "ours");
    writer.expect("an answer").end();
    let mut index = HeaderIndex::new();
    let answer = Message::parse(&written, &mut index).expect(file);
    match answer.start_line() {
        StartLine::Response { status: found, .. } => assert_eq!(found, Status(status), "{file}"),
        StartLine::Request { .. } => panic!("{file}: the answer is a request"),
    }
    assert!(answer.header(HeaderName::Via).is_some(), "{file}");
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "check_message has the others"
)]
fn check(field: &Field, checked: &Checked<'_>, what: &str) {
    match checked {
        Checked::Request(request) => {
            check_request(field, request, what);
            check_message(field, &request.message, what);
        }
        Checked::Response(response) => {
            match field {
                Field::Status(code) => assert_eq!(response.status, Status(*code), "{what}"),
                Field::Method(name) => assert_eq!(response.cseq_method.as_str(), *name, "{what}"),
                Field::ReasonBytes(count) => match response.message.start_line() {
                    StartLine::Response { reason, .. } => {
                        assert_eq!(reason.len(), *count, "{what}");
                    }
                    StartLine::Request { .. } => panic!("{what}: not a response"),
                },
                _ => {}
            }
            check_message(field, &response.message, what);
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "check_message has the others"
)]
fn check_request(field: &Field, request: &Request<'_>, what: &str) {
    let uri = request.uri;
    match field {
        Field::Method(name) => assert_eq!(request.method.as_str(), *name, "{what}"),
        Field::Scheme(name) => assert_eq!(uri.scheme.as_str(), *name, "{what}"),
        Field::User(user) => assert_eq!(uri.user, Some(*user), "{what}"),
        Field::Host(host) => assert_eq!(uri.host.to_string(), *host, "{what}"),
        Field::Port(port) => assert_eq!(uri.port, *port, "{what}"),
        Field::UriParameter(name, value) => assert_eq!(uri.param(name), *value, "{what}"),
        Field::MaxForwards(hops) => assert_eq!(request.max_forwards, *hops, "{what}"),
        Field::Status(_) | Field::ReasonBytes(_) => panic!("{what}: not a response"),
        _ => {}
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "check_request and check have the others"
)]
fn check_message(field: &Field, message: &Message<'_>, what: &str) {
    let (from, to) = (message.from().expect(what), message.to().expect(what));
    let via = message.via().expect(what);
    match field {
        Field::FromDisplay(display) => assert_eq!(from.display, Some(*display), "{what}"),
        Field::FromTag(tag) => assert_eq!(from.tag(), *tag, "{what}"),
        Field::ToDisplay(display) => assert_eq!(to.display, Some(*display), "{what}"),
        Field::ToUser(user) => assert_eq!(to.uri.user, Some(*user), "{what}"),
        Field::ToTag(tag) => assert_eq!(to.tag(), *tag, "{what}"),
        Field::CallId(call_id) => assert_eq!(message.call_id(), Ok(*call_id), "{what}"),
        Field::CSeq(number) => assert_eq!(message.cseq().expect(what).number, *number, "{what}"),
        Field::Vias(count) => {
            let vias: Vec<Via<'_>> = message.vias().map(|via| via.expect(what)).collect();
            assert_eq!(vias.len(), *count, "{what}");
        }
        Field::Branch(branch) => assert_eq!(via.branch(), *branch, "{what}"),
        Field::ViaHost(host) => assert_eq!(via.host.to_string(), *host, "{what}"),
        Field::Received(position, address) => {
            let via = message.vias().nth(*position).expect(what).expect(what);
            let expected = address.map(|address| address.parse().expect(what));
            assert_eq!(via.received(), expected, "{what}");
        }
        Field::Token(name, token) => assert!(message.has_token(*name, token), "{what}"),
        Field::Unknown(count) => assert_eq!(message.unknown_headers().count(), *count, "{what}"),
        Field::Body(count) => assert_eq!(message.body().len(), *count, "{what}"),
        _ => check_contents(field, message, what),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "check_message has the others"
)]
fn check_contents(field: &Field, message: &Message<'_>, what: &str) {
    let contact = || message.contact().expect(what).expect(what);
    match field {
        Field::Contacts(count) => {
            let contacts = message.contacts().map(|contact| contact.expect(what));
            assert_eq!(contacts.count(), *count, "{what}");
        }
        Field::ContactUri(uri) => assert_eq!(contact().uri_bytes, uri.as_bytes(), "{what}"),
        Field::ContactParameter(name, value) => {
            assert_eq!(contact().param(name), *value, "{what}");
        }
        Field::LooseRoute => {
            assert!(
                message.routes().next().expect(what).expect(what).uri.lr(),
                "{what}"
            );
        }
        Field::ContentType(expected) => {
            assert!(
                message
                    .content_type()
                    .expect(what)
                    .expect(what)
                    .is(expected),
                "{what}"
            );
        }
        Field::SdpMedia(count) => {
            let sdp = Sdp::parse(message.body()).expect(what);
            assert_eq!(sdp.media().count(), *count, "{what}");
            assert_eq!(sdp.media_count, *count, "{what}");
        }
        _ => {}
    }
}
