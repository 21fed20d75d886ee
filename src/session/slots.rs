//! Which line of one party's description stands in which place of another's. The order of `m=`
//! lines never changes within a dialog and their number never falls (RFC 3264 §8), so that a new
//! partner's lines are put where lines of their kind already are.

use crate::limits::SDP_MEDIA_MAX;
use crate::sip::sdp::Media;

use super::description::Description;

/// No line stands there: the medium is refused.
const NONE: u8 = u8::MAX;

const _: () = assert!(SDP_MEDIA_MAX < NONE as usize);

/// For each `m=` line of a list, the line of a description that stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slots {
    lines: [u8; SDP_MEDIA_MAX],
    len: u8,
}

/// How well a line must fit a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    KindAndProtocol,
    Kind,
    /// RFC 3264 §8.3.3: the kind of a medium may change.
    Any,
}

impl Slots {
    /// Each line where it is.
    pub(super) fn identity(count: usize) -> Self {
        let mut slots = Self::empty(count);
        for (line, slot) in (0..).zip(slots.used()) {
            *slot = line;
        }
        slots
    }

    fn empty(count: usize) -> Self {
        let count = count.min(SDP_MEDIA_MAX);
        Self {
            lines: [NONE; SDP_MEDIA_MAX],
            len: u8::try_from(count).unwrap_or(NONE),
        }
    }

    fn used(&mut self) -> &mut [u8] {
        &mut self.lines[..usize::from(self.len)]
    }

    /// Puts the lines of an offer into the list that a dialog has: each at a line of its kind,
    /// what is left at an unused line, and only then at the end. What then finds no room is left
    /// out.
    pub(super) fn offer(list: &Description<'_>, offer: &Description<'_>) -> Self {
        let mut slots = Self::empty(list.media_count());
        for fit in [Fit::KindAndProtocol, Fit::Kind, Fit::Any] {
            slots.fill(list, offer, fit);
        }
        for line in (0..).take(offer.media_count()) {
            let room = usize::from(slots.len) < SDP_MEDIA_MAX;
            if room && !slots.has(line) {
                slots.lines[usize::from(slots.len)] = line;
                slots.len += 1;
            }
        }
        slots
    }

    /// Puts the lines of one description where another party's offer asks for them.
    pub(super) fn answer(offer: &Description<'_>, answer: &Description<'_>) -> Self {
        let mut slots = Self::empty(offer.media_count());
        slots.fill(offer, answer, Fit::KindAndProtocol);
        slots
    }

    fn fill(&mut self, list: &Description<'_>, source: &Description<'_>, fit: Fit) {
        if self.is_full() {
            return;
        }
        // A line stays where it is if it can; only then are others looked at.
        for (place, (listed, media)) in (0..self.len).zip(list.media().zip(source.media())) {
            if self.is_free(place) && !self.has(place) && fits(&listed, &media, fit) {
                self.lines[usize::from(place)] = place;
            }
        }
        if self.is_full() {
            return;
        }
        for (place, listed) in (0..self.len).zip(list.media()) {
            // A disabled line may be used again for anything (RFC 3264 §8.1).
            let takes = fit != Fit::Any || listed.port == 0;
            if !takes || !self.is_free(place) {
                continue;
            }
            let found = (0..).zip(source.media()).find(|(line, media)| {
                *line != place && !self.has(*line) && fits(&listed, media, fit)
            });
            if let Some((line, _)) = found {
                self.lines[usize::from(place)] = line;
            }
        }
    }

    fn is_full(&self) -> bool {
        !self.has(NONE)
    }

    fn is_free(&self, place: u8) -> bool {
        self.lines[usize::from(place)] == NONE
    }

    fn has(&self, line: u8) -> bool {
        self.lines[..usize::from(self.len)].contains(&line)
    }

    /// The line of the description at each place of the list.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.lines[..usize::from(self.len)]
            .iter()
            .map(|&line| (line != NONE).then_some(usize::from(line)))
    }

    /// The same the other way round, for a description of `count` lines: where its lines stand in
    /// the list.
    pub(super) fn reversed(&self, count: usize) -> Self {
        let mut reversed = Self::empty(count);
        for (place, line) in (0..).zip(self.iter()) {
            let slot = line.and_then(|line| reversed.used().get_mut(line));
            if let Some(slot) = slot {
                *slot = place;
            }
        }
        reversed
    }

    /// Whether a description of `count` lines passes as it is.
    pub(super) fn is_identity(&self, count: usize) -> bool {
        *self == Self::identity(count) && count <= SDP_MEDIA_MAX
    }
}

fn fits(listed: &Media<'_>, media: &Media<'_>, fit: Fit) -> bool {
    match fit {
        Fit::KindAndProtocol => listed.kind == media.kind && listed.protocol == media.protocol,
        Fit::Kind => listed.kind == media.kind,
        Fit::Any => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[&str]) -> String {
        let mut text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n".to_owned();
        for line in lines {
            text.push_str(&format!("m={line} 0\r\n"));
        }
        text
    }

    fn offer(list: &[&str], offered: &[&str]) -> Vec<Option<usize>> {
        let (list, offered) = (text(list), text(offered));
        let list = Description::parse(list.as_bytes()).expect("legal");
        let offered = Description::parse(offered.as_bytes()).expect("legal");
        Slots::offer(&list, &offered).iter().collect()
    }

    const AUDIO: &str = "audio 4000 RTP/AVP";
    const SECURE: &str = "audio 4000 RTP/SAVP";
    const VIDEO: &str = "video 4002 RTP/AVP";
    const NO_VIDEO: &str = "video 0 RTP/AVP";
    const FAX: &str = "image 4004 udptl";

    #[test]
    fn lines_keep_their_places() {
        let some = Some;
        for (list, offered, expected) in [
            (vec![AUDIO], vec![AUDIO], vec![some(0)]),
            (vec![AUDIO, VIDEO], vec![AUDIO], vec![some(0), None]),
            (
                vec![AUDIO, VIDEO],
                vec![VIDEO, AUDIO],
                vec![some(1), some(0)],
            ),
            (vec![AUDIO], vec![VIDEO, AUDIO], vec![some(1), some(0)]),
            (vec![AUDIO], vec![SECURE, AUDIO], vec![some(1), some(0)]),
            (vec![AUDIO, AUDIO], vec![AUDIO], vec![some(0), None]),
            // A fax machine changes the line's kind.
            (vec![AUDIO], vec![FAX], vec![some(0)]),
            // The video line stays refused where a fax can have the free one.
            (
                vec![AUDIO, NO_VIDEO],
                vec![FAX, AUDIO],
                vec![some(1), some(0)],
            ),
            (
                vec![AUDIO, VIDEO],
                vec![FAX, AUDIO],
                vec![some(1), None, some(0)],
            ),
            (vec![VIDEO], vec![], vec![None]),
        ] {
            assert_eq!(offer(&list, &offered), expected, "{list:?} {offered:?}");
        }
    }

    #[test]
    fn an_answer_goes_back_the_way_the_offer_came() {
        let list = text(&[AUDIO, VIDEO]);
        let offered = text(&[VIDEO, FAX, AUDIO]);
        let list = Description::parse(list.as_bytes()).expect("legal");
        let offered = Description::parse(offered.as_bytes()).expect("legal");
        let slots = Slots::offer(&list, &offered);
        assert_eq!(
            slots.iter().collect::<Vec<_>>(),
            [Some(2), Some(0), Some(1)]
        );
        let back = slots.reversed(3);
        assert_eq!(back.iter().collect::<Vec<_>>(), [Some(1), Some(2), Some(0)]);
        assert!(!back.is_identity(3));
        assert!(Slots::identity(3).is_identity(3));
        assert!(!Slots::identity(3).is_identity(2));
    }

    #[test]
    fn a_full_list_takes_no_more() {
        let full = vec![AUDIO; SDP_MEDIA_MAX];
        let mut offered = vec![VIDEO];
        offered.extend(vec![AUDIO; SDP_MEDIA_MAX - 1]);
        let slots = offer(&full, &offered);
        assert_eq!(slots.len(), SDP_MEDIA_MAX);
    }
}
