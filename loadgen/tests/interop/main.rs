//! Scenarios against SIPp itself, both ways, over UDP and TCP, and Kamailio as a yardstick.
//! `cargo interop` runs it: it needs SIPp and Kamailio (on Debian: apt-get install sip-tester
//! kamailio) and, for TLS, openssl.

#[path = "../common/address.rs"]
mod address;
mod columns;
mod counters;
mod messages;
mod peers;
mod play;
mod secure;

use std::net::SocketAddr;

use play::{CALLS, folder, free_address, is_clean, ours, shared, sipp, start};

/// SIPp calls us.
fn sipp_calls(transport: &str) {
    let folder = folder(&format!("uas-{transport}"));
    let address = free_address();
    let mut command = ours(&folder);
    command.args(["uas", "--allow-degraded"]);
    shared(&mut command, address, transport);
    let server = start(command, address);
    let mut command = sipp(&folder);
    command.args(["-sn", "uac", &address.to_string(), "-r", "50", "-d", "50"]);
    shared(&mut command, free_address(), transport);
    let output = command
        .output()
        .expect("SIPp can be run; on Debian: sip-tester");
    is_clean("SIPp", &output);
    let output = server
        .wait_with_output()
        .expect("the server ends by itself");
    is_clean("our server", &output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(&format!("successful {CALLS}, failed 0")),
        "{text}"
    );
}

/// We call SIPp.
fn sipp_answers(transport: &str) {
    let folder = folder(&format!("uac-{transport}"));
    let address = free_address();
    let mut command = sipp(&folder);
    command.args(["-sn", "uas"]);
    shared(&mut command, address, transport);
    let server = start(command, address);
    let mut command = ours(&folder);
    command.args([
        "uac",
        "--allow-degraded",
        &address.to_string(),
        "-r",
        "50",
        "-d",
        "50",
    ]);
    shared(&mut command, free_address(), transport);
    let output = command.output().expect("our own program can be run");
    is_clean("our client", &output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(&format!("successful {CALLS}, failed 0")),
        "{text}"
    );
    let output = server.wait_with_output().expect("SIPp ends by itself");
    is_clean("SIPp", &output);
}

#[test]
fn sipp_calls_over_udp() {
    sipp_calls("u1");
}

#[test]
fn sipp_calls_over_tcp() {
    sipp_calls("t1");
}

#[test]
fn sipp_answers_over_udp() {
    sipp_answers("u1");
}

#[test]
fn sipp_answers_over_tcp() {
    sipp_answers("t1");
}

/// One of two twins is SIPp, and then the other one.
#[test]
fn a_twin_may_be_sipp() {
    for is_calling_ours in [true, false] {
        let folder = folder(&format!("twins-{is_calling_ours}"));
        for (name, text) in [
            ("calling.xml", include_str!("../twins/calling.xml")),
            ("called.xml", include_str!("../twins/called.xml")),
        ] {
            std::fs::write(folder.join(name), text).expect("the folder can be written");
        }
        let peers = [free_address(), free_address()];
        let answering = peers.map(|address| {
            let mut command = ours(&folder);
            command.args(["uas", "--allow-degraded"]);
            shared(&mut command, address, "u1");
            start(command, address)
        });
        let between = free_address().to_string();
        let twin = |is_ours: bool, file: &str, peer: SocketAddr, local: SocketAddr| {
            let mut command = if is_ours {
                let mut own = ours(&folder);
                own.args(["run", "--allow-degraded"]);
                own
            } else {
                sipp(&folder)
            };
            command.args(["-sf", file, &peer.to_string(), "-3pcc", &between]);
            shared(&mut command, local, "u1");
            command
        };
        let local = free_address();
        let called = start(twin(!is_calling_ours, "called.xml", peers[1], local), local);
        let mut command = twin(is_calling_ours, "calling.xml", peers[0], free_address());
        let output = command.output().expect("it can be run");
        is_clean("the calling twin", &output);
        let output = called.wait_with_output().expect("it ends by itself");
        is_clean("the called twin", &output);
        for child in answering {
            is_clean(
                "a peer",
                &child.wait_with_output().expect("it ends by itself"),
            );
        }
    }
}
