//! One shard's worth of everything: the user agent below, calls, agents, queues and trunks above.

pub mod message;

pub use message::Message;
