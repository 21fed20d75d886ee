//! What is left of a run: one value with everything that was found out, and the forms in which
//! people and programs read it. `outcome` is the value and its JSON, `junit` what build servers
//! read, `html` one page without anything from elsewhere, `compare` two runs side by side, and
//! `ladder` the messages of a call that failed. Nothing here measures or decides.

mod cause;
mod chart;
mod compare;
mod environment;
mod html;
mod junit;
mod ladder;
mod outcome;
mod page;

pub use cause::{Cause, Detail};
pub use compare::{compare, compare_page, summary};
pub use environment::Environment;
pub use html::page;
pub use junit::junit;
pub use ladder::{Ladder, Row};
pub use outcome::{
    BadOutcome, Distribution, HealthNote, LatencyNote, LoadNote, Objective, Outcome, Point, Probe,
    Search, StepNote, Verdict, WorkerNote,
};
