//! What a leg keeps of the time before a 2xx, where there was early media or an offer was taken
//! back. Most legs have nothing of it.

use std::sync::Arc;

use crate::seldom::Seldom;

/// What the far end was told before our 2xx, if its INVITE had an offer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Early {
    #[default]
    Nothing,
    /// An answer in a provisional response. Where it was reliable, it stands.
    Answered(Arc<[u8]>),
    /// It was reliable, and the far end has made another offer since, of which nobody else knows.
    Changed,
    /// The 2xx has repeated it, although the partner who answered in the end is another one.
    Outdated,
}

/// What one leg keeps.
#[derive(Debug, Clone, Default)]
pub(super) struct BeforeAnswer(Seldom<Kept>);

#[derive(Debug, Clone, Default)]
struct Kept {
    early: Early,
    /// The offer of our INVITE, if it was taken back here: the far end may answer it yet.
    withdrawn: Option<Arc<[u8]>>,
}

impl BeforeAnswer {
    /// How the offer of the far end's INVITE stands.
    pub(super) fn early(&self) -> &Early {
        self.0.as_ref().map_or(&Early::Nothing, |kept| &kept.early)
    }

    pub(super) fn set_early(&mut self, early: Early) {
        self.0.or_default().early = early;
    }

    pub(super) fn take_early(&mut self) -> Early {
        self.take(|kept| std::mem::take(&mut kept.early))
    }

    /// The offer of our INVITE is taken back; `None` if it was no description.
    pub(super) fn withdraw(&mut self, offer: Option<Arc<[u8]>>) {
        match offer {
            Some(offer) => self.0.or_default().withdrawn = Some(offer),
            None => drop(self.take_withdrawn()),
        }
    }

    pub(super) fn take_withdrawn(&mut self) -> Option<Arc<[u8]>> {
        self.take(|kept| kept.withdrawn.take())
    }

    /// Nothing is kept once all is taken.
    fn take<T: Default>(&mut self, take: impl FnOnce(&mut Kept) -> T) -> T {
        let Some(kept) = self.0.as_mut() else {
            return T::default();
        };
        let taken = take(kept);
        if kept.early == Early::Nothing && kept.withdrawn.is_none() {
            self.0.clear();
        }
        taken
    }
}
