//! CTI.
