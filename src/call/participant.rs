//! Who takes part in a call, and the words in which the DN's shard is told about it.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Instant;

use siphasher::sip::SipHasher13;

use compact_str::CompactString;

use crate::agent::{self, PartyState};
use crate::config::{DnIndex, QueueIndex, RoutingPointIndex};
use crate::cti::{CallInfo, CallState, ConnId, DnRole, ErrorCode, KeyValueList, UserDataChange};
use crate::dialog;
use crate::few::{Few, Rarely};
use crate::seldom::Seldom;

use super::command::{Command, LegSlot};
use super::entry::Entry;
use super::facts::{Facts, Origin};
use super::quest::Quest;
use super::{Commands, user_data};

/// Somebody who takes part in a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// An agent of ours.
    Agent(DnIndex),
    /// Anybody else.
    Outside(Arc<dialog::Party>),
}

impl Who {
    /// A number that is another one for somebody else, and never 0. Who chooses two names may find
    /// some that share it, with 2^32 tries: then whom he talks to is not shown the second.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        self.hash(&mut hasher);
        hasher.finish().max(1)
    }

    /// As a leg to somebody else shows it.
    pub(super) fn party(&self, facts: &Facts) -> Arc<dialog::Party> {
        match self {
            Self::Agent(dn) => facts.agent_party(*dn),
            Self::Outside(party) => Arc::clone(party),
        }
    }
}

/// One who takes part in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Participant {
    pub(super) who: Who,
    /// Its leg. An agent with a consultation may have one leg in two calls.
    pub(super) leg: LegSlot,
    pub(super) role: DnRole,
    pub(super) standing: Standing,
    /// The routing point through which the call came to it.
    pub(super) routing_point: Option<RoutingPointIndex>,
    /// What its events show besides the call's data, which gets it when it is in the conference.
    pub(super) brings: Option<Arc<KeyValueList>>,
}

/// Whether a participant hears the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does, or will as soon as somebody is there.
    Talking,
    /// It has put the call on hold.
    Holding,
}

impl Participant {
    pub(super) fn new(who: Who, leg: LegSlot, role: DnRole) -> Self {
        Self {
            who,
            leg,
            role,
            standing: Standing::Talking,
            routing_point: None,
            brings: None,
        }
    }

    pub(super) fn dn(&self) -> Option<DnIndex> {
        match self.who {
            Who::Agent(dn) => Some(dn),
            Who::Outside(_) => None,
        }
    }

    /// Its number, unless it is withheld.
    pub(super) fn number(&self, facts: &Facts) -> Option<CompactString> {
        match &self.who {
            Who::Agent(dn) => Some(facts.number_of(*dn)),
            Who::Outside(party) => number_of(party),
        }
    }

    /// As a leg to somebody else shows it.
    pub(super) fn party(&self, facts: &Facts) -> Arc<dialog::Party> {
        self.who.party(facts)
    }
}

/// A number that may be shown.
pub(super) fn number_of(party: &dialog::Party) -> Option<CompactString> {
    let shown = !party.private && !party.number.is_empty();
    shown.then(|| (&*party.number).into())
}

/// What is said about a participant besides what happened to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) origin: Origin,
    /// Somebody else than the far party of the call.
    pub(super) other: Option<(CompactString, DnRole)>,
    pub(super) third: Option<(CompactString, DnRole)>,
    /// The call that vanished.
    pub(super) previous: Option<ConnId>,
    pub(super) call_state: Option<CallState>,
}

impl From<Origin> for News {
    fn from(origin: Origin) -> Self {
        Self {
            origin,
            ..Self::default()
        }
    }
}

/// A call with an identifier of its own: who is in it, and who is sought.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) conn_id: ConnId,
    pub(super) info: Arc<CallInfo>,
    /// Who is there. Two or more talk; one alone waits for whom the quest seeks.
    pub(super) participants: Few<Participant>,
    pub(super) quest: Seldom<Quest>,
    /// By whom it was diverted to whom it seeks, the last one first.
    pub(super) diversions: Rarely<dialog::Diversion>,
    /// In whose name it was sent to whom it seeks, by REFER.
    pub(super) referred_by: Option<String>,
    /// Of a consultation: the main call.
    pub(super) beside: Option<ConnId>,
    /// The queue and the routing point through which it came last.
    pub(super) through: Option<(QueueIndex, RoutingPointIndex)>,
    /// When it came, or set out for where it goes now.
    pub(super) since: Instant,
    /// Where it was answered.
    pub(super) served: Option<Served>,
}

/// The queue in which somebody was answered, who goes back to it on losing who has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) queue: QueueIndex,
    pub(super) routing_point: RoutingPointIndex,
    /// When it had come there.
    pub(super) since: Instant,
    /// The queues that had sent it on before, and do not get it back by an overflow.
    pub(super) visited: Box<[QueueIndex]>,
}

impl Call {
    pub(super) fn new(
        (info, first): (CallInfo, Participant),
        beside: Option<ConnId>,
        since: Instant,
    ) -> Self {
        Self {
            conn_id: info.conn_id,
            info: Arc::new(info),
            participants: std::iter::once(first).collect(),
            quest: Seldom::default(),
            diversions: Rarely::default(),
            referred_by: None,
            beside,
            through: None,
            since,
            served: None,
        }
    }

    /// Who waited is answered: in the queue that it has a place in, or for the first time.
    pub(super) fn is_served(&mut self, entry: Option<&Entry>, visited: &[QueueIndex]) {
        let place = entry.map(|entry| (entry.queue, entry.routing_point));
        let first = self.through.filter(|_| self.served.is_none());
        if let Some((queue, routing_point)) = place.or(first) {
            self.served = Some(Served {
                queue,
                routing_point,
                since: self.since,
                visited: visited.into(),
            });
        }
    }

    /// Whether it goes back to where it was answered, with the age that it had.
    pub(super) fn returns_to(&self, queue: QueueIndex, since: Instant) -> bool {
        let served = self.served.as_ref();
        served.is_some_and(|served| served.queue == queue && served.since == since)
    }

    /// Who is there with this leg.
    pub(super) fn with_leg(&self, leg: LegSlot) -> Option<&Participant> {
        self.participants.iter().find(|who| who.leg == leg)
    }

    /// The agent at this DN, if it is there.
    pub(super) fn agent(&self, dn: DnIndex) -> Option<&Participant> {
        self.participants.iter().find(|who| who.dn() == Some(dn))
    }

    /// Everyone who is there but this one.
    pub(super) fn others(&self, leg: LegSlot) -> impl Iterator<Item = &Participant> {
        self.participants.iter().filter(move |who| who.leg != leg)
    }

    pub(super) fn take(&mut self, leg: LegSlot) -> Option<Participant> {
        let place = self.participants.iter().position(|who| who.leg == leg)?;
        Some(self.participants.remove(place))
    }

    pub(super) fn set_standing(&mut self, leg: LegSlot, standing: Standing) {
        let who = self.participants.iter_mut().find(|who| who.leg == leg);
        if let Some(who) = who {
            who.standing = standing;
        }
    }

    /// Whether more than two talk.
    pub(super) fn is_conference(&self) -> bool {
        self.participants.len() > 2
    }

    /// The far party of `whom`, as its events name it: nobody in a conference.
    fn far_party(&self, facts: &Facts, whom: &Participant) -> Option<(CompactString, DnRole)> {
        let ringing = self.quest.as_ref().and_then(Quest::called);
        let mut others = self
            .others(whom.leg)
            .chain(ringing)
            .filter(|who| who.leg != whom.leg);
        let (first, second) = (others.next()?, others.next());
        if second.is_some() {
            return None;
        }
        Some((first.number(facts)?, first.role))
    }

    /// Tells the DN's shard what happened to a participant, if it is an agent.
    pub(super) fn report(
        &self,
        facts: &Facts,
        whom: &Participant,
        state: PartyState,
        news: News,
        commands: &mut Commands,
    ) {
        let Who::Agent(dn) = whom.who else {
            return;
        };
        let party = agent::Party {
            call: facts.call(self.conn_id),
            info: self.info_for(whom),
            routing_point: whom.routing_point,
            role: whom.role,
            // One without a number keeps the far party from being looked up.
            other: news
                .other
                .or_else(|| self.far_party(facts, whom))
                .filter(|(number, _)| !number.is_empty()),
            third: news.third,
            previous_conn_id: news.previous.or(self.beside),
            call_state: news.call_state.unwrap_or(CallState::Ok),
            state,
            requested_by: news.origin.requested_by,
            reasons: news.origin.reasons,
            changed_by: news.origin.changed_by,
        };
        commands.push(Command::Agent(dn, agent::Input::Party(party)));
    }

    /// Changes the attached data; whose events show it is decided by the caller.
    pub(super) fn change_user_data(&mut self, change: UserDataChange) -> Result<(), ErrorCode> {
        self.info = self.info_with(change)?;
        Ok(())
    }

    /// As the call would be with other data.
    pub(super) fn info_with(&self, change: UserDataChange) -> Result<Arc<CallInfo>, ErrorCode> {
        let mut info = CallInfo::clone(&self.info);
        user_data::apply(&mut info.user_data, change)?;
        Ok(Arc::new(info))
    }

    fn info_for(&self, whom: &Participant) -> Arc<CallInfo> {
        let brings = whom.brings.as_deref().cloned();
        let with = brings.map(|pairs| self.info_with(UserDataChange::Update(pairs)));
        // Where it would be too much, the call keeps its own.
        with.and_then(Result::ok)
            .unwrap_or_else(|| Arc::clone(&self.info))
    }
}
