//! Agents: the state table, the decisions behind it, calls at the DN, several of them, pauses,
//! each request in each state of the calls, and the properties that hold whatever happens. One file
//! each; `desk` is where they all sit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "a test begins now")]

mod breaks;
mod calls;
mod claims;
mod decisions;
mod desk;
mod made;
mod pauses;
mod properties;
mod requests;
mod several;
mod table;
mod unanswered;
