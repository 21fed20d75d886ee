//! The configuration that a server needs to serve a profile's floor.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::Profile;

impl Profile {
    /// The text of the configuration. `peers` are the nodes of each PBX, in their order; `sip` and
    /// `http` are what the server listens on.
    #[must_use]
    pub fn configuration(&self, peers: &[Vec<SocketAddr>], sip: &str, http: &str) -> String {
        let mut text =
            format!("[server]\nsip = [\"udp:{sip}\"]\nhttp = \"{http}\"\nlog = \"warn\"\n");
        let mut push = |line: std::fmt::Arguments<'_>| {
            writeln!(text, "{line}").expect("writing to a string cannot fail");
        };
        if self.server.shards > 0 {
            push(format_args!("shards = {}", self.server.shards));
        }
        let quoted = |words: &[String]| {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            words.join(", ")
        };
        for (pbx, nodes) in self.pbxs.iter().zip(peers) {
            let nodes: Vec<String> = nodes.iter().map(|node| format!("udp:{node}")).collect();
            // The phones of a real PBX are subscribed within a minute or so, too. Faster, and the
            // answers of 50,000 overrun the sockets of a generator that shares its cores.
            let rate = (pbx.phones.len() / 4).clamp(50, 1_000);
            push(format_args!("\n[[trunk]]\nname = {:?}", pbx.name));
            push(format_args!("peers = [{}]", quoted(&nodes)));
            push(format_args!(
                "big_requests = \"udp\"\nsubscribe_rate = {rate}"
            ));
            if !pbx.outside.is_empty() {
                let prefixes: Vec<String> = pbx.outside.prefixes().collect();
                push(format_args!("outbound = true"));
                push(format_args!("prefixes = [{}]", quoted(&prefixes)));
            }
        }
        for queue in &self.queues {
            push(format_args!("\n[[queue]]\nname = {:?}", queue.name));
            push(format_args!("wrap_up = {}", queue.wrap_up.as_secs()));
            for number in &queue.numbers {
                push(format_args!("\n[[routing_point]]\nnumber = {number:?}"));
                push(format_args!("queue = {:?}", queue.name));
            }
        }
        push(format_args!(
            "\n[agent_defaults]\nno_answer_action = \"none\""
        ));
        for group in &self.agents {
            let home = self
                .pbxs
                .iter()
                .find(|pbx| group.phones.outside_of(&pbx.phones).is_none());
            for range in group.phones.words() {
                push(format_args!("\n[[agents]]\nrange = {range:?}"));
                push(format_args!("queues = [{}]", quoted(&group.queues)));
                push(format_args!(
                    "no_answer = {}",
                    group.no_answer.as_secs().max(1)
                ));
                if let Some(home) = home {
                    push(format_args!("trunks = [{:?}]", home.name));
                }
            }
        }
        if !self.server.extra.is_empty() {
            push(format_args!("\n{}", self.server.extra));
        }
        text
    }
}
