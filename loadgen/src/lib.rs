//! Plays PBX, phones and callers against Offhook, and measures from outside.
//!
//! [`load`] makes plans of arrivals, [`measure`] keeps latencies and judges the generator,
//! [`report`] is what is left of a run, [`screen`] what it looks like meanwhile: all runs share
//! them. [`population`] holds the parties, pure and in virtual time; the simulator of the server's
//! tests plays them as well. [`demo`] puts them on real sockets in front of a real server.
//! [`scenario`] plays SIPp's scenario files; [`peers`] has calls played through the server and
//! through its yardsticks, each of them a [`process`]. Nothing here knows how the server works
//! inside: it hears SIP, CTI events, and its own clock.

pub mod cli;
pub mod demo;
pub mod files;
pub mod floor;
pub mod load;
pub mod measure;
pub mod node;
pub mod peers;
pub mod population;
pub mod process;
pub mod reach;
pub mod report;
pub mod scenario;
pub mod screen;
