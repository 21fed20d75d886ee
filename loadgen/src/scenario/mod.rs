//! Plays SIPp's scenario files: reads them as people write them (`xml`, `load`), and says what in
//! them is not honoured. Everything here is our own; SIPp's behaviour is followed where a
//! scenario can see it.

pub(crate) mod limits;
pub mod note;
pub(crate) mod pattern;
pub(crate) mod xml;
