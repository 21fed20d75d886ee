//! One leg's side of offer and answer (RFC 3264): what we last said and last heard, the offer that
//! is outstanding, and every description that goes to the leg.

use std::sync::Arc;

use bytes::Bytes;

use crate::dialog::Body;
use crate::journal::field::fields;
use crate::sip::sdp::{self, Gist};

use super::before::{BeforeAnswer, Early};
use super::compose;
use super::description::{
    Description, Told, body, carry, in_use, is_alike, is_same_session, same_media, same_places,
    sdp_type,
};
use super::direction::both;
use super::ours::{Hold, OwnOrigin, direction_of};
use super::slots::Slots;

/// A version above this is not taken over from a partner: there must be room to rise.
const VERSION_ADOPTED_MAX: u64 = u64::MAX / 2;

/// What one leg and we have told each other. The first partner's `o=` line becomes ours towards
/// the leg, and so do, as long as nothing has to be changed, whole descriptions without a copy.
/// A body that is no `application/sdp` passes unread and leaves no trace here.
#[derive(Debug, Clone)]
pub struct LegSession {
    /// A number of this leg: the session of an `o=` line that we must write ourselves, and the
    /// seed of what is random.
    id: u64,
    /// Whether we made the Call-ID (RFC 3261 §14.1).
    owns_call_id: bool,
    /// Whether the far end has put us on hold.
    far_end_holds: bool,
    /// Of the last description that we wrote.
    version: u64,
    said: Option<Arc<[u8]>>,
    heard: Option<Arc<[u8]>>,
    exchange: Exchange,
    before: BeforeAnswer,
}

const _: () = assert!(size_of::<LegSession>() <= 88, "a held call has two of them");

/// Who has yet to hear from whom when a call whose media began before its 2xx is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// The partner, what the far end has said since.
    Partner,
    /// The far end, what the partner has said.
    FarEnd,
}

/// The offer that has no answer yet, and what it says in short; in a body that is no description,
/// `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Exchange {
    #[default]
    Settled,
    /// We made it. Put together anew, it may have become longer than a description may be: then
    /// nobody knows what it says.
    Said(Option<Arc<[u8]>>, Option<Gist>),
    /// The far end made it.
    Heard(Option<Arc<[u8]>>, Option<Gist>),
}

// An offer that was outstanding in a crash has no answer.
fields!(LegSession {
    id,
    owns_call_id,
    far_end_holds,
    version,
    said,
    heard,
} forgets { exchange, before });

impl LegSession {
    /// A leg whose INVITE came from outside. `id` is a number that no other leg has.
    #[must_use]
    pub fn inbound(id: u64) -> Self {
        Self {
            id,
            owns_call_id: false,
            far_end_holds: false,
            version: 0,
            said: None,
            heard: None,
            exchange: Exchange::Settled,
            before: BeforeAnswer::default(),
        }
    }

    /// A leg whose INVITE is ours. `id` is a number that no other leg has.
    #[must_use]
    pub fn outbound(id: u64) -> Self {
        Self {
            owns_call_id: true,
            ..Self::inbound(id)
        }
    }

    // What is known.

    /// Our last description that took effect.
    #[must_use]
    pub fn said(&self) -> Option<&Arc<[u8]>> {
        self.said.as_ref()
    }

    /// The far end's last description that took effect.
    #[must_use]
    pub fn heard(&self) -> Option<&Arc<[u8]>> {
        self.heard.as_ref()
    }

    /// Whether the far end has put us on hold, by whatever message.
    #[must_use]
    pub fn far_end_holds(&self) -> bool {
        self.far_end_holds
    }

    /// Whether the far end last said that it sends.
    #[must_use]
    pub fn far_end_sends(&self) -> bool {
        parse(self.heard.as_ref()).is_some_and(|heard| !heard.gist.is_silent)
    }

    /// Whether the far end has been put on hold: it is told that nothing is received, be it our
    /// doing or its partner's.
    #[must_use]
    pub fn is_held(&self) -> bool {
        parse(self.said.as_ref()).is_some_and(|said| said.gist.is_held)
    }

    /// Whether no offer is outstanding. The next one may only be made then (RFC 3264 §4).
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.exchange == Exchange::Settled
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn owns_call_id(&self) -> bool {
        self.owns_call_id
    }

    /// What the far end last said, to be offered to somebody.
    pub(super) fn known(&self) -> Option<Body> {
        self.heard.clone().map(body)
    }

    /// Whether a new description of the far end leaves its media where they are, flowing as they
    /// do, so that a partner who knows the last one need not hear of it.
    pub(super) fn is_known(&self, description: &Body) -> bool {
        match (parse(self.heard.as_ref()), Description::of(description)) {
            (Some(heard), Some(new)) => same_media(&heard, &new),
            (None, _) | (_, None) => false,
        }
    }

    /// Whether the far end would hear nothing new in a partner's description.
    pub(super) fn is_told(&self, partner: &Body) -> bool {
        let Some(source) = Description::of(partner) else {
            return false;
        };
        parse(self.said.as_ref()).is_some_and(|said| {
            let slots = Slots::offer(&said, &source);
            // What passes as it is has a newer version than what was said.
            !self.passes(&source, Some(&said), &slots)
                && self.said == Some(self.rewrite(&source, Some(&said), &said, &slots))
        })
    }

    // Offers to the far end.

    /// Another party's description as our offer, and where its lines went.
    pub(super) fn offer(&mut self, partner: &Told<'_>) -> (Body, Slots) {
        let Told { body, description } = partner;
        let Some(source) = *description else {
            self.exchange = Exchange::Said(None, None);
            return ((*body).clone(), Slots::identity(0));
        };
        let said = parse(self.said.as_ref());
        let slots = match &said {
            Some(said) => Slots::offer(said, &source),
            None => Slots::identity(source.media_count()),
        };
        if self.passes(&source, said.as_ref(), &slots) {
            self.note_version(source.origin().version);
            self.exchange = Exchange::Said(Some(body.bytes.clone()), Some(source.gist));
            return ((*body).clone(), slots);
        }
        let list = said.unwrap_or(source);
        let text = self.rewrite(&source, said.as_ref(), &list, &slots);
        (self.say(text, body.content_type.clone()), slots)
    }

    /// An earlier description of ours, to take back what came after it.
    pub(super) fn offer_again(&mut self, text: &Arc<[u8]>) -> Body {
        self.offer(&Told::of(&body(text.clone()))).0
    }

    /// What we last said as a hold; `None` where nothing was said.
    pub(super) fn offer_hold(&mut self, hold: Hold) -> Option<Body> {
        let wanted = |direction| both(direction, direction_of(hold));
        let said = self.said.as_ref()?;
        let source = Description::parse(said)?;
        let is_so = in_use(&source).all(|media| wanted(media.direction) == media.direction);
        let text = if is_so {
            said.clone()
        } else {
            let version = self.version + 1;
            compose::redirect(Some(said), source.origin(), version, &source, wanted)
        };
        Some(self.say(text, sdp_type()))
    }

    /// An offer without media.
    pub(super) fn offer_no_media(&mut self) -> Body {
        let list = parse(self.said.as_ref());
        let own = OwnOrigin::of(self.id);
        let origin = list.map_or(own.line(), |list| *list.origin());
        let (last, version) = (self.said.as_ref(), self.version + 1);
        let text = compose::no_media(last, &origin, version, list.as_ref());
        self.say(text, sdp_type())
    }

    /// What we last said, for a far end that asks for an offer while nobody is across.
    pub(super) fn offer_alone(&mut self) -> Body {
        match self.said.clone() {
            Some(text) => self.say(text, sdp_type()),
            None => self.offer_no_media(),
        }
    }

    fn say(&mut self, text: Arc<[u8]>, content_type: Bytes) -> Body {
        let read = Description::parse(&text);
        let version = match read {
            Some(description) => Some(description.origin().version),
            None => sdp::version(&text),
        };
        self.note_version(version.unwrap_or_default());
        let gist = read.map(|description| description.gist);
        self.exchange = Exchange::Said(Some(text.clone()), gist);
        Body {
            content_type,
            bytes: text,
        }
    }

    /// The far end has answered our offer, which takes effect.
    pub(super) fn hear_answer(&mut self, answer: &Told<'_>) {
        let (offer, said) = match std::mem::replace(&mut self.exchange, Exchange::Settled) {
            Exchange::Said(Some(offer), gist) => (offer, gist),
            Exchange::Said(None, _) | Exchange::Settled | Exchange::Heard(..) => return,
        };
        if let (Some(said), Some(heard)) = (said, answer.description) {
            // Where we sent nothing, an answer does not say whether it would be wanted.
            if !said.is_silent {
                self.far_end_holds = heard.gist.is_held;
            }
            self.heard = Some(answer.body.bytes.clone());
        }
        self.said = Some(offer);
    }

    /// The far end has answered once more what we said before, to refresh the session; whether
    /// its media have changed by that.
    pub fn hear_again(&mut self, answer: &Body) -> bool {
        let Some(said) = self.said.clone().filter(|_| self.is_settled()) else {
            return false;
        };
        let changed = !self.is_known(answer);
        self.put_again(said);
        self.hear_answer(&Told::of(answer));
        changed
    }

    /// What we have said before is our offer once more.
    fn put_again(&mut self, text: Arc<[u8]>) {
        let gist = parse(Some(&text)).map(|description| description.gist);
        self.exchange = Exchange::Said(Some(text), gist);
    }

    /// The ACK of a change of the far end's that nobody waits for any more: it may have the answer
    /// to what we have offered in our 2xx.
    pub fn hear_acknowledged(&mut self, answer: Option<&Body>) {
        match (&self.exchange, answer) {
            (Exchange::Said(..), Some(answer)) => self.hear_answer(&Told::of(answer)),
            (Exchange::Said(..), None) => self.roll_back(),
            (Exchange::Settled | Exchange::Heard(..), _) => {}
        }
    }

    /// The far end has answered the offer of our INVITE after it was taken back here: it has it,
    /// and what is said next follows it (RFC 3264 §8). Where it has made another offer since, that
    /// one was answered, and it has said nothing new.
    pub fn hear_late_answer(&mut self, answer: &Body) {
        if self.has_said_early(answer) {
            self.before.take_withdrawn();
        } else if self.is_settled()
            && let Some(offer) = self.before.take_withdrawn()
        {
            self.put_again(offer);
            self.hear_answer(&Told::of(answer));
        }
    }

    // Offers of the far end.

    /// The far end has made an offer.
    pub(super) fn hear_offer(&mut self, offer: &Told<'_>) {
        let text = offer.description.map(|_| offer.body.bytes.clone());
        let gist = offer.description.map(|description| description.gist);
        self.exchange = Exchange::Heard(text, gist);
    }

    /// The answer to the far end's offer, out of another party's answer to what was made of it.
    pub(super) fn answer(&mut self, partner: &Told<'_>, slots: &Slots) -> Body {
        let Exchange::Heard(Some(offer), gist) = std::mem::take(&mut self.exchange) else {
            return partner.body.clone();
        };
        let answer = self.place((&offer, gist), partner, slots);
        // Put together anew, it may have become longer than a description may be.
        let version = |text: &Arc<[u8]>| match partner.description {
            Some(source) if Arc::ptr_eq(text, &partner.body.bytes) => Some(source.origin().version),
            Some(_) | None => Some(Description::parse(text)?.origin().version),
        };
        let known = answer
            .as_ref()
            .and_then(|text| Some((text, version(text)?)));
        self.settle(gist, known);
        self.heard = Some(offer);
        carry(partner.body, answer)
    }

    /// The same without consequences.
    fn preview(&self, partner: &Told<'_>, slots: &Slots) -> Body {
        let Exchange::Heard(Some(offer), gist) = &self.exchange else {
            return partner.body.clone();
        };
        carry(partner.body, self.place((offer, *gist), partner, slots))
    }

    /// Another party's answer in the places of the far end's offer; `None` where one of the two is
    /// no description.
    fn place(
        &self,
        (offer, gist): (&Arc<[u8]>, Option<Gist>),
        partner: &Told<'_>,
        slots: &Slots,
    ) -> Option<Arc<[u8]>> {
        let (gist, source) = (gist?, partner.description?);
        let slots = slots.reversed(usize::from(gist.media_count));
        let said = parse(self.said.as_ref());
        if self.passes(&source, said.as_ref(), &slots) {
            return Some(partner.body.bytes.clone());
        }
        let list = Description::parse(offer)?;
        Some(self.rewrite(&source, said.as_ref(), &list, &slots))
    }

    /// The same for a provisional response. The first counts, and those that follow repeat it
    /// (RFC 6337 §3.1.1), whoever has early media by then.
    pub(super) fn promise(&mut self, partner: &Body, slots: &Slots) -> Body {
        if let Early::Answered(first) = self.before.early() {
            return body(Arc::clone(first));
        }
        let answer = self.preview(&Told::of(partner), slots);
        if *self.before.early() == Early::Nothing && Description::of(&answer).is_some() {
            self.before.set_early(Early::Answered(answer.bytes.clone()));
        }
        answer
    }

    /// The answer to the offer of the far end's INVITE. Of several the far end takes the first and
    /// ignores the others (RFC 3261 §13.2.1): what it has had with a provisional response is
    /// repeated, and a partner who says anything else is for a re-INVITE.
    pub(super) fn answer_invite(&mut self, partner: &Told<'_>, slots: &Slots) -> Body {
        let Early::Answered(first) = self.before.early() else {
            return self.answer(partner, slots);
        };
        let first = body(Arc::clone(first));
        let answer = self.preview(partner, slots);
        let is_other = Description::of(&answer).is_some() && !is_alike(&first.bytes, &answer.bytes);
        self.settle_heard(&first);
        if is_other {
            self.before.set_early(Early::Outdated);
        }
        first
    }

    /// Whether the far end may make another offer before our 2xx.
    pub(super) fn may_change_early(&self) -> bool {
        match self.before.early() {
            Early::Answered(_) | Early::Changed | Early::Outdated => true,
            Early::Nothing => false,
        }
    }

    /// It does: its first offer has had its answer, and this one gets the answer that changes
    /// nothing; `None` where it is no description. The partner who hears of it answers it, so that
    /// the far end of an outdated answer has that one's as well.
    pub(super) fn change_early(&mut self, offer: &Body) -> Option<Body> {
        let offer = Told::of(offer);
        offer.description?;
        if let Early::Answered(answer) = self.before.early() {
            let answer = body(Arc::clone(answer));
            self.settle_heard(&answer);
        }
        self.hear_offer(&offer);
        self.before.set_early(Early::Changed);
        self.answer_alone().0
    }

    /// The far end, whose phone rings, has answered the offer of our INVITE in a reliable response
    /// and makes another one: the answer that changes nothing; `None` where that is not possible.
    pub(super) fn change_ringing(&mut self, offer: &Body) -> Option<Body> {
        let offer = Told::of(offer);
        offer.description?;
        match std::mem::take(&mut self.exchange) {
            Exchange::Said(Some(ours), _) => {
                self.before.withdraw(Some(ours.clone()));
                self.said = Some(ours);
            }
            // It has done so before.
            Exchange::Settled => {}
            unread @ (Exchange::Said(None, _) | Exchange::Heard(..)) => {
                self.exchange = unread;
                return None;
            }
        }
        self.hear_offer(&offer);
        self.before.set_early(Early::Changed);
        self.answer_alone().0
    }

    /// Whether it has done so, or the far end has changed what we have answered.
    pub(super) fn has_changed_early(&self) -> bool {
        *self.before.early() == Early::Changed
    }

    /// Whether this is the last offer that the far end has made by then.
    fn has_said_early(&self, last: &Body) -> bool {
        self.has_changed_early() && self.heard.as_ref() == Some(&last.bytes)
    }

    /// The 2xx to our INVITE. Where somebody else answers it than the phone that has made another
    /// offer, it answers the first one.
    pub(super) fn hear_final(&mut self, answer: &Body) {
        if self.has_changed_early() && !self.has_said_early(answer) {
            self.before.take_early();
            self.hear_late_answer(answer);
        }
    }

    /// Whether the far end knows what another one has said last.
    #[must_use]
    pub fn knows(&self, other: &Self) -> bool {
        other.known().is_none_or(|known| self.is_told(&known))
    }

    /// Whether one of the two does not know yet what the other one has said before our 2xx. Says
    /// so once.
    pub fn take_early_change(&mut self) -> Option<Behind> {
        match self.before.take_early() {
            Early::Changed => Some(Behind::Partner),
            Early::Outdated => Some(Behind::FarEnd),
            Early::Nothing | Early::Answered(_) => None,
        }
    }

    /// The answer that keeps the session as it is, without asking a partner; `None` to an offer
    /// that is no description. Says as well whether the far end's media are elsewhere now.
    pub(super) fn answer_alone(&mut self) -> (Option<Body>, bool) {
        let text = match &self.exchange {
            Exchange::Heard(Some(text), _) => text.clone(),
            Exchange::Heard(None, _) | Exchange::Settled | Exchange::Said(..) => {
                self.exchange = Exchange::Settled;
                return (None, false);
            }
        };
        let Some(offer) = Description::parse(&text) else {
            return (None, false);
        };
        let moved = parse(self.heard.as_ref()).is_some_and(|heard| !same_places(&heard, &offer));
        let own = OwnOrigin::of(self.id);
        let (last, version) = (self.said.as_ref(), self.version + 1);
        let text = match parse(self.said.as_ref()) {
            Some(said) if said.media_count() > 0 => {
                compose::keep(last, said.origin(), version, &offer, &said)
            }
            Some(said) => compose::park(last, said.origin(), version, &offer),
            None => compose::park(last, &own.line(), version, &offer),
        };
        let answer = body(text);
        self.settle_heard(&answer);
        (Some(answer), moved)
    }

    fn settle_heard(&mut self, answer: &Body) {
        let Exchange::Heard(Some(offer), gist) = std::mem::take(&mut self.exchange) else {
            return;
        };
        let read = Description::of(answer);
        self.settle(
            gist,
            read.map(|read| (&answer.bytes, read.origin().version)),
        );
        self.heard = Some(offer);
    }

    /// The far end's offer and our answer to it, with its version, take effect.
    fn settle(&mut self, offer: Option<Gist>, answer: Option<(&Arc<[u8]>, u64)>) {
        if let Some(offer) = offer {
            self.far_end_holds = self.holds_by(offer);
        }
        if let Some((answer, version)) = answer {
            self.note_version(version);
            self.said = Some(answer.clone());
        }
    }

    /// Whether an offer puts us on hold. One that neither sends nor receives may just follow from
    /// ours that does the same.
    fn holds_by(&self, offer: Gist) -> bool {
        let is_said_silent = || parse(self.said.as_ref()).is_some_and(|said| said.gist.is_silent);
        offer.is_held && (self.far_end_holds || !offer.is_silent || !is_said_silent())
    }

    // Either way.

    /// The outstanding offer was refused or taken back: all is as before it (RFC 3261 §14.1).
    pub(super) fn roll_back(&mut self) {
        let before = std::mem::replace(&mut self.exchange, Exchange::Settled);
        if let (Exchange::Said(offer, _), None) = (before, &self.said) {
            self.before.withdraw(offer);
        }
    }

    /// Whether a partner's description, in these places, may go to this leg as it is after what
    /// we `said` to it last.
    fn passes(
        &self,
        source: &Description<'_>,
        said: Option<&Description<'_>>,
        slots: &Slots,
    ) -> bool {
        let theirs = source.origin();
        let continues = match said {
            None => theirs.version <= VERSION_ADOPTED_MAX,
            Some(said) => {
                theirs.version == self.version + 1
                    && is_same_session(said.origin(), theirs)
                    && !source.is_same(said.text())
            }
        };
        continues && slots.is_identity(source.media_count())
    }

    /// A partner's description in the places of `list`, with our `o=` line towards this leg, to
    /// which we have `said` that last.
    fn rewrite(
        &self,
        source: &Description<'_>,
        said: Option<&Description<'_>>,
        list: &Description<'_>,
        slots: &Slots,
    ) -> Arc<[u8]> {
        let (theirs, next) = (source.origin(), self.version + 1);
        let (origin, version) = match said {
            Some(said) => (said.origin(), next),
            None if theirs.version <= VERSION_ADOPTED_MAX => (theirs, theirs.version),
            None => (theirs, next),
        };
        let last = said.and(self.said.as_ref());
        compose::rewrite(last, origin, version, source, list, slots)
    }

    /// A version is never used twice, not even after an offer that was refused.
    fn note_version(&mut self, version: u64) {
        self.version = self.version.max(version);
    }
}

fn parse(text: Option<&Arc<[u8]>>) -> Option<Description<'_>> {
    Description::parse(text?)
}
