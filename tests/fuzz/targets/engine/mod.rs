//! A live server in virtual time, and everybody around it: a PBX with phones, a carrier, strangers,
//! desktops, and the clock. The bytes say who does what, line by line; what must hold after every
//! line and at the end is in `wire` and `floor`.
//!
//! A line's first byte chooses the deed, by its value modulo 16, so that any byte chooses one; the
//! bytes behind it are the particulars. `messages` says how a message is changed from its template.

pub mod body;
mod deeds;
mod desks;
mod floor;
mod messages;
mod peers;
mod wire;

use floor::Floor;

/// Deeds of one run.
const DEEDS_MAX: usize = 48;

/// Lines: a deed each.
pub fn run(bytes: &[u8]) {
    let mut floor = Floor::new();
    for line in bytes.split(|byte| *byte == b'\n').take(DEEDS_MAX) {
        if let Some((deed, rest)) = line.split_first() {
            deeds::perform(&mut floor, *deed, rest);
            floor.check();
        }
    }
    floor.rest();
}
