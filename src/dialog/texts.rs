//! The texts of a dialog in one piece: a call has two dialogs for as long as it lasts, and six
//! small strings in each would be six allocations and six pointers with their lengths.

/// Which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    CallId,
    RemoteTag,
    Local,
    Remote,
    RemoteTarget,
    ContactUser,
}

const PLACES: usize = Place::ContactUser as usize + 1;

/// A text for each place, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Texts {
    all: Box<str>,
    ends: [u32; PLACES],
}

impl Texts {
    pub(super) fn new(texts: [&str; PLACES]) -> Self {
        let mut end = 0;
        let ends = texts.map(|text| {
            end += text.len();
            u32::try_from(end).expect("what some messages hold is shorter than 4 GB")
        });
        Self {
            all: texts.concat().into(),
            ends,
        }
    }

    pub(super) fn get(&self, place: Place) -> &str {
        let place = place as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start as usize..self.ends[place] as usize]
    }

    /// Puts other texts in some places.
    pub(super) fn replace<const N: usize>(&mut self, others: [(Place, &str); N]) {
        use Place::{CallId, ContactUser, Local, Remote, RemoteTag, RemoteTarget};
        let places = [CallId, RemoteTag, Local, Remote, RemoteTarget, ContactUser];
        let texts = places.map(|place| {
            let other = others.iter().find(|(other, _)| *other == place);
            other.map_or_else(|| self.get(place), |(_, text)| text)
        });
        *self = Self::new(texts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_in_its_place() {
        let mut texts = Texts::new(["a@b", "", "<sip:us>", "<sip:them>", "sip:them", "7000"]);
        assert_eq!(texts.get(Place::CallId), "a@b");
        assert_eq!(texts.get(Place::RemoteTag), "");
        texts.replace([(Place::RemoteTag, "tag"), (Place::RemoteTarget, "sip:x")]);
        let places = [Place::CallId, Place::RemoteTag, Place::Local];
        assert_eq!(
            places.map(|place| texts.get(place)),
            ["a@b", "tag", "<sip:us>"]
        );
        let places = [Place::Remote, Place::RemoteTarget, Place::ContactUser];
        assert_eq!(
            places.map(|place| texts.get(place)),
            ["<sip:them>", "sip:x", "7000"]
        );
    }
}
