//! What the fuzzer runs: functions of bytes, each of which panics when a promise is broken. The
//! crate `fuzz/` gives them to libFuzzer, `tests/fuzz` replays what that has found.

pub mod agents;
pub mod configuration;
pub mod cti;
pub mod digest;
pub mod engine;
pub mod message;
pub mod name_addr;
pub mod pidf;
pub mod scenario;
#[path = "../../cti/schema.rs"]
mod schema;
pub mod sdp;
mod start;
pub mod stream;
pub mod uri;
pub mod via;

pub use engine::body;

/// A target: it takes any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its corpus as well.
pub const ALL: [(&str, Target); 14] = [
    ("agents", agents::run),
    ("body", body::run),
    ("configuration", configuration::run),
    ("cti", cti::run),
    ("digest", digest::run),
    ("engine", engine::run),
    ("message", message::run),
    ("name_addr", name_addr::run),
    ("pidf", pidf::run),
    ("scenario", scenario::run),
    ("sdp", sdp::run),
    ("stream", stream::run),
    ("uri", uri::run),
    ("via", via::run),
];
