//! The people at desktops: when they log in and out, take breaks, end their wrap-up, and what they
//! do to calls. Pure: it hears what the server says, and gives requests. Every desk has a stream
//! of chance of its own, so that what one does depends on no other.

mod calls;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::profile::{DeskPlan, Profile};
use super::said::{Connection, Said};
use crate::population::{Agenda, Random};
use calls::{Act, Call};

/// Where the streams of chance of desks begin.
const DESK_STREAM: u64 = 2 << 32;
/// The first reference number of a desk's request; a connection's own are below.
pub(super) const FIRST_REFERENCE: u64 = 1_000_000;

/// A request on its way, or the end of a connection.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    /// To be sent.
    Ask(Asked),
    /// The connection is lost, for so long.
    Lose(Connection, Duration),
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    /// On which connection.
    pub connection: Connection,
    /// Its number.
    pub reference: u64,
    /// `RequestAgentReady`, ….
    pub message: String,
    /// In whose name.
    pub dn: String,
    /// The frame.
    pub frame: String,
}

/// What is due at a desk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    Login,
    Logout,
    Break,
    BreakOver,
    WrappedUp,
    Act(String, Act),
    MakeCall,
    Disconnect(Connection, usize),
}

/// One agent with a desktop.
#[derive(Debug)]
struct Desk {
    dn: String,
    group: usize,
    connection: Connection,
    random: Random,
    registered: bool,
    logged_in: bool,
    on_break: bool,
    /// Calls at the DN that are up, but for consultations that it began.
    calls: BTreeMap<String, Call>,
}

/// A group of agents, as far as desks go by it.
#[derive(Debug)]
struct Group {
    plan: DeskPlan,
    /// Whom its agents call: each other, and outside numbers.
    partners: Vec<String>,
}

/// All desks. See the module.
#[derive(Debug)]
pub(super) struct Desks {
    desks: Vec<Desk>,
    by_dn: BTreeMap<String, usize>,
    groups: Vec<Group>,
    connections: Vec<Vec<usize>>,
    agenda: Agenda<(usize, Due)>,
    commands: VecDeque<Command>,
    next_reference: u64,
    is_over: bool,
}

impl Desks {
    /// The desks of a profile, each at its connection; the first connection is number `first`.
    #[must_use]
    pub(super) fn new(profile: &Profile, first: usize) -> Self {
        let mut made = Self {
            desks: Vec::new(),
            by_dn: BTreeMap::new(),
            groups: Vec::new(),
            connections: Vec::new(),
            agenda: Agenda::default(),
            commands: VecDeque::new(),
            next_reference: FIRST_REFERENCE,
            is_over: false,
        };
        for (group, plan) in profile.agents.iter().enumerate() {
            let mut partners: Vec<String> = plan.phones.iter().take(1_000).collect();
            let outside = profile.pbxs.iter().flat_map(|pbx| pbx.outside.iter());
            partners.extend(outside.take(100));
            made.groups.push(Group {
                plan: plan.desk,
                partners,
            });
            let mut seats = 0;
            for (number, dn) in plan.phones.iter().enumerate() {
                let stream = DESK_STREAM + number as u64 + ((group as u64) << 24);
                let mut random = Random::new(profile.seed, stream);
                if !random.chance(plan.desktops) {
                    continue;
                }
                if seats % plan.per_connection == 0 {
                    made.connections.push(Vec::new());
                }
                seats += 1;
                made.seat(dn, group, random, first);
            }
        }
        made
    }

    fn seat(&mut self, dn: String, group: usize, random: Random, first: usize) {
        let place = self.desks.len();
        let last = self.connections.len() - 1;
        self.connections[last].push(place);
        self.by_dn.insert(dn.clone(), place);
        self.desks.push(Desk {
            dn,
            group,
            connection: Connection(first + last),
            random,
            registered: false,
            logged_in: false,
            on_break: false,
            calls: BTreeMap::new(),
        });
    }

    /// The DNs of each connection, in the order of their numbers.
    #[must_use]
    pub(super) fn connections(&self) -> Vec<Vec<String>> {
        let dns = |places: &Vec<usize>| {
            let dn = |place: &usize| self.desks[*place].dn.clone();
            places.iter().map(dn).collect()
        };
        self.connections.iter().map(dns).collect()
    }

    /// How the desks of a connection behave; all of one connection are of one group.
    #[must_use]
    pub(super) fn plan_of(&self, connection: usize) -> &DeskPlan {
        let first = self.connections[connection][0];
        &self.groups[self.desks[first].group].plan
    }

    /// How many desks there are.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.desks.len()
    }

    /// Work begins: logins, and what comes again and again.
    pub(super) fn begin(&mut self, now: Instant) {
        for place in 0..self.desks.len() {
            let Group { plan, .. } = &self.groups[self.desks[place].group];
            let desk = &mut self.desks[place];
            let login = desk.random.within(plan.login);
            self.agenda.add(now + login, (place, Due::Login));
            if let Some((every, _)) = plan.breaks {
                let gap = login + desk.random.gap(every);
                self.agenda.add(now + gap, (place, Due::Break));
            }
            if let Some(every) = plan.makes_calls {
                let gap = login + desk.random.gap(every);
                self.agenda.add(now + gap, (place, Due::MakeCall));
            }
        }
        for (number, places) in self.connections.iter().enumerate() {
            let first = places[0];
            let plan = self.groups[self.desks[first].group].plan;
            if let Some((every, _)) = plan.disconnects {
                let connection = self.desks[first].connection;
                let gap = self.desks[first].random.gap(every);
                let due = Due::Disconnect(connection, number);
                self.agenda.add(now + gap, (first, due));
            }
        }
    }

    /// Nothing new begins any more: no breaks, calls, losses of connections, ends of shifts. Who is
    /// on a break comes back.
    pub(super) fn close(&mut self, now: Instant) {
        self.is_over = true;
        self.agenda.retain(|(_, due)| {
            !matches!(
                due,
                Due::Break | Due::Logout | Due::MakeCall | Due::Disconnect(..)
            )
        });
        for place in 0..self.desks.len() {
            if self.desks[place].on_break {
                self.act(now, place, Due::BreakOver);
            }
        }
    }

    /// Hears what the server says.
    pub(super) fn hear(&mut self, said: &Said) {
        let Some(place) = self.by_dn.get(&said.dn).copied() else {
            return;
        };
        let desk = &mut self.desks[place];
        if desk.connection != said.connection {
            return;
        }
        match said.message.as_str() {
            "EventRegistered" => desk.registered = true,
            "EventAgentLogin" => desk.logged_in = true,
            "EventAgentLogout" => desk.logged_in = false,
            _ => self.hear_of_call(said, place),
        }
    }

    /// Time has come.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, (place, due))) = self.agenda.take_due(now) {
            self.act(at, place, due);
        }
    }

    /// When something is due.
    #[must_use]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.agenda.next()
    }

    /// The next request.
    pub(super) fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn act(&mut self, at: Instant, place: usize, due: Due) {
        let group = self.desks[place].group;
        let plan = self.groups[group].plan;
        let desk = &mut self.desks[place];
        match due {
            Due::Login => {
                self.ask(
                    place,
                    "RequestAgentLogin",
                    json!({"AgentWorkMode": "AutoIn"}),
                );
                if let Some((shift, _)) = plan.shift.filter(|_| !self.is_over) {
                    let length = self.desks[place].random.within(shift);
                    self.agenda.add(at + length, (place, Due::Logout));
                }
            }
            Due::Logout => {
                self.ask(place, "RequestAgentLogout", json!({}));
                if let Some((_, pause)) = plan.shift {
                    let pause = self.desks[place].random.within(pause);
                    self.agenda.add(at + pause, (place, Due::Login));
                }
            }
            Due::Break => {
                let Some((every, length)) = plan.breaks else {
                    return;
                };
                let (length, gap) = (desk.random.within(length), desk.random.gap(every));
                desk.on_break = true;
                self.agenda.add(at + length, (place, Due::BreakOver));
                self.agenda.add(at + length + gap, (place, Due::Break));
                let fields = json!({"AgentWorkMode": "AuxWork", "Reasons": {"Break": "coffee"}});
                self.ask(place, "RequestAgentNotReady", fields);
            }
            Due::BreakOver => {
                if std::mem::take(&mut desk.on_break) {
                    self.ask(place, "RequestAgentReady", json!({}));
                }
            }
            Due::WrappedUp => {
                if !desk.on_break && desk.calls.is_empty() {
                    self.ask(place, "RequestAgentReady", json!({}));
                }
            }
            Due::Act(call, act) => self.act_on(place, &call, act),
            Due::MakeCall => {
                let gap = plan.makes_calls.map(|every| desk.random.gap(every));
                let idle = desk.calls.is_empty();
                let partner = self.partner(place);
                if let Some(gap) = gap.filter(|_| !self.is_over) {
                    self.agenda.add(at + gap, (place, Due::MakeCall));
                }
                if let Some(partner) = partner.filter(|_| idle) {
                    self.ask(place, "RequestMakeCall", json!({ "OtherDN": partner }));
                }
            }
            Due::Disconnect(connection, number) => {
                let Some((every, length)) = plan.disconnects else {
                    return;
                };
                let (length, gap) = (desk.random.within(length), desk.random.gap(every));
                self.commands.push_back(Command::Lose(connection, length));
                let due = Due::Disconnect(connection, number);
                self.agenda.add(at + length + gap, (place, due));
            }
        }
    }

    fn ask(&mut self, place: usize, message: &str, fields: Value) {
        let desk = &self.desks[place];
        let reference = self.next_reference;
        self.next_reference += 1;
        let mut frame = json!({
            "Message": message,
            "ReferenceID": reference,
            "ThisDN": desk.dn,
        });
        if let (Some(frame), Value::Object(fields)) = (frame.as_object_mut(), fields) {
            frame.extend(fields);
        }
        self.commands.push_back(Command::Ask(Asked {
            connection: desk.connection,
            reference,
            message: message.to_owned(),
            dn: desk.dn.clone(),
            frame: frame.to_string(),
        }));
    }
}
