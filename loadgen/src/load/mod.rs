//! When things arrive. A plan is made before the run and depends on nothing but itself and its
//! seed: a slow peer neither moves nor thins it, and several workers share one plan without
//! talking to each other. What is to arrive is the caller's business: calls, agents, faults.
//!
//! `shape` says how the rate changes, `arrivals` draws the moments, `plan` reads both from text.
//! `search` looks for the highest rate that something can carry.

mod arrivals;
mod plan;
mod search;
mod shape;

pub use arrivals::{Arrival, Arrivals, Spacing};
pub use plan::{Moments, Plan, time};
pub use search::{Limits, Phase, Search};
pub use shape::{Segment, Shape};
