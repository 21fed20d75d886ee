//! The server's own pings to SIPp: a trunk goes out of service with its peer.

use std::time::Duration;

use super::directory::Directory;
use super::program;
use super::server::Server;
use super::sipp::{Sipp, Transport};

/// The slowest change is silence: a ping a second, half a second until it is missed, and two more.
const CHANGE_MAX: Duration = Duration::from_secs(30);

#[test]
fn trunk_is_in_service_while_its_peer_answers() {
    let directory = Directory::new("pinged");
    let peer = Sipp::phones(&directory, "pinged", Transport::Udp);
    let config = format!(
        "[[trunk]]\nname = \"ucm\"\npeers = [\"udp:{}\"]\noos_check = 1\n\
         ping_timeout = \"500ms\"\noos_force = 2\nping_max_forwards = 0\n",
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
