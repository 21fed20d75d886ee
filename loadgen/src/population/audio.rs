//! Who talks with whom, by nothing but what each party was told about the other's audio.
//!
//! Every end of a call has an address of its own for its audio. What it sends goes where the last
//! description of its peer says, so two ends talk with each other when each was told the address
//! of the other, and nothing that the server believes can hide that they do not.

use std::net::SocketAddr;

use super::media::is_place;
use super::session::Session;
use super::truth::Token;
use super::{Callers, Pbx, Population};

/// Somebody who can be in a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A caller, by its call.
    Caller(Token),
    /// A phone, by its number.
    Phone(String),
}

impl Party {
    /// A phone.
    #[must_use]
    pub fn phone(dn: &str) -> Self {
        Self::Phone(dn.to_owned())
    }
}

/// One end of a call that is up, as its last offer and answer left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Whose end it is. A phone may have several.
    pub party: Party,
    /// The call, if its token is known.
    pub token: Option<Token>,
    /// The node of the PBX that has a phone's call; `None` for a caller.
    pub node: Option<SocketAddr>,
    /// Where it receives.
    pub here: SocketAddr,
    /// Where its audio goes; `None` when it sends none.
    pub sends_to: Option<SocketAddr>,
    /// Whose audio it hears; `None` when it hears none.
    pub hears: Option<SocketAddr>,
    /// Whether the party itself has put the call on hold.
    pub holds: bool,
    /// Whether no offer, answer or ACK is under way at it.
    pub settled: bool,
    /// Who is at the other end, as the server says.
    pub identity: Option<String>,
}

impl End {
    fn of(party: Party, token: Option<Token>, session: &Session) -> Self {
        let media = session.media();
        Self {
            party,
            token,
            node: None,
            here: media.here,
            sends_to: media.sends_to(),
            hears: media.hears(),
            holds: session.is_held(),
            settled: session.is_settled(),
            identity: session.identity().map(str::to_owned),
        }
    }

    /// Whether both ends hear each other.
    #[must_use]
    pub fn talks_with(&self, other: &Self) -> bool {
        let hears = |one: &Self, from: &Self| {
            one.hears == Some(from.here) && from.sends_to == Some(one.here)
        };
        hears(self, other) && hears(other, self)
    }

    /// Where it believes its partner to be: among the parties, not at a music source or a mixer.
    pub(super) fn partner(&self) -> Option<SocketAddr> {
        self.sends_to
            .or(self.hears)
            .filter(|at| is_place(self.here, *at))
    }
}

/// What a party hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hears {
    /// It is in no call that is up.
    NoCall,
    /// Nothing: it is on hold, or holds.
    Nothing,
    /// Another party.
    Party(Party),
    /// What comes from this address: a music source, a mixer, or somebody who has gone.
    Elsewhere(SocketAddr),
}

impl Population {
    /// Every end of a call that is up and that nobody is ending there.
    #[must_use]
    pub fn ends(&self) -> Vec<End> {
        ends(&self.pbx, &self.callers)
    }

    /// Whether the two hear each other.
    #[must_use]
    pub fn are_connected(&self, one: &Party, other: &Party) -> bool {
        let ends = self.ends();
        let of = |party: &Party| ends.iter().filter(move |end| end.party == *party).collect();
        let (ones, others): (Vec<&End>, Vec<&End>) = (of(one), of(other));
        let mut pairs = ones
            .iter()
            .flat_map(|one| others.iter().map(move |other| (one, other)));
        pairs.any(|(one, other)| one.talks_with(other))
    }

    /// What a party hears; a phone with several calls hears the one that it talks in.
    #[must_use]
    pub fn hears(&self, party: &Party) -> Hears {
        let ends = self.ends();
        let mut own = ends.iter().filter(|end| end.party == *party).peekable();
        if own.peek().is_none() {
            return Hears::NoCall;
        }
        let Some(at) = own.find_map(|end| end.hears) else {
            return Hears::Nothing;
        };
        match ends.iter().find(|end| end.here == at) {
            Some(end) => Hears::Party(end.party.clone()),
            None => Hears::Elsewhere(at),
        }
    }

    /// Whether a party is in a call that is up, and neither hears nor is heard by another party.
    #[must_use]
    pub fn is_on_hold(&self, party: &Party) -> bool {
        let ends = self.ends();
        let mut own = ends.iter().filter(|end| end.party == *party).peekable();
        own.peek().is_some() && own.all(|end| !ends.iter().any(|other| end.talks_with(other)))
    }

    /// Everybody who hears somebody who does not hear back, or sends to somebody who does not
    /// listen: none when everything has come to rest and nobody is on hold with music.
    #[must_use]
    pub fn one_way(&self) -> Vec<(Party, SocketAddr)> {
        let ends = self.ends();
        ends.iter()
            .filter(|end| end.settled)
            .filter_map(|end| {
                let to = end.sends_to.filter(|at| is_place(end.here, *at))?;
                let other = ends.iter().find(|other| other.here == to)?;
                let lost = other.settled && other.hears != Some(end.here);
                lost.then(|| (end.party.clone(), to))
            })
            .collect()
    }
}

fn ends(pbx: &Pbx, callers: &Callers) -> Vec<End> {
    let phones = pbx.connections().map(|connection| End {
        node: Some(connection.node),
        ..End::of(
            Party::phone(connection.dn),
            connection.token,
            connection.session,
        )
    });
    let callers = callers
        .sessions()
        .map(|(token, session)| End::of(Party::Caller(token), Some(token), session));
    phones.chain(callers).collect()
}
