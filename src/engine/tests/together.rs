//! Calls that meet the same trouble at the same moment.

use offhook_shards::{ConnectionChange, ConnectionId, ConnectionOutcome};

use super::*;
use crate::config::DnIndex;

/// The connection to a node of the PBX is closed while calls wait for their answer there: each of
/// them goes to the other node.
#[test]
fn calls_that_lose_their_connection_at_one_moment_all_go_to_the_next_peer() {
    const CALLS: usize = 4;
    let agents = (2002..2005).map(|dn| format!("[[agent]]\ndn = \"{dn}\"\npresence = false\n"));
    let agents: String = agents.collect();
    let trunks = format!(
        r#"prefixes = ["9"]
        [[trunk]]
        name = "phones"
        oos_check = 0
        peers = ["tcp:192.0.2.30:5060", "tcp:192.0.2.31:5060"]
        mode = "primary_backup"
        [agent_defaults]
        trunks = ["phones"]
        {agents}"#
    );
    let mut lab = Lab::new("", &trunks);
    let first: SocketAddr = "192.0.2.30:5060".parse().expect("an address");
    let second: SocketAddr = "192.0.2.31:5060".parse().expect("an address");
    let invites = |sent: &[(SocketAddr, String)], to: SocketAddr| {
        let there = sent.iter().filter(|(remote, _)| *remote == to);
        there
            .filter(|(_, text)| text.starts_with("INVITE "))
            .count()
    };
    for dn in (0..).map(DnIndex).take(CALLS) {
        lab.engine.handle_request(lab.now, login(dn));
    }
    for dn in 2001..2005 {
        let invite = invite_to(&dn.to_string());
        let sent = lab.send(PBX, invite.as_bytes());
        assert_eq!(invites(&sent, first), 1, "{sent:?}");
    }
    let change = ConnectionChange {
        connection: Some(ConnectionId {
            shard: ShardId(0),
            index: 0,
            generation: 0,
        }),
        remote: first,
        outcome: ConnectionOutcome::Closed,
    };
    lab.engine.handle_connection(lab.now, change);
    let sent = lab.sent();
    assert_eq!(invites(&sent, second), CALLS);
}
