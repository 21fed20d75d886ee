//! The ACK to a failure: RFC 3261 §17.1.1.3. The ACK to a 2xx is another matter, the dialog's.

use crate::sip::{HeaderIndex, HeaderName, Message, Method, Response, StartLine, Writer};

/// Writes the ACK that an INVITE of ours owes to a failure. An INVITE that we could not read
/// ourselves gets none: then nothing is written, and the peer gives up at its timer H.
pub(super) fn write(
    invite: &[u8],
    failure: &Response<'_>,
    headers: &mut HeaderIndex,
    buffer: &mut Vec<u8>,
) {
    let Ok(invite) = Message::parse(invite, headers) else {
        return;
    };
    let (StartLine::Request { uri, .. }, Ok(cseq)) = (invite.start_line(), invite.cseq()) else {
        return;
    };
    let to = failure.message.header(HeaderName::To).unwrap_or_default();
    // The top Via alone: the ACK goes to the next hop and no further than it sends it.
    let via = invite.elements(HeaderName::Via).next().unwrap_or_default();
    let mut writer = Writer::request(buffer, Method::Ack, uri);
    writer.bytes(HeaderName::Via, via);
    writer.copy(&invite, HeaderName::Route);
    writer.copy(&invite, HeaderName::MaxForwards);
    writer.copy(&invite, HeaderName::From);
    writer.bytes(HeaderName::To, to);
    writer.copy(&invite, HeaderName::CallId);
    writer.header(HeaderName::CSeq, format_args!("{} ACK", cseq.number));
    writer.end();
}
