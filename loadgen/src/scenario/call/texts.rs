//! The texts that a call remembers, one behind the other in one buffer: five buffers would cost a
//! held call more than what stands in them.

/// One of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The Call-ID.
    CallId,
    /// The peer's tag.
    PeerTag,
    /// Whom requests go to.
    NextUrl,
    /// The route set.
    Routes,
    /// What is kept of the message received last.
    Received,
}

const PARTS: usize = 5;

/// The texts.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    ends: [u32; PARTS],
}

impl Texts {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends = [0; PARTS];
    }

    fn begin(&self, part: Part) -> usize {
        match part as usize {
            0 => 0,
            place => self.ends[place - 1] as usize,
        }
    }

    fn end(&self, part: Part) -> usize {
        self.ends[part as usize] as usize
    }

    pub(crate) fn text(&self, part: Part) -> &[u8] {
        &self.bytes[self.begin(part)..self.end(part)]
    }

    pub(crate) fn is_empty(&self, part: Part) -> bool {
        self.begin(part) == self.end(part)
    }

    pub(crate) fn set(&mut self, part: Part, text: &[u8]) {
        self.splice(part, self.begin(part), text);
    }

    pub(crate) fn append(&mut self, part: Part, text: &[u8]) {
        self.splice(part, self.end(part), text);
    }

    pub(crate) fn truncate(&mut self, part: Part, length: usize) {
        let from = self.begin(part) + length;
        if from < self.end(part) {
            self.splice(part, from, b"");
        }
    }

    /// Replaces a part from a place to its end.
    fn splice(&mut self, part: Part, from: usize, text: &[u8]) {
        let (end, whole) = (self.end(part), self.bytes.len());
        let after = from + text.len();
        if after > end {
            self.bytes.reserve_exact(after - end);
            self.bytes.resize(whole + after - end, 0);
        }
        self.bytes.copy_within(end..whole, after);
        self.bytes[from..after].copy_from_slice(text);
        self.bytes.truncate(whole - end + after);
        for place in part as usize..PARTS {
            let moved = self.ends[place] as usize - end + after;
            self.ends[place] = u32::try_from(moved).unwrap_or(u32::MAX);
        }
    }

    /// Replaces the message received last, which stands behind all others.
    pub(crate) fn set_received(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.begin(Part::Received);
        self.bytes.truncate(begin);
        write(&mut self.bytes);
        self.ends[PARTS - 1] = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_change_without_touching_each_other() {
        let mut texts = Texts::default();
        texts.set(Part::CallId, b"id");
        texts.set_received(|output| output.extend_from_slice(b"message"));
        texts.set(Part::PeerTag, b"a longer tag");
        texts.append(Part::Routes, b"one");
        texts.append(Part::Routes, b", two");
        texts.set(Part::NextUrl, b"sip:x");
        texts.set(Part::PeerTag, b"t");
        texts.truncate(Part::Routes, 6);
        let all = [
            (Part::CallId, &b"id"[..]),
            (Part::PeerTag, b"t"),
            (Part::NextUrl, b"sip:x"),
            (Part::Routes, b"one, t"),
            (Part::Received, b"message"),
        ];
        for (part, text) in all {
            assert_eq!(texts.text(part), text, "{part:?}");
        }
        texts.set_received(|output| output.extend_from_slice(b"m"));
        assert_eq!(
            (texts.text(Part::Received), texts.text(Part::Routes)),
            (&b"m"[..], &b"one, t"[..])
        );
        texts.clear();
        assert!(texts.is_empty(Part::CallId) && texts.is_empty(Part::Received));
    }
}
