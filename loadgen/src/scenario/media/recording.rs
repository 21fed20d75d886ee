//! Recordings in pcap's format: the UDP datagrams in them, whatever was around them, at the times
//! at which they were recorded.

use std::time::Duration;

use super::{PACKETS_MAX, Track};

/// A reader of numbers in the byte order of the file.
struct Reader<'a> {
    bytes: &'a [u8],
    is_swapped: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(if self.is_swapped {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }
}

pub(super) fn track(bytes: &[u8]) -> Result<Track, String> {
    const HEADER_BYTES: usize = 24;
    let (is_swapped, nanos_each) = match bytes.get(..4) {
        Some([0xd4, 0xc3, 0xb2, 0xa1]) => (false, 1_000),
        Some([0xa1, 0xb2, 0xc3, 0xd4]) => (true, 1_000),
        Some([0x4d, 0x3c, 0xb2, 0xa1]) => (false, 1),
        Some([0xa1, 0xb2, 0x3c, 0x4d]) => (true, 1),
        Some(_) | None => return Err("it is no recording in pcap's format".to_owned()),
    };
    let mut reader = Reader { bytes, is_swapped };
    let short = || "it is cut off".to_owned();
    reader.take(HEADER_BYTES).ok_or_else(short)?;
    let mut link = Reader {
        bytes: bytes.get(20..24).ok_or_else(short)?,
        is_swapped,
    };
    let link = link.number().ok_or_else(short)? & 0x0fff_ffff;
    let mut packets: Vec<(Duration, Vec<u8>)> = Vec::new();
    let mut first = None;
    while !reader.bytes.is_empty() && packets.len() < PACKETS_MAX {
        let mut next = || reader.number().ok_or_else(short);
        let (seconds, part, length, _) = (next()?, next()?, next()?, next()?);
        let frame = reader.take(length as usize).ok_or_else(short)?;
        let at = Duration::from_secs(seconds.into())
            + Duration::from_nanos(u64::from(part) * nanos_each);
        let Some(payload) = payload(frame, link) else {
            continue;
        };
        let begin = *first.get_or_insert(at);
        let since = at.saturating_sub(begin);
        // Recordings of several cards are not always in order.
        let since = packets.last().map_or(since, |(last, _)| since.max(*last));
        packets.push((since, payload.to_vec()));
    }
    let Some((length, _)) = packets.last() else {
        return Err("it holds no UDP datagram".to_owned());
    };
    Ok(Track {
        length: *length,
        packets,
        times: Some(1),
    })
}

/// What is in the UDP datagram of a frame.
fn payload(frame: &[u8], link: u32) -> Option<&[u8]> {
    const VLAN: [u8; 2] = [0x81, 0x00];
    let packet = match link {
        // Nothing, or the address family before the packet.
        12 | 14 | 101 => frame,
        0 => frame.get(4..)?,
        1 if frame.get(12..14)? == VLAN => frame.get(18..)?,
        1 => frame.get(14..)?,
        // What Linux records on all cards at once.
        113 => frame.get(16..)?,
        276 => frame.get(20..)?,
        _ => return None,
    };
    const UDP: u8 = 17;
    let datagram = match packet.first()? >> 4 {
        4 if *packet.get(9)? == UDP => packet.get(usize::from(packet.first()? & 0x0f) * 4..)?,
        6 if *packet.get(6)? == UDP => packet.get(40..)?,
        _ => return None,
    };
    let length = usize::from(u16::from_be_bytes([*datagram.get(4)?, *datagram.get(5)?]));
    datagram.get(8..length.clamp(8, datagram.len()))
}
