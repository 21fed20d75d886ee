//! Digits as telephone events (RFC 4733): each is said by packets that repeat its beginning, and
//! ended by three that are the same.

use std::time::Duration;

use super::{Track, packet};

/// Payload type 96, the first of those that descriptions give a meaning (RFC 3551 §3).
const PAYLOAD_TYPE: u8 = 96;
const PACKET_TIME: Duration = Duration::from_millis(20);
const TICKS: u16 = 160;
/// Packets of one digit before its end.
const PACKETS: u16 = 8;
/// Between two digits, in packets.
const GAP: u32 = 5;
const ENDS: u32 = 3;
const VOLUME: u8 = 10;

pub(super) fn track(text: &str) -> Result<Track, String> {
    let mut packets = Vec::new();
    let (mut sequence, mut timestamp, mut at) = (0_u16, 0_u32, Duration::ZERO);
    for digit in text.chars().filter(|letter| !letter.is_whitespace()) {
        let event = match digit {
            '0'..='9' => digit as u8 - b'0',
            '*' => 10,
            '#' => 11,
            'A'..='D' => digit as u8 - b'A' + 12,
            'a'..='d' => digit as u8 - b'a' + 12,
            _ => return Err(format!("`{digit}` is no digit; write 0-9, *, # and A-D")),
        };
        for number in 1..=PACKETS + ENDS as u16 {
            let is_end = number > PACKETS;
            let duration = number.min(PACKETS) * TICKS;
            let [high, low] = duration.to_be_bytes();
            let flags = if is_end { 0x80 | VOLUME } else { VOLUME };
            let mut bytes = Vec::with_capacity(16);
            let marks = (PAYLOAD_TYPE, number == 1);
            packet::write(
                &mut bytes,
                marks,
                sequence,
                timestamp,
                &[event, flags, high, low],
            );
            packets.push((at, bytes));
            sequence = sequence.wrapping_add(1);
            at += PACKET_TIME;
        }
        let ticks = u32::from(TICKS) * (u32::from(PACKETS) + ENDS + GAP);
        timestamp = timestamp.wrapping_add(ticks);
        at += PACKET_TIME * GAP;
    }
    if packets.is_empty() {
        return Err("it has no digit".to_owned());
    }
    Ok(Track {
        packets,
        length: at,
        times: Some(1),
    })
}
