//! A far end and the dialog to it, as offer and answer see them: it answers, refuses, hangs up or
//! says nothing, and it is strict with what it is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::call::LegCommand;
use crate::dialog::{Body, LegEvent, Release};
use crate::session::description::{Description, is_same};
use crate::sip::Status;

/// RFC 3261: 64*T1, after which either side gives a 2xx without ACK up.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(32);

#[derive(Debug)]
pub(super) struct Phone {
    pub(super) state: State,
    /// What it can do, in the order in which it offers it.
    kinds: Vec<&'static str>,
    /// Where its media are; no two phones are at the same ports.
    port: u16,
    /// The kinds of its `m=` lines.
    list: Vec<String>,
    version: u64,
    holds: bool,
    has_held: bool,
    /// The description that it was told and that it goes by.
    pub(super) told: Option<Arc<[u8]>>,
    /// The one that it gave.
    pub(super) given: Option<Arc<[u8]>>,
    /// Its own open offer.
    offers: Option<Arc<[u8]>>,
    /// The highest version that it was told, with the line around it.
    highest: Option<Arc<[u8]>>,
    /// Since when it waits for an ACK, or we for its.
    since: Instant,
    /// Whether it broke the rules, so that what it goes by is anybody's guess.
    pub(super) unsure: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Not INVITEd yet.
    Idle,
    /// Our INVITE rings there, with this offer.
    Called(Option<Arc<[u8]>>),
    /// Its INVITE waits for us.
    Calling,
    /// Nothing is open.
    Settled,
    /// It has our re-INVITE.
    Invited {
        offer: Option<Arc<[u8]>>,
        withdrawn: bool,
    },
    /// It has sent a 2xx, and awaits an answer in our ACK or not.
    Unacknowledged { asked: bool },
    /// Its re-INVITE waits for us.
    Inviting,
    /// It has our 2xx; its ACK has to have an answer to this offer.
    Accepted(Option<Arc<[u8]>>),
    /// It has hung up.
    Over,
}

/// What it does when it is its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// What is right.
    Comply,
    /// An error response, where a response is due.
    Refuse(u16),
    /// What is right, without the description that belongs to it.
    Omit,
    /// Nothing at all, for good.
    Ignore,
    /// A BYE.
    HangUp,
    /// It takes its own re-INVITE back.
    Cancel,
    /// It answers although our offer was taken back: the two have crossed.
    Cross,
    /// It makes an offer, or asks for one.
    Offer { asks: bool },
}

impl Phone {
    pub(super) fn new(now: Instant, port: u16, kinds: &[&'static str]) -> Self {
        Self {
            state: State::Idle,
            kinds: kinds.to_vec(),
            port,
            list: Vec::new(),
            version: u64::from(port),
            holds: false,
            has_held: false,
            told: None,
            given: None,
            offers: None,
            highest: None,
            since: now,
            unsure: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Its user presses or releases the hold key; it says so when it next describes itself.
    pub(super) fn hold(&mut self, holds: bool) {
        self.holds = holds;
        self.has_held |= holds;
    }

    pub(super) fn has_held(&self) -> bool {
        self.has_held
    }

    /// Whether something is expected of it.
    pub(super) fn has_turn(&self) -> bool {
        match self.state {
            State::Called(_) | State::Invited { .. } | State::Accepted(_) => true,
            State::Idle
            | State::Calling
            | State::Settled
            | State::Unacknowledged { .. }
            | State::Inviting
            | State::Over => false,
        }
    }

    /// When the dialog gives up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Unacknowledged { .. } | State::Accepted(_) => {
                Some(self.since + UNACKNOWLEDGED_MAX)
            }
            State::Idle
            | State::Called(_)
            | State::Calling
            | State::Settled
            | State::Invited { .. }
            | State::Inviting
            | State::Over => None,
        }
    }

    pub(super) fn give_up(&mut self) -> LegEvent {
        let release = match self.state {
            State::Accepted(_) => Release::Unacknowledged,
            _ => Release::Lost,
        };
        self.state = State::Over;
        LegEvent::HungUp(release)
    }

    // What it does.

    pub(super) fn act(&mut self, now: Instant, deed: Deed) -> Option<LegEvent> {
        let withdrawn = matches!(self.state, State::Invited { withdrawn, .. } if withdrawn);
        match deed {
            Deed::Comply if withdrawn => self.refuse(Status::REQUEST_TERMINATED),
            Deed::Cross => self.comply(now, false),
            Deed::Comply | Deed::Omit => self.comply(now, deed == Deed::Omit),
            Deed::Refuse(status) => self.refuse(Status(status)),
            Deed::Ignore => None,
            Deed::HangUp if matches!(self.state, State::Idle | State::Over) => None,
            Deed::HangUp => {
                self.state = State::Over;
                let cause = None.into();
                Some(LegEvent::HungUp(Release::Bye { cause }))
            }
            Deed::Cancel if self.state == State::Inviting => {
                self.state = State::Settled;
                self.offers = None;
                Some(LegEvent::OfferCancelled)
            }
            Deed::Offer { asks } if self.state == State::Settled => Some(LegEvent::Offered {
                body: self.invite(asks),
            }),
            Deed::Cancel | Deed::Offer { .. } => None,
        }
    }

    /// Its re-INVITE.
    pub(super) fn invite(&mut self, asks: bool) -> Option<Body> {
        self.state = State::Inviting;
        (!asks).then(|| self.offer())
    }

    /// Its INVITE.
    pub(super) fn call(&mut self, asks: bool) -> Option<Body> {
        self.state = State::Calling;
        (!asks).then(|| self.offer())
    }

    fn comply(&mut self, now: Instant, omits: bool) -> Option<LegEvent> {
        self.unsure |= omits && !matches!(self.state, State::Accepted(None));
        self.since = now;
        match self.state.clone() {
            State::Called(offer) => {
                let body = self.reply(offer, omits);
                Some(LegEvent::Answered { body })
            }
            State::Invited { offer, .. } => {
                let body = self.reply(offer, omits);
                Some(LegEvent::OfferAnswered { body })
            }
            State::Accepted(offer) => {
                self.state = State::Settled;
                let body = offer.filter(|_| !omits).map(|offer| self.answer(&offer));
                Some(LegEvent::OfferAcknowledged { body })
            }
            _ => None,
        }
    }

    fn reply(&mut self, offer: Option<Arc<[u8]>>, omits: bool) -> Option<Body> {
        let asked = offer.is_none() && !omits;
        self.state = State::Unacknowledged { asked };
        match offer {
            _ if omits => None,
            Some(offer) => Some(self.answer(&offer)),
            None => Some(self.offer()),
        }
    }

    fn refuse(&mut self, status: Status) -> Option<LegEvent> {
        match self.state {
            State::Called(_) => {
                self.state = State::Over;
                Some(LegEvent::Refused {
                    status,
                    retry_after: None,
                    after_provisional: true,
                })
            }
            State::Invited { .. } => {
                self.state = State::Settled;
                Some(LegEvent::OfferRefused { status })
            }
            _ => None,
        }
    }

    /// It offers what it can, in the places that the dialog has.
    fn offer(&mut self) -> Body {
        for kind in self.kinds.clone() {
            if !self.list.iter().any(|listed| listed == kind) {
                self.list.push(kind.to_owned());
            }
        }
        let body = self.describe();
        self.offers = Some(body.bytes.clone());
        body
    }

    fn answer(&mut self, offer: &Arc<[u8]>) -> Body {
        let offered = Description::parse(offer).expect("what we offer is legal");
        self.list = offered.media().map(|media| media.kind.to_owned()).collect();
        let body = self.describe();
        self.told = Some(offer.clone());
        self.given = Some(body.bytes.clone());
        body
    }

    fn describe(&mut self) -> Body {
        self.version += 1;
        let mut text = format!(
            "v=0\r\no=phone {} {} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n",
            self.port, self.version
        );
        for kind in &self.list {
            let place = self.kinds.iter().position(|own| own == kind);
            let port = place.map_or(0, |place| self.port + 2 * place as u16);
            text.push_str(&format!("m={kind} {port} RTP/AVP 0 101\r\n"));
            if self.holds && port != 0 {
                text.push_str("a=sendonly\r\n");
            }
        }
        body(&text)
    }

    // What it is told.

    pub(super) fn dial(&mut self, offer: Option<Body>) {
        assert_eq!(self.state, State::Idle);
        let offer = offer.map(|offer| self.check_offer(&offer));
        self.state = State::Called(offer);
    }

    /// Carries a command out; what the dialog says to it at once.
    pub(super) fn hear(&mut self, now: Instant, command: LegCommand) -> Option<LegEvent> {
        self.since = now;
        let state = std::mem::replace(&mut self.state, State::Settled);
        match (state, command) {
            (State::Calling | State::Inviting, LegCommand::Answer(body))
            | (State::Inviting, LegCommand::AnswerOffer(body)) => {
                let body = body.expect("a description is due in this 2xx");
                if self.offers.is_some() {
                    self.check_answer(&body);
                    self.state = State::Accepted(None);
                } else {
                    self.state = State::Accepted(Some(self.check_offer(&body)));
                }
            }
            (State::Inviting, LegCommand::RefuseOffer(status)) => {
                assert!(status.0 >= 400);
                self.offers = None;
            }
            (State::Unacknowledged { asked }, LegCommand::Acknowledge(body)) => {
                assert_eq!(asked, body.is_some(), "the ACK answers what was offered");
                if let Some(answer) = body {
                    self.check_answer(&answer);
                }
            }
            (State::Settled, LegCommand::Offer(body)) => {
                let offer = body.map(|body| self.check_offer(&body));
                let withdrawn = false;
                self.state = State::Invited { offer, withdrawn };
            }
            // The dialog has an INVITE under way, and says so (RFC 3261 §14.1).
            (state @ (State::Accepted(_) | State::Inviting), LegCommand::Offer(_)) => {
                self.state = state;
                let status = Status::REQUEST_PENDING;
                return Some(LegEvent::OfferRefused { status });
            }
            (State::Invited { offer, .. }, LegCommand::WithdrawOffer) => {
                let withdrawn = true;
                self.state = State::Invited { offer, withdrawn };
            }
            (state, command) => panic!("{command:?} in {state:?}"),
        }
        None
    }

    fn check_offer(&mut self, body: &Body) -> Arc<[u8]> {
        let lines = self.check(body);
        let before = media_count(self.told.as_ref()).max(media_count(self.given.as_ref()));
        assert!(lines >= before, "{lines} m-lines after {before}");
        body.bytes.clone()
    }

    fn check_answer(&mut self, body: &Body) {
        let lines = self.check(body);
        let offer = self.offers.take().expect("an answer has an offer");
        assert_eq!(
            lines,
            media_count(Some(&offer)),
            "an answer has the offer's m-lines"
        );
        self.told = Some(body.bytes.clone());
        self.given = Some(offer);
    }

    /// RFC 3264 §8: the `o=` line stays but for the version, which rises whenever the text is
    /// another.
    fn check(&mut self, body: &Body) -> usize {
        let new = Description::parse(&body.bytes).expect("what we say is legal");
        if let Some(told) = &self.told {
            let old = Description::parse(told).expect("checked before");
            assert_eq!(new.origin().username, old.origin().username);
            assert_eq!(new.origin().session, old.origin().session);
            assert_eq!(new.origin().address, old.origin().address);
            let unchanged = is_same(&body.bytes, told);
            assert_eq!(unchanged, body.bytes == *told, "the text or the version");
            if !unchanged {
                let highest = self.highest.as_ref().expect("it was told something");
                let rises = version(&body.bytes) > version(highest);
                let again = is_same(&body.bytes, highest) && body.bytes == *highest;
                assert!(rises || again, "{body:?} after {highest:?}");
            }
        }
        let higher = |highest: &Arc<[u8]>| version(&body.bytes) > version(highest);
        if self.highest.as_ref().is_none_or(higher) {
            self.highest = Some(body.bytes.clone());
        }
        new.media_count()
    }

    /// A call that is up, with somebody who is not part of the negotiation.
    pub(super) fn talks_with(&mut self, other: &mut Self) -> (Body, Body) {
        let offer = self.offer();
        self.offers = None;
        let answer = other.answer(&offer.bytes);
        self.given = Some(offer.bytes.clone());
        self.told = Some(answer.bytes.clone());
        self.highest = self.told.clone();
        self.state = State::Settled;
        (offer, answer)
    }
}

pub(super) fn body(text: &str) -> Body {
    Body {
        content_type: Bytes::from_static(b"application/sdp"),
        bytes: text.as_bytes().into(),
    }
}

pub(super) fn version(text: &[u8]) -> u64 {
    let description = Description::parse(text).expect("legal");
    description.origin().version
}

fn media_count(text: Option<&Arc<[u8]>>) -> usize {
    let description = text.and_then(|text| Description::parse(text));
    description.map_or(0, |description| description.media_count())
}

/// Kind, port and direction of every `m=` line.
pub(super) fn media(text: &[u8]) -> Vec<(String, u16, crate::sip::Direction)> {
    let description = Description::parse(text).expect("legal");
    let media = description.media();
    media
        .map(|media| (media.kind.to_owned(), media.port, media.direction))
        .collect()
}
