//! Messages that wait to be sent, in room that is used again and again, so that a warm shard sends
//! without allocating.

use std::collections::VecDeque;

use offhook_shards::Transmit;

use crate::limits::OUTBOX_BYTES_MAX;

/// Messages in the order of sending; their bytes stand in one ring.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: VecDeque<u8>,
    waiting: VecDeque<(Transmit, usize)>,
    /// What gives way to others.
    held_bytes: Vec<u8>,
    held: Vec<(Transmit, usize)>,
    dropped: u64,
}

impl Outbox {
    /// Adds a message. Beyond the limit it is lost, as a network would lose it: what must arrive
    /// is sent again by its timer.
    pub(super) fn push(&mut self, transmit: Transmit, bytes: &[u8]) {
        if self.len() + bytes.len() > OUTBOX_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        self.bytes.extend(bytes);
        self.waiting.push_back((transmit, bytes.len()));
    }

    /// Adds a message behind all that are pushed until [`release`](Self::release).
    pub(super) fn hold(&mut self, transmit: Transmit, bytes: &[u8]) {
        if self.len() + bytes.len() > OUTBOX_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        self.held_bytes.extend_from_slice(bytes);
        self.held.push((transmit, bytes.len()));
    }

    /// Gives those that were held their places: what comes now goes behind them.
    pub(super) fn release(&mut self) {
        if !self.held.is_empty() {
            self.bytes.extend(self.held_bytes.drain(..));
            self.waiting.extend(self.held.drain(..));
        }
    }

    /// Appends the oldest message to `buffer`.
    pub(super) fn pop(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        self.release();
        let (transmit, length) = self.waiting.pop_front()?;
        let (front, back) = self.bytes.as_slices();
        let from_front = length.min(front.len());
        buffer.extend_from_slice(&front[..from_front]);
        buffer.extend_from_slice(&back[..length - from_front]);
        self.bytes.drain(..length);
        Some(transmit)
    }

    /// Bytes of the messages that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.held_bytes.len()
    }

    /// How many messages wait.
    pub(super) fn count(&self) -> usize {
        self.waiting.len() + self.held.len()
    }

    /// How many messages were lost at the limit since this was asked last.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use offhook_shards::Transport;

    use super::*;

    fn to(port: u16) -> Transmit {
        Transmit {
            transport: Transport::Udp,
            local: None,
            remote: SocketAddr::from(([127, 0, 0, 1], port)),
            connection: None,
        }
    }

    #[test]
    fn messages_come_out_whole_and_in_order_however_the_ring_turns() {
        let mut outbox = Outbox::default();
        let mut expected = VecDeque::new();
        let mut buffer = Vec::new();
        for round in 0..500u16 {
            for extra in 0..3 {
                let bytes = vec![round as u8; usize::from(round % 37 + extra)];
                outbox.push(to(round), &bytes);
                expected.push_back((to(round), bytes));
            }
            for _ in 0..2 {
                buffer.clear();
                let transmit = outbox.pop(&mut buffer).unwrap();
                assert_eq!((transmit, buffer.clone()), expected.pop_front().unwrap());
            }
        }
        while let Some((transmit, bytes)) = expected.pop_front() {
            buffer.clear();
            assert_eq!(outbox.pop(&mut buffer), Some(transmit));
            assert_eq!(buffer, bytes);
        }
        assert_eq!(outbox.pop(&mut buffer), None);
    }

    #[test]
    fn what_is_held_goes_last_until_it_is_released() {
        for (is_released, expected) in [(false, "ABH"), (true, "AHB")] {
            let mut outbox = Outbox::default();
            outbox.hold(to(1), b"H");
            outbox.push(to(2), b"A");
            if is_released {
                outbox.release();
            }
            outbox.push(to(3), b"B");
            assert_eq!((outbox.len(), outbox.count()), (3, 3));
            let mut buffer = Vec::new();
            while outbox.pop(&mut buffer).is_some() {}
            assert_eq!(String::from_utf8(buffer).unwrap(), expected);
        }
    }

    #[test]
    fn a_message_beyond_the_limit_is_lost_and_counted() {
        let mut outbox = Outbox::default();
        let half = vec![b'x'; OUTBOX_BYTES_MAX / 2];
        outbox.push(to(1), &half);
        outbox.hold(to(1), &half);
        outbox.push(to(1), &half);
        assert_eq!(outbox.take_dropped(), 1);
        outbox.hold(to(1), &half);
        assert_eq!(outbox.take_dropped(), 1);
        assert_eq!(outbox.take_dropped(), 0);
        let mut buffer = Vec::new();
        assert!(outbox.pop(&mut buffer).is_some() && outbox.pop(&mut buffer).is_some());
        assert_eq!(outbox.pop(&mut buffer), None);
    }
}
