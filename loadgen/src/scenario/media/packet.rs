//! The header of RTP (RFC 3550 §5.1).

/// Appends a packet.
pub(super) fn write(
    output: &mut Vec<u8>,
    (payload_type, is_marked): (u8, bool),
    sequence: u16,
    timestamp: u32,
    payload: &[u8],
) {
    /// The source of all our streams: nobody mixes them.
    const SOURCE: u32 = 0x0ff0_0c01;
    output.push(0x80);
    output.push(payload_type & 0x7f | if is_marked { 0x80 } else { 0 });
    output.extend_from_slice(&sequence.to_be_bytes());
    output.extend_from_slice(&timestamp.to_be_bytes());
    output.extend_from_slice(&SOURCE.to_be_bytes());
    output.extend_from_slice(payload);
}
