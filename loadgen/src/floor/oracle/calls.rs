//! Callers and phones: every call ends once, nobody has two at once, and nobody rings who should
//! not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::agents::{Agents, Availability};
use super::{Findings, Lapse, Measure, Rule, Troubles, Violation};
use crate::floor::profile::Profile;
use crate::population::{Fact, Outcome, Record, Token};

/// A caller who has not ended.
#[derive(Debug)]
struct Caller {
    pbx: usize,
    intended: Instant,
    number: String,
    connected: bool,
    /// Phones that ring with it, since when.
    rings: BTreeMap<String, Instant>,
    /// When a phone answered last.
    answered: Option<Instant>,
    /// When a phone last did not take the call.
    returned: Option<Instant>,
    /// Whether it has been reported that it waits while somebody is free.
    starves: bool,
}

/// A phone with its calls, each since when.
#[derive(Debug, Default)]
struct Phone {
    calls: Vec<(Option<Token>, Instant)>,
    reported: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Calls {
    /// Who may be rung by whom: agents by number dialled; `None` is anybody.
    targets: BTreeMap<String, BTreeSet<String>>,
    pbx_of: BTreeMap<String, usize>,
    calls_max: Vec<usize>,
    state: Duration,
    overlap: Duration,
    waiting: Duration,
    callers: BTreeMap<Token, Caller>,
    phones: BTreeMap<String, Phone>,
    times: Vec<(Measure, Duration)>,
}

impl Calls {
    pub(super) fn new(profile: &Profile) -> Self {
        let mut targets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for queue in &profile.queues {
            let serve = |group: &&crate::floor::profile::AgentPlan| {
                let routed = profile.routers.iter().any(|router| {
                    router
                        .numbers
                        .iter()
                        .any(|number| queue.numbers.contains(number))
                        && router.groups.contains(&group.name)
                });
                routed || group.queues.contains(&queue.name)
            };
            let agents: BTreeSet<String> = profile
                .agents
                .iter()
                .filter(serve)
                .flat_map(|group| group.phones.iter())
                .collect();
            for number in &queue.numbers {
                targets.insert(number.clone(), agents.clone());
            }
        }
        let pbx_of = profile.pbxs.iter().enumerate().flat_map(|(pbx, plan)| {
            let phones = plan.phones.iter().chain(plan.outside.iter());
            phones.map(move |dn| (dn, pbx))
        });
        Self {
            targets,
            pbx_of: pbx_of.collect(),
            calls_max: profile.pbxs.iter().map(|pbx| pbx.calls_max).collect(),
            state: profile.bounds.state,
            overlap: profile.bounds.event,
            waiting: profile.bounds.waiting,
            callers: BTreeMap::new(),
            phones: BTreeMap::new(),
            times: Vec::new(),
        }
    }

    pub(super) fn take_times(&mut self) -> Vec<(Measure, Duration)> {
        std::mem::take(&mut self.times)
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "it looks for what moves a call, among many facts"
    )]
    pub(super) fn see(
        &mut self,
        pbx: usize,
        record: &Record,
        available: Availability,
        troubles: &Troubles,
        findings: &mut Findings,
    ) {
        let at = record.at;
        match &record.fact {
            Fact::Offered {
                token,
                intended,
                number,
            } => {
                let caller = Caller {
                    pbx,
                    intended: *intended,
                    number: number.clone(),
                    connected: false,
                    rings: BTreeMap::new(),
                    answered: None,
                    returned: None,
                    starves: false,
                };
                self.callers.insert(*token, caller);
            }
            Fact::Connected { token } => {
                if let Some(caller) = self.callers.get_mut(token) {
                    caller.connected = true;
                    if let Some(answered) = caller.answered {
                        let time = at.saturating_duration_since(answered);
                        self.times.push((Measure::Bridge, time));
                    }
                }
            }
            Fact::Ended { token, outcome } => {
                self.ended(at, *token, *outcome, troubles, findings);
            }
            Fact::Rang { token, dn } => {
                self.rang(at, *token, dn, available, troubles, findings);
            }
            Fact::PhoneAnswered { token, dn } => {
                if let Some(caller) = token.and_then(|token| self.callers.get_mut(&token)) {
                    caller.rings.remove(dn);
                    caller.answered = Some(at);
                }
            }
            Fact::PhoneRefused { token, dn, .. }
            | Fact::PhoneCancelled { token, dn }
            | Fact::PhoneEnded { token, dn, .. } => {
                self.phone_free(at, *token, dn);
            }
            _ => {}
        }
    }

    fn rang(
        &mut self,
        at: Instant,
        token: Option<Token>,
        dn: &str,
        available: Availability,
        troubles: &Troubles,
        findings: &mut Findings,
    ) {
        let phone = self.phones.entry(dn.to_owned()).or_default();
        phone.calls.push((token, at));
        let home = self.pbx_of.get(dn).copied().unwrap_or(0);
        let Some((token, caller)) =
            token.and_then(|token| Some((token, self.callers.get_mut(&token)?)))
        else {
            return;
        };
        // A phone that is being cancelled rings for a moment still. Since when the caller could be
        // offered elsewhere only the server knows then.
        let rings_elsewhere = !caller.rings.is_empty();
        caller.rings.insert(dn.to_owned(), at);
        if caller.connected {
            return;
        }
        let mut wrong = |words: String| {
            findings.add(Violation {
                at,
                rule: Rule::WrongAgent,
                token: Some(token),
                conn_id: None,
                dn: Some(dn.to_owned()),
                words,
            });
        };
        match self.targets.get(&caller.number) {
            Some(agents) if !agents.contains(dn) => {
                wrong(format!("{} leads to other agents", caller.number));
            }
            None if caller.number != dn => {
                wrong(format!("the caller has dialled {}", caller.number));
            }
            Some(_) | None => {}
        }
        let is_queue = self.targets.contains_key(&caller.number);
        match available {
            Availability::Unfree(since)
                if is_queue
                    && at >= since + self.state
                    && !troubles.excuse(home, since, at, Lapse::Unfree) =>
            {
                let length = at.saturating_duration_since(since).as_millis();
                wrong(format!("the agent takes no calls since {length} ms"));
            }
            Availability::Free(since) if is_queue && !rings_elsewhere => {
                let waits = caller.returned.unwrap_or(caller.intended);
                let met = since.map_or(waits, |since| since.max(waits));
                let time = at.saturating_duration_since(met);
                self.times.push((Measure::Routing, time));
            }
            Availability::Unfree(_) | Availability::Free(_) | Availability::Unknown => {}
        }
    }

    fn phone_free(&mut self, at: Instant, token: Option<Token>, dn: &str) {
        if let Some(phone) = self.phones.get_mut(dn) {
            let place = phone.calls.iter().position(|(of, _)| *of == token);
            if let Some(place) = place {
                phone.calls.remove(place);
            }
            if phone.calls.is_empty() {
                self.phones.remove(dn);
            }
        }
        if let Some(caller) = token.and_then(|token| self.callers.get_mut(&token)) {
            caller.rings.remove(dn);
            caller.returned = Some(at);
        }
    }

    fn ended(
        &mut self,
        at: Instant,
        token: Token,
        outcome: Outcome,
        troubles: &Troubles,
        findings: &mut Findings,
    ) {
        let mut conservation = |words: String| {
            findings.add(Violation {
                at,
                rule: Rule::Conservation,
                token: Some(token),
                conn_id: None,
                dn: None,
                words,
            });
        };
        let Some(caller) = self.callers.remove(&token) else {
            return conservation(format!("a call ends that was never offered: {outcome:?}"));
        };
        if outcome == Outcome::Abandoned {
            let waited = at.saturating_duration_since(caller.intended);
            self.times.push((Measure::GivenUp, waited));
        }
        if let Outcome::Lost(fault) = outcome
            && !troubles.excuse(caller.pbx, caller.intended, at, Lapse::CallLost)
        {
            conservation(format!("the call is lost: {fault:?}"));
        }
    }

    pub(super) fn check(&mut self, now: Instant, troubles: &Troubles, findings: &mut Findings) {
        let overlap = self.overlap;
        let lasted = |since: Instant| now >= since + overlap;
        for (dn, phone) in &mut self.phones {
            let home = self.pbx_of.get(dn).copied().unwrap_or(0);
            let calls_max = self.calls_max.get(home).copied().unwrap_or(1);
            let many = phone
                .calls
                .iter()
                .filter(|(_, since)| lasted(*since))
                .count();
            if many <= calls_max {
                phone.reported = false;
            } else if !phone.reported && !troubles.excuse(home, now, now, Lapse::TwoAtOnce) {
                phone.reported = true;
                findings.add(Violation {
                    at: now,
                    rule: Rule::DoubleOffer,
                    token: phone.calls.last().and_then(|(token, _)| *token),
                    conn_id: None,
                    dn: Some(dn.clone()),
                    words: format!("the phone has {many} calls at once"),
                });
            }
        }
        for (token, caller) in &mut self.callers {
            let rings: Vec<&String> = caller
                .rings
                .iter()
                .filter(|(_, since)| lasted(**since))
                .map(|(dn, _)| dn)
                .collect();
            if let [first, second, ..] = &rings[..]
                && !troubles.excuse(caller.pbx, now, now, Lapse::TwoAtOnce)
            {
                findings.add(Violation {
                    at: now,
                    rule: Rule::DoubleOffer,
                    token: Some(*token),
                    conn_id: None,
                    dn: Some((*second).clone()),
                    words: format!("the caller rings at {first} and at {second} at once"),
                });
                caller.rings.clear();
            }
        }
    }

    /// Nobody waits for longer than the bound while an agent of the queue has been free as long.
    pub(super) fn check_waiting(
        &mut self,
        now: Instant,
        agents: &Agents,
        troubles: &Troubles,
        findings: &mut Findings,
    ) {
        let lately = now.checked_sub(self.waiting).unwrap_or(now);
        let mut free: BTreeMap<&String, Option<&String>> = BTreeMap::new();
        for (token, caller) in &mut self.callers {
            let since = caller.returned.unwrap_or(caller.intended);
            let waits = !caller.connected && caller.rings.is_empty() && caller.answered.is_none();
            if !waits || caller.starves || now < since + self.waiting {
                continue;
            }
            let Some((number, targets)) = self.targets.get_key_value(&caller.number) else {
                continue;
            };
            let is_free = |dn: &&String| {
                let home = self.pbx_of.get(*dn).copied().unwrap_or(0);
                agents.is_free(dn, now, self.waiting)
                    && !troubles.excuse(home, lately, now, Lapse::Starved)
            };
            let found = free
                .entry(number)
                .or_insert_with(|| targets.iter().find(is_free));
            let Some(dn) = *found else {
                continue;
            };
            if troubles.excuse(caller.pbx, since, now, Lapse::Starved) {
                continue;
            }
            caller.starves = true;
            let length = now.saturating_duration_since(since).as_millis();
            findings.add(Violation {
                at: now,
                rule: Rule::Starvation,
                token: Some(*token),
                conn_id: None,
                dn: Some(dn.clone()),
                words: format!("the caller waits for {length} ms while the agent is free"),
            });
        }
    }

    /// Nobody may be left.
    pub(super) fn finish(&mut self, now: Instant, troubles: &Troubles, findings: &mut Findings) {
        for (token, _) in std::mem::take(&mut self.callers) {
            findings.add(Violation {
                at: now,
                rule: Rule::Conservation,
                token: Some(token),
                conn_id: None,
                dn: None,
                words: "the call has not ended".to_owned(),
            });
        }
        for (dn, phone) in std::mem::take(&mut self.phones) {
            let home = self.pbx_of.get(&dn).copied().unwrap_or(0);
            let since = phone.calls.first().map_or(now, |(_, since)| *since);
            if !troubles.excuse(home, since, now, Lapse::PhoneLeft) {
                findings.add(Violation {
                    at: now,
                    rule: Rule::Conservation,
                    token: phone.calls.first().and_then(|(token, _)| *token),
                    conn_id: None,
                    dn: Some(dn),
                    words: "a call at the phone has not ended".to_owned(),
                });
            }
        }
    }
}
