//! Arithmetic of directions (RFC 3264 §5.1, §6.1, §8.4): what is left when one side wants less.

use crate::sip::Direction;
use crate::sip::sdp::Media;

fn of(sends: bool, receives: bool) -> Direction {
    match (sends, receives) {
        (true, true) => Direction::SendReceive,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::ReceiveOnly,
        (false, false) => Direction::Inactive,
    }
}

/// What both allow.
pub(super) fn both(one: Direction, other: Direction) -> Direction {
    of(
        one.sends() && other.sends(),
        one.receives() && other.receives(),
    )
}

/// The same seen from the other side.
pub(super) fn reversed(direction: Direction) -> Direction {
    of(direction.receives(), direction.sends())
}

/// How the writer uses the medium; the old hold by the address 0.0.0.0 receives nothing.
pub(super) fn meant(media: &Media<'_>) -> Direction {
    of(media.direction.sends(), !media.is_held())
}

/// The attribute, without its line end.
pub(super) fn attribute(direction: Direction) -> &'static str {
    match direction {
        Direction::SendReceive => "a=sendrecv",
        Direction::SendOnly => "a=sendonly",
        Direction::ReceiveOnly => "a=recvonly",
        Direction::Inactive => "a=inactive",
    }
}

/// Whether a line is such an attribute.
pub(super) fn is_attribute(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    [
        Direction::SendReceive,
        Direction::SendOnly,
        Direction::ReceiveOnly,
        Direction::Inactive,
    ]
    .iter()
    .any(|direction| line == attribute(*direction).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::Direction::{Inactive, ReceiveOnly, SendOnly, SendReceive};
    use super::*;

    #[test]
    fn hold_takes_receiving_away() {
        for (before, held, answered) in [
            (SendReceive, SendOnly, ReceiveOnly),
            (SendOnly, SendOnly, ReceiveOnly),
            (ReceiveOnly, Inactive, Inactive),
            (Inactive, Inactive, Inactive),
        ] {
            assert_eq!(both(before, SendOnly), held);
            assert_eq!(reversed(held), answered);
        }
        assert_eq!(reversed(ReceiveOnly), SendOnly);
        assert!(is_attribute(b"a=sendonly\r\n") && !is_attribute(b"a=sendonlyx\r\n"));
    }
}
