//! Plays SIPp's scenario files: reads them as people write them (`xml`, `load`), and says what in
//! them is not honoured. Everything here is our own; SIPp's behaviour is followed where a
//! scenario can see it.

pub mod builtin;
pub mod calendar;
pub(crate) mod call;
pub mod check;
pub(crate) mod digest;
pub(crate) mod distribution;
pub mod floor;
mod flows;
pub(crate) mod hash;
mod heads;
pub(crate) mod injection;
pub(crate) mod limits;
pub mod load;
pub(crate) mod media;
pub(crate) mod memory;
pub(crate) mod message;
pub mod model;
pub(crate) mod names;
pub mod note;
pub mod options;
pub(crate) mod pattern;
pub(crate) mod recent;
pub(crate) mod render;
pub mod run;
pub mod settings;
mod settle;
pub mod station;
pub mod statistics;
pub(crate) mod template;
pub(crate) mod text;
mod ticks;
pub mod twin;
pub(crate) mod value;
pub(crate) mod xml;
