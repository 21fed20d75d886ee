//! Offer and answer (RFC 3264, RFC 6337) for every flow of a call. [`LegSession`] is what one leg
//! and we have told each other; a [`Negotiation`] is an exchange that runs over one leg or two.
//! Both are values without any SIP message: leg events and time in, leg commands and an outcome
//! out. Media pass us by, so that a description is a party's own, put under the `o=` line and into
//! the order of media that the other party knows.

mod apart;
mod before;
mod compose;
mod description;
mod direction;
mod leg;
mod negotiation;
mod news;
mod ours;
mod outcome;
mod pair;
mod reinvite;
mod single;
mod slots;
mod turn;
mod unwinding;

#[cfg(test)]
mod tests;

pub use leg::{Behind, LegSession};
pub use negotiation::{Negotiation, Sink, Source};
pub use ours::Hold;
pub use outcome::{Failure, Outcome, Timer, Why};

/// Where the call keeps the sessions of its legs.
pub trait Sessions<S> {
    /// The session of a leg. It is asked for legs of a running negotiation that have not ended.
    fn session(&mut self, leg: S) -> &mut LegSession;
}
