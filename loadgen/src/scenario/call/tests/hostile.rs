//! What would end a run of other generators: torture messages, and mutations of good and bad
//! ones, thrown at calls in every state. None may cost more than its own call.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::lab::{Lab, lab_with, request, response};
use crate::population::Random;

fn server() -> Lab {
    let scenario = [
        "<recv request=\"INVITE\" rrs=\"true\"><action><ereg regexp=\"sip:([^;>]*)\" \
         search_in=\"hdr\" header=\"From:\" assign_to=\"1,2\"/><ereg regexp=\".*\" \
         search_in=\"body\" assign_to=\"1\"/><verifyauth assign_to=\"2\" username=\"a\" \
         password=\"b\"/><log message=\"[$1][$2]\"/></action></recv>",
        response("180 Ringing", "").as_str(),
        response("200 OK", "retrans=\"500\"")
            .replace(
                "Content-Length",
                "[routes]\nX: [next_url] [last_message]\nContent-Length",
            )
            .as_str(),
        "<recv request=\"ACK\"/><recv request=\"BYE\"/>",
        response("200 OK", "").as_str(),
    ]
    .concat();
    lab_with(&scenario, |settings| {
        settings.load.calls_max = None;
        settings.behaviours.auto_answer = true;
    })
}

fn client() -> Lab {
    let scenario = [
        request("INVITE", "retrans=\"500\"").as_str(),
        "<recv response=\"401\" optional=\"true\" auth=\"true\" next=\"again\"/>\
         <recv response=\"200\" rrs=\"true\"/><label id=\"again\"/>",
        request("INVITE", "retrans=\"500\"")
            .replace("CSeq", "[authentication]\nCSeq")
            .as_str(),
        "<recv response=\"200\"/>",
    ]
    .concat();
    lab_with(&scenario, |settings| settings.load.calls_max = None)
}

/// Good messages of a call that both labs know.
fn good() -> Vec<Vec<u8>> {
    let message = |first: &str, cseq: &str, more: &str| {
        format!(
            "{first}\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-1\r\n\
             Record-Route: <sip:r1;lr>, <sip:r2>\r\nFrom: <sip:x@y>;tag=5\r\nTo: <sip:c@d>;tag=6\
             \r\nCall-ID: 1-77@127.0.0.1\r\nCSeq: {cseq}\r\nContact: <sip:me@there>\r\n{more}\
             Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    };
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", \
                     algorithm=SHA-256\r\n";
    vec![
        message("INVITE sip:c@d SIP/2.0", "1 INVITE", ""),
        message("ACK sip:c@d SIP/2.0", "1 ACK", ""),
        message(
            "BYE sip:c@d SIP/2.0",
            "2 BYE",
            "Authorization: Digest username=\"a\"\r\n",
        ),
        message("SIP/2.0 180 Ringing", "1 INVITE", ""),
        message("SIP/2.0 401 Who", "1 INVITE", challenge),
        message("SIP/2.0 200 OK", "1 INVITE", ""),
    ]
}

fn mutated(message: &[u8], random: &mut Random) -> Vec<u8> {
    const PIECES: &[&[u8]] = &[
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\0",
        b":",
        b";",
        b"<",
        b">",
        b",",
        b"\"",
        b"=",
        b" ",
        b"\t",
        b"4294967296",
        b"-1",
        b"\xff\xfe",
        b"///",
        b"tag=",
        b"branch=",
        b"[call_id]",
        b"%s%n",
    ];
    let mut changed = message.to_vec();
    for _ in 0..=random.below(4) {
        let place = usize::try_from(random.below(changed.len() as u64 + 1)).expect("it fits");
        let span = usize::try_from(random.below(24)).expect("it fits");
        let end = (place + span).min(changed.len());
        match random.below(4) {
            0 => changed.truncate(place),
            1 => drop(changed.splice(place..end, std::iter::empty())),
            2 => {
                let copied = changed[place..end].to_vec();
                drop(changed.splice(place..place, copied.repeat(3)));
            }
            _ => {
                let piece =
                    PIECES[usize::try_from(random.below(PIECES.len() as u64)).expect("fits")];
                drop(changed.splice(place..end, piece.iter().copied()));
            }
        }
    }
    changed
}

fn throw(messages: &[Vec<u8>], rounds: u32) {
    let labs: [(u64, fn() -> Lab); 2] = [(1, server), (2, client)];
    for (seed, make) in labs {
        let mut random = Random::new(seed, 7);
        let mut lab = make();
        for _ in 0..rounds {
            for message in messages {
                lab.receive_bytes(message);
                lab.receive_bytes(&mutated(message, &mut random));
            }
            lab.advance(random.below(700));
            lab.sent_bytes();
        }
        // Calls without a time-out may wait for ever; all others have ended, and are counted.
        lab.station.drain();
        lab.advance(60_000);
        let statistics = lab.statistics();
        let ended = statistics.successful + statistics.failed();
        let opened = statistics.incoming + statistics.outgoing;
        assert_eq!(ended + statistics.current, opened);
        assert!(opened > 1 && ended > 0, "{opened} opened, {ended} ended");
        lab.sent_bytes();
    }
}

#[test]
fn mutations_of_good_messages_cost_at_most_their_call() {
    throw(&good(), 400);
}

#[test]
fn torture_messages_and_their_mutations_cost_at_most_their_call() {
    let mut messages = Vec::new();
    for directory in data_directories() {
        collect(&directory, &mut messages);
    }
    if messages.is_empty() {
        // Past the test harness, which swallows what a passing test prints.
        let cure = "set OFFHOOK_TEST_DATA to the directory that has rfc4475 and rfc5118";
        let said = writeln!(std::io::stderr(), "SKIPPED: no torture messages; {cure}");
        said.expect("standard error can be written");
        return;
    }
    throw(&messages, 20);
}

fn data_directories() -> Vec<PathBuf> {
    let named = std::env::var("OFFHOOK_TEST_DATA").ok().map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = named.unwrap_or(beside);
    ["rfc4475", "rfc5118"].map(|name| root.join(name)).to_vec()
}

/// All files of a directory and those in it.
fn collect(directory: &Path, messages: &mut Vec<Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, messages);
        } else if let Ok(bytes) = std::fs::read(&path) {
            messages.push(bytes);
        }
    }
}
