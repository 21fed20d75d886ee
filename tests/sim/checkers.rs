//! What must hold: after every step, in every event stream, and when everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use offhook::agent::Standing;
use offhook::config::{Config, DnIndex};
use offhook::counters::Counter;
use offhook::cti::{AgentWorkMode, ConnId, Event, EventName, Output};
use offhook::server::encode::{Encoder, Envelope};
use offhook_loadgen::population::{Activity, Fact, Fault, Outcome, Presence};

use super::world::World;

/// How the events of one DN stand, as a client would fold them.
#[derive(Debug, Clone, Default)]
struct Stream {
    logged_in: bool,
    ready: bool,
    off_hook: bool,
    /// Calls at the DN and how each stands.
    calls: BTreeMap<ConnId, Stand>,
    /// Those that were taken back, by the phone or its desktop, or beside which somebody was
    /// called, while the agent was in a call of another conversation: the two know nothing of each
    /// other.
    beside_others: BTreeSet<ConnId>,
    /// Those that came through a routing point.
    business: BTreeSet<ConnId>,
    /// Consultations and their main calls.
    consults: BTreeMap<ConnId, ConnId>,
}

impl Stream {
    /// Notes a call that is taken back, or beside which somebody is called, while the agent is in
    /// one of another conversation, or by the phone itself: the two may be in hand until one of
    /// them is held or over.
    fn follow(&mut self, conn_id: ConnId, event: &Event) {
        let by_itself = event.requested_by.is_none();
        let may = by_itself || !self.is_beside_its_own(conn_id);
        let beside = event
            .previous_conn_id
            .filter(|_| event.name == EventName::Dialing);
        if let Some(main) = beside {
            // It is the main call of the new one that the others know nothing of.
            let own = [conn_id, main];
            let others = self.calls.iter().filter(|(call, _)| !own.contains(call));
            let others = others.filter(|(_, stand)| **stand != Stand::Held);
            self.beside_others.extend(others.map(|(call, _)| *call));
        } else if event.name == EventName::Retrieved && may {
            let in_hand = self
                .calls
                .iter()
                .filter(|(_, stand)| **stand != Stand::Held);
            self.beside_others.extend(in_hand.map(|(call, _)| *call));
            self.beside_others.insert(conn_id);
        } else if event.name == EventName::Held {
            self.beside_others.remove(&conn_id);
        }
    }

    /// Whether the agent has the other call of the same conversation in hand.
    fn is_beside_its_own(&self, conn_id: ConnId) -> bool {
        self.consults.iter().any(|(consult, main)| {
            let other = match conn_id {
                one if one == *consult => main,
                one if one == *main => consult,
                _ => return false,
            };
            self.calls
                .get(other)
                .is_some_and(|stand| *stand != Stand::Held)
        })
    }
}

/// How a call at an address stands, as its events say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Queued,
    Ringing,
    Dialing,
    Talking,
    Held,
}

/// The event streams so far.
pub struct Journal {
    config: Arc<Config>,
    streams: BTreeMap<String, Stream>,
    /// When the last event of each address was.
    last: BTreeMap<String, Instant>,
    pub events: Vec<Event>,
    /// What was told before the server was started again.
    pub known: Vec<Event>,
}

impl Journal {
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            streams: BTreeMap::new(),
            last: BTreeMap::new(),
            events: Vec::new(),
            known: Vec::new(),
        }
    }

    /// How many agents are Ready by their events.
    pub fn ready(&self) -> usize {
        self.streams.values().filter(|stream| stream.ready).count()
    }

    pub fn is_ready(&self, dn: &str) -> bool {
        self.streams.get(dn).is_some_and(|stream| stream.ready)
    }

    pub fn is_logged_in(&self, dn: &str) -> bool {
        self.streams.get(dn).is_some_and(|stream| stream.logged_in)
    }

    /// A call at a DN or a routing point, chosen by `turn`, and where it is.
    pub fn call(&self, turn: u64) -> Option<(&str, ConnId)> {
        let calls: Vec<_> = self
            .streams
            .iter()
            .flat_map(|(dn, stream)| stream.calls.keys().map(move |call| (dn.as_str(), *call)))
            .collect();
        let count = u64::try_from(calls.len()).expect("calls are few");
        let index = usize::try_from(turn.checked_rem(count)?).expect("calls are few");
        calls.get(index).copied()
    }

    /// The calls at an address.
    pub fn calls_at(&self, dn: &str) -> Vec<ConnId> {
        let stream = self.streams.get(dn);
        stream.map_or(Vec::new(), |stream| stream.calls.keys().copied().collect())
    }

    /// Where calls ring, and which.
    pub fn ringing(&self) -> impl Iterator<Item = (&str, ConnId)> {
        self.streams.iter().flat_map(|(dn, stream)| {
            let calls = stream.calls.iter();
            let ringing = calls.filter(|(_, stand)| **stand == Stand::Ringing);
            ringing.map(move |(call, _)| (dn.as_str(), *call))
        })
    }

    /// The names of a DN's events.
    pub fn names(&self, dn: &str) -> Vec<EventName> {
        self.events
            .iter()
            .filter(|event| event.this_dn == dn)
            .map(|event| event.name)
            .collect()
    }

    /// Takes the next output; an event that its stream does not allow is a fault.
    pub fn take(&mut self, output: Output) -> Result<(), String> {
        let Output::Event(event) = output else {
            return Ok(());
        };
        is_public(&event);
        if event.is_known {
            self.stands(&event);
            self.known.push(*event);
            return Ok(());
        }
        let is_agent = self.config.dn(&event.this_dn).is_some();
        let stream = self.streams.entry(event.this_dn.to_string()).or_default();
        // I-28: what is told of an address is told in the order in which it happened.
        if self.last.insert(event.this_dn.to_string(), event.at) > Some(event.at) {
            return Err(format!("I-28: {} goes back in time", in_short(&event)));
        }
        let verdict = if is_agent {
            agent_event(stream, &event)
        } else {
            address_event(stream, &event)
        };
        self.events.push(*event);
        verdict
    }
}

impl Journal {
    /// What every client finds in its snapshot after the server was started again, whether it has
    /// been told before or not.
    fn stands(&mut self, event: &Event) {
        let stand = match event.name {
            EventName::Established => Stand::Talking,
            EventName::Held => Stand::Held,
            _ => return,
        };
        if let Some(call) = &event.call {
            let stream = self.streams.entry(event.this_dn.to_string()).or_default();
            stream.off_hook = true;
            stream.calls.insert(call.conn_id, stand);
        }
    }
}

/// An event in one line.
pub fn in_short(event: &Event) -> String {
    let mut words = vec![format!("Event{} {}", event.name.name(), event.this_dn)];
    words.extend(event.call.as_ref().map(|call| call.conn_id.to_string()));
    words.extend(event.call_state.map(|state| state.name().to_owned()));
    words.extend(event.error_code.map(|code| code.name().to_owned()));
    words.extend(event.error_message.clone());
    let answers = event.requested_by.map(|by| by.reference_id);
    words.extend(answers.map(|number| format!("(answers {number})")));
    words.join(" ")
}

/// What clients are sent of an event is what the public schema allows.
fn is_public(event: &Event) {
    let private = matches!(event.name, EventName::Error | EventName::ACK);
    let envelope = Envelope {
        reference_id: event.requested_by.map(|_| 7).or(event.route_reference),
        sequence: (!private).then_some(1),
        time: "2026-11-22T10:15:30.123456Z",
    };
    let frame = Encoder::default().event(event, envelope);
    super::schema::check_frame(&serde_json::from_str(&frame).expect("a frame is JSON"));
}

/// An agent's stream: states alternate, and each call rings or dials, is established, held and
/// retrieved, and released.
fn agent_event(stream: &mut Stream, event: &Event) -> Result<(), String> {
    let dn = &event.this_dn;
    let demand = |holds: bool, rule: &str| match holds {
        true => Ok(()),
        false => Err(format!("{dn}: Event{:?} although {rule}", event.name)),
    };
    match event.name {
        EventName::AgentLogin => {
            demand(
                !stream.logged_in || event.requested_by.is_some(),
                "logged in already",
            )?;
            stream.logged_in = true;
        }
        EventName::AgentLogout => {
            demand(stream.logged_in, "not logged in")?;
            stream.logged_in = false;
            stream.ready = false;
        }
        EventName::AgentReady => {
            demand(stream.logged_in, "not logged in")?;
            demand(
                !stream.ready || event.requested_by.is_some(),
                "ready already",
            )?;
            stream.ready = true;
        }
        EventName::AgentNotReady => {
            demand(stream.logged_in, "not logged in")?;
            stream.ready = false;
            // I-22: wrap-up begins with the end of the last call of the contact center's business.
            let wraps_up = event.agent_work_mode == Some(AgentWorkMode::AfterCallWork);
            let by_itself = event.requested_by.is_none();
            let last = stream.business.len() <= 1;
            demand(!wraps_up || !by_itself || last, "the agent has other calls")?;
        }
        EventName::OffHook | EventName::OnHook => {
            let up = event.name == EventName::OffHook;
            demand(stream.off_hook != up, "the handset is there already")?;
            let rings = |stand: &Stand| *stand == Stand::Ringing;
            demand(stream.calls.values().all(rings), "of its calls")?;
            stream.off_hook = up;
        }
        _ => call_event(stream, event)?,
    }
    Ok(())
}

/// A call at an agent's DN: it rings or dials, is established, held and retrieved, and released.
fn call_event(stream: &mut Stream, event: &Event) -> Result<(), String> {
    if let (Some(call), Some(_)) = (&event.call, &event.this_queue)
        // A desktop may change the data of the call of whom it talks to, which is none of its own.
        && (event.name != EventName::AttachedDataChanged
            || stream.calls.contains_key(&call.conn_id))
    {
        stream.business.insert(call.conn_id);
    }
    let dn = &event.this_dn;
    let demand = |holds: bool, rule: &str| match holds {
        true => Ok(()),
        false => Err(format!("{dn}: Event{:?} although {rule}", event.name)),
    };
    match event.name {
        EventName::Ringing | EventName::Dialing => {
            let stand = match event.name {
                EventName::Ringing => Stand::Ringing,
                _ => Stand::Dialing,
            };
            let conn_id = conn_id(event)?;
            if let Some(main) = event.previous_conn_id {
                stream.consults.insert(conn_id, main);
            }
            let before = stream.calls.insert(conn_id, stand);
            demand(before.is_none(), &format!("the call was {before:?}"))?;
            stream.follow(conn_id, event);
            one_is_heard(stream, event)?;
        }
        EventName::Established | EventName::Held | EventName::Retrieved => {
            let (allowed, stand): (&[Stand], _) = match event.name {
                EventName::Established => (&[Stand::Ringing, Stand::Dialing], Stand::Talking),
                EventName::Held => (&[Stand::Talking], Stand::Held),
                _ => (&[Stand::Held], Stand::Talking),
            };
            let conn_id = conn_id(event)?;
            let before = stream.calls.insert(conn_id, stand);
            stream.follow(conn_id, event);
            let allows = before.is_some_and(|before| allowed.contains(&before));
            demand(allows, &format!("the call was {before:?}"))?;
            one_is_heard(stream, event)?;
        }
        EventName::PartyChanged => {
            let now = conn_id(event)?;
            let before = event.previous_conn_id.unwrap_or(now);
            stream.business.remove(&before);
            if event.this_queue.is_some() {
                stream.business.insert(now);
            }
            let known = stream.calls.remove(&now);
            let known = known.or_else(|| stream.calls.remove(&before));
            if stream.beside_others.remove(&before) {
                stream.beside_others.insert(now);
            }
            let Some(stand) = known else {
                return demand(false, "the call is not at the DN");
            };
            stream.calls.insert(now, stand);
        }
        EventName::Released | EventName::Abandoned => {
            let conn_id = conn_id(event)?;
            stream.business.remove(&conn_id);
            demand(
                stream.calls.remove(&conn_id).is_some(),
                "the call never rang",
            )?;
        }
        _ => {}
    }
    Ok(())
}

fn conn_id(event: &Event) -> Result<ConnId, String> {
    let call = event.call.as_ref();
    call.map(|call| call.conn_id)
        .ok_or_else(|| "no call".into())
}

/// All calls at a DN but one are on hold, or of conversations that know nothing of it.
fn one_is_heard(stream: &Stream, event: &Event) -> Result<(), String> {
    let heard = stream
        .calls
        .iter()
        .filter(|(call, stand)| **stand != Stand::Held && !stream.beside_others.contains(call));
    match heard.count() {
        0 | 1 => Ok(()),
        _ => Err(format!(
            "{}: Event{:?} beside another call",
            event.this_dn, event.name
        )),
    }
}

/// A routing point's stream: Queued, then Diverted or Abandoned.
fn address_event(stream: &mut Stream, event: &Event) -> Result<(), String> {
    let Some(call) = &event.call else {
        return Ok(());
    };
    let dn = &event.this_dn;
    match event.name {
        EventName::Queued => match stream.calls.insert(call.conn_id, Stand::Queued) {
            None => Ok(()),
            Some(_) => Err(format!("{dn}: EventQueued twice")),
        },
        EventName::Diverted | EventName::Abandoned | EventName::Released => {
            match stream.calls.remove(&call.conn_id) {
                Some(_) => Ok(()),
                None => Err(format!("{dn}: Event{:?} without EventQueued", event.name)),
            }
        }
        _ => Ok(()),
    }
}

/// Holds after every step, in which the records from `first` on were made.
pub fn always(world: &World, first: usize) -> Result<(), String> {
    if world.cluster.count(Counter::Panic) > 0 {
        return Err("a panic was contained".into());
    }
    for record in &world.records[first..] {
        let (token, dn, fault) = match &record.fact {
            Fact::Fault { token, dn, fault } => (*token, dn.as_deref(), *fault),
            Fact::Ended {
                token,
                outcome: Outcome::Lost(fault),
            } => (Some(*token), None, *fault),
            _ => continue,
        };
        let swallowed = &world.network.swallowed;
        let is_excused =
            excuses(world, fault, dn.is_some()) || swallowed.excuses(record.at, fault, token, dn);
        if !is_excused {
            return Err(format!("a party met a fault: {fault:?} {token:?} {dn:?}"));
        }
    }
    let totals = world.population.callers.totals();
    let live = world.population.callers.live().len() as u64;
    let ended = totals.answered + totals.abandoned + totals.refused + totals.lost;
    if totals.offered != ended + live {
        return Err(format!("calls are not conserved: {totals:?}, {live} live"));
    }
    Ok(())
}

/// Holds when everything has come to rest.
pub fn quiescent(world: &World) -> Result<(), String> {
    let totals = world.population.callers.totals();
    if world.population.callers.live().len() > 0 {
        return Err(format!("a caller is still there: {totals:?}"));
    }
    for (shard, engine) in world.cluster.engines.iter().enumerate() {
        let live = engine.live();
        if live.unanswered + live.connected > 0 {
            return Err(format!("shard {shard} still has calls: {live:?}"));
        }
        if engine.ties() > 0 {
            return Err(format!("shard {shard} still has ties"));
        }
        let legs = engine.user_agent().legs();
        if legs > 0 {
            return Err(format!("shard {shard} still has {legs} legs"));
        }
    }
    // A PBX that was cut off for longer than 64·T1 finds that nobody knows its call any more.
    if !world.excused.contains(&Fault::NeverAcknowledged) {
        world.wire.at_rest()?;
    }
    let sits_on = |user: &str| {
        let seats = world.media.seats().filter(|seat| seat.user == user);
        let in_vain = world.network.swallowed.byes_in_vain(world.now, user);
        seats.count() > in_vain
    };
    if world.media.seats().any(|seat| sits_on(seat.user)) {
        return Err("a server of media still has somebody".into());
    }
    answered_once(world)?;
    if world.cluster.count(Counter::ReservationExpired) > 0 {
        return Err("a reservation outlived its lease".into());
    }
    super::outage::offers_are_paced(world)?;
    for (index, agent) in world.cluster.config.agents.iter().enumerate() {
        let dn = DnIndex(u32::try_from(index).expect("agents are few"));
        agent_at_rest(world, dn, &agent.dn)?;
    }
    let waiting = world
        .journal
        .streams
        .values()
        .map(|stream| stream.calls.len() + usize::from(stream.off_hook))
        .sum::<usize>();
    if waiting > 0 {
        return Err("an event stream has a call that never left".into());
    }
    Ok(())
}

/// Whether a PBX that is cut off may find `fault` at itself. What a caller finds is no excuse.
fn excuses(world: &World, fault: Fault, at_phone: bool) -> bool {
    let between = matches!(fault, Fault::NotifyUnanswered | Fault::LeftBehind);
    world.excused.contains(&fault) && (at_phone || between)
}

/// Every request has had exactly one answer.
fn answered_once(world: &World) -> Result<(), String> {
    let mut answers = vec![0_u32; world.asked as usize + 1];
    for event in &world.journal.events {
        if let Some(asked) = event.requested_by {
            answers[asked.reference_id as usize] += 1;
        }
    }
    match answers.iter().skip(1).position(|count| *count != 1) {
        None => Ok(()),
        Some(index) => Err(format!(
            "request {} of {} has {} answers",
            index + 1,
            world.asked,
            answers[index + 1]
        )),
    }
}

/// The reservation is back, and the state is what the phone's truth and the votes say.
fn agent_at_rest(world: &World, dn: DnIndex, number: &str) -> Result<(), String> {
    let owner = world.cluster.owners.dn(&world.cluster.config, dn);
    let agents = world.cluster.engines[owner.index()].agents();
    let status = agents
        .status(dn)
        .ok_or_else(|| format!("{number} is not on its shard"))?;
    if let Some((call, stage)) = status.call {
        return Err(format!(
            "{number} is still held by {} ({stage:?})",
            call.conn_id
        ));
    }
    let floor = status.presence.into_iter().chain(status.desktop).min();
    if let Some(floor) = floor
        && floor != status.effective
    {
        return Err(format!(
            "{number} is {:?}, its votes say {floor:?}",
            status.effective
        ));
    }
    let phone = world
        .population
        .pbx
        .phone_view(number)
        .ok_or("the PBX has no such phone")?;
    let truth = match (phone.registered, phone.activity) {
        (false, _) => Standing::LoggedOut,
        (true, Activity::Idle) => Standing::Ready,
        // Presence does not tell of it: a phone whose CANCEL an outage swallowed rings on.
        (true, Activity::Ringing(_)) if phone.presence == Presence::Idle => Standing::Ready,
        (
            true,
            Activity::Ringing(_) | Activity::Dialling(_) | Activity::Talking(_) | Activity::Private,
        ) => Standing::NotReady,
    };
    if phone.presence != Presence::Terminated && status.presence != Some(truth) {
        return Err(format!(
            "{number} is {truth:?}, presence says {:?}",
            status.presence
        ));
    }
    let events = Standing::of(
        world.journal.is_logged_in(number),
        world.journal.is_ready(number),
    );
    if events != status.effective {
        return Err(format!(
            "{number} is {:?}, its events say {events:?}",
            status.effective
        ));
    }
    Ok(())
}

/// A standing by what a client knows.
trait Known {
    fn of(logged_in: bool, ready: bool) -> Self;
}

impl Known for Standing {
    fn of(logged_in: bool, ready: bool) -> Self {
        match (logged_in, ready) {
            (false, _) => Self::LoggedOut,
            (true, false) => Self::NotReady,
            (true, true) => Self::Ready,
        }
    }
}
