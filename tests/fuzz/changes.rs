//! Changes of texts, drawn from a fixed beginning: the same in every run.

/// Bytes beyond which a text is not made longer.
const BYTES_MAX: usize = 16_384;

/// Draws one changed text after the other.
pub struct Changes<'a> {
    texts: &'a [Vec<u8>],
    words: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Changes<'a> {
    /// Changes of these texts, with these words among what is inserted.
    pub fn new(texts: &'a [Vec<u8>], words: &'a [Vec<u8>]) -> Self {
        Self {
            texts,
            words,
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The next text.
    pub fn next(&mut self) -> Vec<u8> {
        let mut bytes = self.text().to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }

    fn text(&mut self) -> &'a [u8] {
        let index = self.below(self.texts.len());
        &self.texts[index]
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = at + self.below((bytes.len() - at).min(64) + 1);
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] = self.draw() as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            4 => {
                let word = &self.words[self.below(self.words.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            5 => {
                let word = &self.words[self.below(self.words.len())];
                bytes.splice(at..end, word.iter().copied());
            }
            6 => {
                let other = self.text();
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => bytes.insert(at, b"\r\n\t \"<>;:,@%=&?[]{}()/\\\0\xff"[self.below(25)]),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit.max(1) as u64) as usize
    }

    /// Marsaglia's xorshift.
    fn draw(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}
