//! Short texts that are kept for as long as each other: one allocation holds them all, and four
//! bytes each say where they end.

/// As many texts, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Texts<const COUNT: usize> {
    all: Box<str>,
    ends: [u32; COUNT],
}

impl<const COUNT: usize> Texts<COUNT> {
    pub(crate) fn new(texts: [&str; COUNT]) -> Self {
        Self::of_parts(texts.map(|text| [text]))
    }

    /// Each out of some parts.
    pub(crate) fn of_parts<const PARTS: usize>(texts: [[&str; PARTS]; COUNT]) -> Self {
        let mut end = 0;
        let ends = texts.map(|parts| {
            end += parts.map(str::len).iter().sum::<usize>();
            u32::try_from(end).expect("what some messages hold is shorter than 4 GB")
        });
        let mut all = String::with_capacity(end);
        all.extend(texts.into_iter().flatten());
        Self {
            all: all.into(),
            ends,
        }
    }

    /// The text at a place.
    pub(crate) fn get(&self, place: impl Into<usize>) -> &str {
        let place = place.into();
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start as usize..self.ends[place] as usize]
    }

    /// Puts other texts in some places.
    pub(crate) fn replace<const N: usize>(&mut self, others: [(impl Into<usize>, &str); N]) {
        let others = others.map(|(place, text)| (place.into(), text));
        *self = Self::new(std::array::from_fn(|place| {
            let other = others.iter().find(|(other, _)| *other == place);
            other.map_or_else(|| self.get(place), |(_, text)| text)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<const COUNT: usize>(texts: &Texts<COUNT>) -> Vec<&str> {
        (0..COUNT).map(|place| texts.get(place)).collect()
    }

    #[test]
    fn each_text_comes_back_from_its_place() {
        let mut texts = Texts::new(["sip:20000@pbx", "", "tag", "é"]);
        assert_eq!(all(&texts), ["sip:20000@pbx", "", "tag", "é"]);
        texts.replace([(1_usize, "7000"), (3, "")]);
        assert_eq!(all(&texts), ["sip:20000@pbx", "7000", "tag", ""]);
    }
}
