//! The server's own pings to SIPp: a trunk goes out of service with its peer and comes back.

use std::time::Duration;

use super::directory::Directory;
use super::program;
use super::server::Server;
use super::sipp::{Sipp, Transport};

/// The slowest change is silence: a ping after a second, its Timer F (RFC 3261 §17.1.2.2: 32 s),
/// and two seconds of waiting.
const CHANGE_MAX: Duration = Duration::from_secs(60);

#[test]
fn trunk_is_in_service_while_its_peer_answers() {
    let directory = Directory::new("pinged");
    let peer = Sipp::phones(&directory, "pinged", Transport::Udp);
    let config = format!(
        "[[trunk]]\nname = \"ucm\"\npeers = [\"udp:{}\"]\noos_check = 1\noos_force = 2\n\
         ping_max_forwards = 0\n",
        peer.address
    );
    let server = Server::start(&directory, &config);
    let in_service = || server.metric("offhook_trunk_in_service", "trunk=\"ucm\"") == 1;
    let answered = || {
        directory
            .tail("pinged.messages", 1000)
            .matches("200 OK")
            .count()
            >= 3
    };
    assert!(program::comes_true(CHANGE_MAX, answered), "no pings came");
    assert!(in_service());
    peer.hang_up().expect("every ping was answered");
    let went = program::comes_true(CHANGE_MAX, || !in_service());
    assert!(went, "the trunk stays in service{}", server.log());
    server.stop();
}
