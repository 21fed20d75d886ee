//! Agents follow their phones, as Kamailio's presence server tells it.

use std::time::Duration;

use super::directory::Directory;
use super::kamailio::Kamailio;
use super::server::Server;
use super::sipp::Transport;

const DNS: [&str; 5] = ["3000", "3001", "3002", "3003", "3004"];
/// From a PUBLISH to the agent's state, on a busy machine.
const CHANGE_MAX: Duration = Duration::from_secs(15);

fn agents_follow_their_phones(transport: Transport) {
    let directory = Directory::new(&format!("presence_{}", transport.name()));
    let mut kamailio = Kamailio::start(&directory, transport);
    let config = format!(
        "[[trunk]]\nname = \"presence\"\npeers = [\"{}:{}\"]\ndomain = \"presence.test\"\n\
         oos_check = 1\noos_force = 5\n\n\
         [[agents]]\nrange = \"3000-3004\"\nqueues = [\"sales\"]\n\n\
         [[queue]]\nname = \"sales\"\n\n\
         [[routing_point]]\nnumber = \"7000\"\nqueue = \"sales\"\n",
        transport.name(),
        kamailio.address
    );
    let server = Server::start(&directory, &config);
    let steps: [(&str, &str, &str, Option<&str>); 5] = [
        ("open", "", "Ready", None),
        (
            "open",
            "<e:on-the-phone/>",
            "NotReady",
            Some("on-the-phone"),
        ),
        ("open", "", "Ready", None),
        ("closed", "", "LoggedOut", None),
        ("open", "<e:available/>", "Ready", None),
    ];
    for (basic, activity, status, reason) in steps {
        kamailio.publish(&DNS, basic, activity);
        server.await_agents(CHANGE_MAX, status, reason);
    }
    let notifies =
        |cause: &str| server.metric("offhook_notifies_total", &format!("cause=\"{cause}\""));
    assert!(notifies("applied") >= 25, "5 agents, 5 changes");
    for cause in [
        "unknown_subscription",
        "content_type",
        "malformed",
        "other_entity",
    ] {
        assert_eq!(notifies(cause), 0, "{cause}: {}", server.log());
    }
    let subscriptions = server.metric("offhook_subscriptions_total", "cause=\"started\"");
    assert_eq!(subscriptions, 5);
    let in_service = server.metric("offhook_trunk_in_service", "trunk=\"presence\"");
    assert_eq!(in_service, 1, "{}", kamailio.log());
    server.stop();
}

#[test]
fn agents_follow_their_phones_by_udp() {
    agents_follow_their_phones(Transport::Udp);
}

#[test]
fn agents_follow_their_phones_by_tcp() {
    agents_follow_their_phones(Transport::Tcp);
}
