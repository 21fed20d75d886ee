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
    dropped: u64,
}

impl Outbox {
    /// Adds a message. Beyond the limit it is lost, as a network would lose it: what must arrive
    /// is sent again by its timer.
    pub(super) fn push(&mut self, transmit: Transmit, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > OUTBOX_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        self.bytes.extend(bytes);
        self.waiting.push_back((transmit, bytes.len()));
    }

    /// Appends the oldest message to `buffer`.
    pub(super) fn pop(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
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
        self.bytes.len()
    }

    /// How many messages wait.
    pub(super) fn count(&self) -> usize {
        self.waiting.len()
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
    fn a_message_beyond_the_limit_is_lost_and_counted() {
        let mut outbox = Outbox::default();
        let half = vec![b'x'; OUTBOX_BYTES_MAX / 2];
        for _ in 0..3 {
            outbox.push(to(1), &half);
        }
        assert_eq!(outbox.take_dropped(), 1);
        assert_eq!(outbox.take_dropped(), 0);
        let mut buffer = Vec::new();
        assert!(outbox.pop(&mut buffer).is_some() && outbox.pop(&mut buffer).is_some());
        assert_eq!(outbox.pop(&mut buffer), None);
    }
}
