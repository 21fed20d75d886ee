//! Phones that do things by themselves, by baresip: the server follows them.

use super::baresip::Baresip;
use super::directory::Directory;
use super::floor::{Crew, Floor, Guest, QUEUE_NUMBER};
use super::sipp::Transport;

const CALLER: &str = "caller_without_update_talks";

/// One caller who talks to baresip, at 3900.
fn talk(name: &str, transport: Transport, test: impl FnOnce(&Floor, &mut Baresip, &str)) {
    let directory = Directory::new(&format!("{name}_{}", transport.name()));
    let mut phone = Baresip::start(&directory, "3900", transport);
    let guest = Guest {
        dn: "3900",
        address: phone.address,
        trunk: "refer = true\n",
    };
    let crew = Crew::of("phone_talks", 1);
    let floor = Floor::open_with(directory, transport, &[crew], &[guest]);
    let caller = floor.start_callers(CALLER, QUEUE_NUMBER, 1);
    let call = floor.call_at("3900", "Talking");
    test(&floor, &mut phone, &call);
    let ended = caller.finish();
    ended.unwrap_or_else(|report| panic!("{report}{}{}", phone.log(), floor.server.log()));
    floor.expect_calls([1, 1, 0, 0, 0]);
    floor.close();
    phone.stop();
}

fn holds_and_resumes(transport: Transport) {
    talk("baresip_holds", transport, |floor, phone, call| {
        phone.tell("hold", "");
        floor.await_call("3900", "Held", call);
        phone.tell("resume", "");
        floor.await_call("3900", "Talking", call);
        phone.tell("hangup", "");
    });
}

fn transfers(transport: Transport) {
    talk("baresip_transfers", transport, |floor, phone, call| {
        phone.tell("transfer", &format!("sip:3000@{}", floor.server.sip));
        floor.await_call("3000", "Talking", call);
        floor.await_changes(CALLER, 2);
        floor.release("3000", call);
    });
}

#[test]
fn baresip_holds_and_resumes_by_udp() {
    holds_and_resumes(Transport::Udp);
}

#[test]
fn baresip_holds_and_resumes_by_tcp() {
    holds_and_resumes(Transport::Tcp);
}

#[test]
fn baresip_transfers_by_refer_by_udp() {
    transfers(Transport::Udp);
}

#[test]
fn baresip_transfers_by_refer_by_tcp() {
    transfers(Transport::Tcp);
}
