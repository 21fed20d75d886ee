//! Who plays on a floor: the PBX with its phones, the callers, when they come, and the connections
//! of desks and routers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offhook_shards::clock::Clock;

use super::cti::Line;
use super::desk::Desks;
use super::error::FloorError;
use super::prefix;
use super::profile::{CallerPlan, PbxPlan, Profile};
use super::router::Routers;
use crate::files;
use crate::load::{Arrivals, Moments, Plan};
use crate::population::{
    CallerHabits, Callers, CallersOptions, Habits, Pbx, PbxOptions, Population, Random,
};

/// A PBX with its phones and those who call through it.
pub(super) fn population(
    profile: &Profile,
    number: usize,
    plan: &PbxPlan,
    (nodes, callers): (&[SocketAddr], SocketAddr),
    sip: SocketAddr,
) -> Population {
    let seed = profile.seed.wrapping_add((number as u64) << 48);
    let dns = plan.phones.iter().chain(plan.outside.iter());
    let mut pbx = Pbx::new(PbxOptions {
        addresses: nodes.to_vec(),
        seed,
        expires_max: plan.expires,
        notify_first: plan.notify_first,
        alerting_is_shown: plan.shows_ringing,
        calls_max: plan.calls_max,
        server: Some(sip),
        kind: plan.kind,
        ..PbxOptions::new(nodes[0], dns)
    });
    let now = Clock.now();
    for group in &profile.agents {
        let habits = Arc::new(group.habits);
        for dn in group.phones.iter().filter(|dn| plan.phones.contains(dn)) {
            pbx.phone(now, &dn).set_habits(Arc::clone(&habits));
        }
    }
    let outsiders = Arc::new(Habits {
        talking: Some(plan.outside_talk),
        ..Habits::default()
    });
    for dn in plan.outside.iter() {
        pbx.phone(now, &dn).set_habits(Arc::clone(&outsiders));
    }
    let callers = Callers::new(CallersOptions {
        seed,
        prefix: prefix(number),
        ..CallersOptions::new(callers, sip, "7000")
    });
    // Long enough for a NOTIFY and what follows from it.
    Population::new(pbx, callers, Duration::from_millis(500))
}

/// The habits of a group of callers.
pub(super) fn habits(plan: &CallerPlan) -> CallerHabits {
    CallerHabits {
        numbers: plan.numbers.clone(),
        early_offer: plan.early_offer,
        patience: plan.patience,
        impatient: plan.impatient,
        expires: (plan.expires > 0).then_some(plan.expires),
        talking: plan.talking,
        holds: plan.holds,
        redials: plan.redials,
    }
}

/// Bytes of a file of moments; a longer one is refused.
const MOMENTS_BYTES_MAX: usize = 256 << 20;

/// When callers of a group come; the seed is the profile's, and the group's place in it.
pub(super) fn arrivals(profile: &Profile, number: usize) -> Result<Arrivals, FloorError> {
    let plan = &profile.callers[number];
    let read = match &plan.arrivals {
        Moments::Shape(shape) => Plan::Shaped {
            shape: shape.clone(),
            spacing: plan.spacing,
        },
        Moments::File(path) => {
            let wrong = |words: String| FloorError::Arrivals(path.clone(), words);
            let text = files::read_text(path, MOMENTS_BYTES_MAX).map_err(wrong)?;
            Plan::listed(&text).map_err(wrong)?
        }
    };
    let seed = profile.seed.wrapping_add((number as u64) << 40);
    Ok(Arrivals::new(&read, seed))
}

/// The connections: the observer's, the desks', the routers'.
pub(super) fn lines(profile: &Profile, desks: &Desks, routers: &Routers) -> Vec<Line> {
    let observer = Line {
        addresses: vec!["*".to_owned()],
        routes: false,
        pause: None,
    };
    let mut random = Random::new(profile.seed, 5 << 32);
    let connections = desks.connections().into_iter().enumerate();
    let desktops = connections.map(|(number, addresses)| {
        let (slow, pause) = desks.plan_of(number).slow;
        Line {
            addresses,
            routes: false,
            pause: random.chance(slow).then_some(pause),
        }
    });
    let routing = routers.addresses().into_iter().map(|addresses| Line {
        addresses,
        routes: true,
        pause: None,
    });
    let mut lines = vec![observer];
    lines.extend(desktops);
    lines.extend(routing);
    lines
}
