//! A server that does nothing: each datagram of the callee goes on to the caller, each of anybody
//! else to the callee. What it takes, in batches as a server would have them, is the kernel's part
//! of a call, on a shard's loop.

use std::collections::VecDeque;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Instant;

use clap::Args;
use offhook_shards::{
    ConnectionChange, DriverChoice, Engine, Frame, Options, ShardId, Source, Transmit, Transport,
    start,
};

/// What `relay` is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct RelayOptions {
    /// Where datagrams are heard.
    pub local: SocketAddr,
    /// The callee.
    pub callee: SocketAddr,
}

/// Relays until standard input ends.
///
/// # Errors
/// Why it cannot be started, in words for the user.
pub fn run(options: RelayOptions) -> Result<(), String> {
    let shards = Options {
        driver: DriverChoice::Epoll,
        udp: vec![options.local],
        // In as few system calls as can be.
        prompt: false,
        ..Options::default()
    };
    let running = start(&shards, move |_| Relay::new(options.callee));
    let running = running.map_err(|error| error.to_string())?;
    // Whoever started it holds the other end, and its own end closes it.
    let mut input = std::io::stdin().lock();
    while input.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
    running.stop().map_err(|error| error.to_string())
}

#[derive(Debug)]
struct Relay {
    callee: SocketAddr,
    /// Known when its first datagram has come.
    caller: Option<SocketAddr>,
    /// What has come and is to go, one after the other.
    bytes: Vec<u8>,
    /// Of these, where they go and how long they are.
    waiting: VecDeque<(SocketAddr, usize)>,
    /// How much of `bytes` has gone.
    gone: usize,
}

impl Relay {
    fn new(callee: SocketAddr) -> Self {
        Self {
            callee,
            caller: None,
            bytes: Vec::new(),
            waiting: VecDeque::new(),
            gone: 0,
        }
    }
}

impl Engine for Relay {
    type Message = ();
    type Request = ();
    type Event = ();

    fn owner(&self, _bytes: &[u8]) -> Option<ShardId> {
        None
    }

    /// There are no streams.
    fn frame(_buffer: &[u8]) -> Frame {
        Frame::Malformed
    }

    fn handle_datagram(&mut self, _now: Instant, from: Source, bytes: &[u8]) {
        let to = if from.remote == self.callee {
            // The callee answers, so somebody has called.
            self.caller
        } else {
            self.caller = Some(from.remote);
            Some(self.callee)
        };
        if let Some(to) = to {
            self.bytes.extend_from_slice(bytes);
            self.waiting.push_back((to, bytes.len()));
        }
    }

    fn handle_connection(&mut self, _now: Instant, _change: ConnectionChange) {}

    fn handle_message(&mut self, _now: Instant, _from: ShardId, (): ()) {}

    fn handle_request(&mut self, _now: Instant, (): ()) {}

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        let Some((remote, length)) = self.waiting.pop_front() else {
            self.bytes.clear();
            self.gone = 0;
            return None;
        };
        let end = self.gone + length;
        buffer.extend_from_slice(&self.bytes[self.gone..end]);
        self.gone = end;
        Some(Transmit {
            transport: Transport::Udp,
            local: None,
            remote,
            connection: None,
        })
    }

    fn poll_message(&mut self) -> Option<(ShardId, ())> {
        None
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_gets_what_the_other_says() {
        let now = offhook_shards::clock::Clock.now();
        let [caller, callee, local] =
            [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let source = |remote| Source {
            transport: Transport::Udp,
            local,
            remote,
            connection: None,
        };
        let mut relay = Relay::new(callee);
        relay.handle_datagram(now, source(callee), b"too early");
        relay.handle_datagram(now, source(caller), b"call");
        relay.handle_datagram(now, source(callee), b"answer");
        relay.handle_datagram(now, source(caller), b"thanks");
        let mut sent = Vec::new();
        let mut buffer = Vec::new();
        while let Some(transmit) = relay.poll_transmit(&mut buffer) {
            sent.push((transmit.remote, std::mem::take(&mut buffer)));
        }
        let expected = [(callee, "call"), (caller, "answer"), (callee, "thanks")];
        assert_eq!(
            sent,
            expected.map(|(to, text)| (to, text.as_bytes().to_vec()))
        );
        assert!(relay.bytes.is_empty());
    }
}
