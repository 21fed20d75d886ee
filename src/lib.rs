//! Offhook.

pub mod limits;
pub mod sip;
