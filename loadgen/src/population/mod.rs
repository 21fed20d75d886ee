//! Model phones, PBX and callers: sans-IO, in virtual time, from a seed.
//!
//! [`Pbx`] has the phones: it accepts the server's SUBSCRIBEs, notifies as UCM does and takes the
//! calls that the server gives to its agents. [`Callers`] dial the server's numbers through the
//! PBX's trunk. [`Population`] holds both and compares what its halves know. [`MediaServer`] plays
//! music and mixes conferences. Every one of them is a [`Node`](crate::node::Node), logs what
//! really happened ([`Record`]), behaves by habit from a seed, and can be commanded for directed
//! tests. They have a transaction layer of their own (`exchange`) and share nothing with the
//! server but the parser and the writer of messages.

mod agenda;
mod audio;
mod audit;
mod callers;
mod dialog;
mod exchange;
mod media;
mod media_server;
mod message;
mod pbx;
mod random;
mod session;
#[cfg(test)]
mod tests;
mod together;
mod token;
mod truth;

pub(crate) use agenda::Agenda;
pub use audio::{End, Hears, Party};
pub(crate) use callers::caller_number;
pub use callers::{Arrivals, CallPlan, CallerHabits, Callers, CallersOptions, LiveCall, Totals};
pub use exchange::{Timers, Wire};
pub use media_server::{MediaServer, SeatView};
pub use pbx::{
    Activity, Answering, Behaviour, Habits, Pbx, PbxKind, PbxOptions, PhoneControl, PhoneView,
    Presence, Rhythm, SubscribeRefusal,
};
pub use random::{Random, Span};
pub use session::{Change, Reception, Replaces};
pub use together::{Population, Routing};
pub use truth::{EndedBy, Fact, Fault, Outcome, Record, Token};
