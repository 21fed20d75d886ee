//! What clippy cannot check: the shape of the tree. A file or function that outgrows its limit
//! fails here, and so do words that say nothing, packages that reach where they must not, and pages
//! that promise what no test holds.

mod borders;
mod pages;
mod shape;
mod tree;
