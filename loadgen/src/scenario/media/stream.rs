//! Raw audio, cut into packets of 20 milliseconds.

use std::time::Duration;

use super::{PACKETS_MAX, Track, packet};

const PACKET_TIME: Duration = Duration::from_millis(20);

/// Bytes and clock ticks of a packet (RFC 3551 §6); `None` for what cannot be cut by length.
fn sizes(payload_type: u8) -> Option<(usize, u32)> {
    match payload_type {
        // PCMU, PCMA and G.722, whose clock is that of the others although its rate is not.
        0 | 8 | 9 => Some((160, 160)),
        // G.729.
        18 => Some((20, 160)),
        _ => None,
    }
}

pub(super) fn track(bytes: &[u8], payload_type: u8, times: Option<u32>) -> Result<Track, String> {
    let Some((size, ticks)) = sizes(payload_type) else {
        return Err(format!(
            "payload type {payload_type} is not supported: 0 (PCMU), 8 (PCMA), 9 (G.722) and 18 \
             (G.729) are"
        ));
    };
    if bytes.is_empty() || bytes.len() / size > PACKETS_MAX {
        return Err("it is empty or too long".to_owned());
    }
    let mut packets = Vec::new();
    let (mut sequence, mut timestamp, mut at) = (0_u16, 0_u32, Duration::ZERO);
    for payload in bytes.chunks(size) {
        let mut bytes = Vec::with_capacity(12 + size);
        let marks = (payload_type, sequence == 0);
        packet::write(&mut bytes, marks, sequence, timestamp, payload);
        packets.push((at, bytes));
        sequence = sequence.wrapping_add(1);
        timestamp = timestamp.wrapping_add(ticks);
        at += PACKET_TIME;
    }
    Ok(Track {
        packets,
        length: at,
        times,
    })
}
