//! What goes wrong on purpose, and what it excuses.

use super::*;

#[test]
fn a_broken_rule_of_sip_counts_unless_it_was_broken_on_purpose() {
    let fault = |fault| Fact::Fault {
        token: Some(TOKEN),
        dn: Some("2000".to_owned()),
        fault,
    };
    let mut history = History::new();
    history.see(fault(Fault::OkWithoutAnswer));
    history.breaks(&[Rule::Protocol]);
    let length = Duration::from_secs(5);
    for (kind, found, excused) in [
        (FaultKind::Silence, Fault::ByeUnanswered, true),
        (FaultKind::Silence, Fault::OkWithoutAnswer, false),
        (FaultKind::Mute(0.5), Fault::OkWithoutAnswer, true),
        (FaultKind::Storm(3), Fault::NotifyUnanswered, false),
    ] {
        let mut history = History::new();
        history.oracle.trouble(history.now, 0, kind, length);
        history.see(fault(found));
        history.breaks(if excused { &[] } else { &[Rule::Protocol] });
    }
}

#[test]
fn times_of_trouble_excuse_states_and_their_time_is_measured() {
    let mut history = History::new();
    let kind = FaultKind::Silence;
    let length = Duration::from_secs(5);
    history.oracle.trouble(history.now, 0, kind, length);
    let dn = || "2000".to_owned();
    history.see(Fact::PrivateCall {
        dn: dn(),
        active: true,
    });
    history.wait(10);
    history.see(Fact::PrivateCall {
        dn: dn(),
        active: false,
    });
    history.wait(60);
    history.see(Fact::PrivateCall {
        dn: dn(),
        active: true,
    });
    history.see(Fact::Notified {
        dn: dn(),
        presence: Presence::OnThePhone,
    });
    history.now += Duration::from_millis(7);
    let busy = Said {
        reason: Some("on-the-phone".to_owned()),
        ..history.said("EventAgentNotReady", "2000", None)
    };
    history.sequence += 1;
    history.oracle.hear(&busy);
    let times = history.oracle.take_times();
    assert!(
        times.contains(&(Measure::State, Duration::from_millis(7))),
        "{times:?}"
    );
    history.breaks(&[]);
}

#[test]
fn bad_weather_and_storms_excuse_nobody() {
    let length = Duration::from_secs(60);
    let weather = crate::floor::profile::Weather::CALM;
    for kind in [FaultKind::Weather(weather), FaultKind::Storm(3)] {
        let mut history = History::new();
        history.oracle.trouble(history.now, 0, kind, length);
        history.see(Fact::PrivateCall {
            dn: "2000".to_owned(),
            active: true,
        });
        history.wait(10);
        history.see(Fact::PrivateCall {
            dn: "2000".to_owned(),
            active: false,
        });
        history.breaks(&[Rule::StaleState]);
    }
}
