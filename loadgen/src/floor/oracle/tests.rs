//! Wrong histories.
