//! Session descriptions: the reading holds together, whatever ends the lines, and whatever is
//! offered can be declined.

use offhook::limits::SDP_MEDIA_MAX;
use offhook::sip::sdp::decline;
use offhook::sip::{Media, Sdp};

/// One body.
pub fn run(bytes: &[u8]) {
    let parsed = Sdp::parse(bytes);
    let declined = decline(bytes);
    assert_eq!(
        parsed.map(|_| ()),
        declined.as_ref().map(|_| ()).map_err(|error| *error)
    );
    let (Ok(sdp), Ok(declined)) = (parsed, declined) else {
        return;
    };
    let media: Vec<_> = sdp.media().collect();
    assert_eq!(media.len(), sdp.media_count);
    assert!(media.len() <= SDP_MEDIA_MAX);
    let live = media.iter().filter(|medium| medium.port != 0);
    let gist = sdp.gist();
    assert_eq!(usize::from(gist.media_count), media.len());
    let is_held = live.clone().count() > 0 && live.clone().all(Media::is_held);
    assert_eq!(gist.is_held, is_held);
    let is_silent = !live.clone().any(|medium| medium.direction.sends());
    assert_eq!(gist.is_silent, is_silent);
    same_with_other_line_ends(bytes, &sdp);
    let answer = Sdp::parse(&declined);
    let answer = answer.unwrap_or_else(|error| panic!("an answer of ours is broken: {error:?}"));
    assert_eq!(answer.media_count, sdp.media_count);
    for (refused, offered) in answer.media().zip(media) {
        assert_eq!(refused.port, 0);
        let wanted = (offered.kind, offered.protocol, offered.formats);
        assert_eq!((refused.kind, refused.protocol, refused.formats), wanted);
    }
}

/// RFC 8866 §5: lines end in CRLF, and a reader should take a bare LF as well.
fn same_with_other_line_ends(bytes: &[u8], sdp: &Sdp<'_>) {
    let mut other = Vec::with_capacity(bytes.len() + 64);
    for line in bytes.split(|byte| *byte == b'\n') {
        other.extend_from_slice(line);
        if !line.ends_with(b"\r") {
            other.push(b'\r');
        }
        other.extend_from_slice(b"\n\r\n");
    }
    let again = Sdp::parse(&other).expect("line ends decide nothing");
    assert_eq!(
        (again.origin, again.address, again.direction),
        (sdp.origin, sdp.address, sdp.direction)
    );
    assert!(again.media().eq(sdp.media()));
}
