//! Bytes to SIP and back: one message at a time, as views into the caller's bytes.
//!
//! [`Message`] indexes the header lines in one pass; typed accessors parse a header when somebody
//! asks for it. [`Message::receive`] goes on to a checked [`Request`] or [`Response`], whose
//! routing fields cannot fail any more, or to a [`Rejection`] that knows the answer it deserves.
//! [`Writer`] emits into the caller's buffer. Nothing here allocates but `pidf`, `digest` and
//! `Reply`, nothing keeps state between messages, and no byte from the network panics.
//! Transactions, dialogs and every decision about a message live above, in `transaction`.

pub mod checked;
mod class;
pub mod contact;
pub mod content;
pub mod cseq;
pub mod digest;
mod escape;
pub mod event;
pub mod expires;
pub mod feedback;
pub mod framing;
pub mod glance;
pub mod header;
pub mod identity;
mod lines;
pub mod malformed;
pub mod message;
pub mod method;
pub mod name_addr;
pub mod parameters;
pub mod pidf;
pub mod reason;
pub mod reliable;
pub mod replaces;
pub mod reply;
pub mod route;
mod scan;
pub mod sdp;
pub mod session_expires;
pub mod session_id;
pub mod start_line;
pub mod status;
pub mod tokens;
pub mod uri;
pub mod via;
pub mod writer;

pub use checked::{Checked, Rejection, Request, Response};
pub use contact::Contact;
pub use content::{ContentDisposition, ContentType};
pub use cseq::CSeq;
pub(crate) use escape::{escape, unescaped};
pub use event::{Event, SubscriptionState};
pub use feedback::Feedback;
pub use framing::{Frame, Framer, frame};
pub use glance::{DialogNames, Glance, Kind};
pub use header::{HeaderIndex, HeaderName};
pub use identity::{Diversion, RemoteParty};
pub use malformed::Malformed;
pub use message::Message;
pub use method::Method;
pub use name_addr::{Address, NameAddr};
pub use parameters::Parameters;
pub use pidf::{Basic, PidfError, Presence};
pub use reason::Reason;
pub use reliable::RAck;
pub use replaces::Replaces;
pub use reply::Reply;
pub(crate) use scan::text_or_replaced;
pub use sdp::{Direction, Gist, Media, Sdp, SdpError};
pub use session_expires::{Refresher, SessionExpires};
pub use session_id::SessionId;
pub use start_line::StartLine;
pub use status::Status;
pub use tokens::Tokens;
pub use uri::{Host, Scheme, Uri};
pub use via::{Transport, Via};
pub use writer::Writer;

#[cfg(test)]
mod tests;
