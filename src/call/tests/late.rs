//! What comes late: the word of a DN that is not asked any more.

use super::control::{MIXER, sdp};
use super::*;
use crate::cti::CallAction;

fn adds(destination: &str) -> CallAction {
    CallAction::SingleStepConference {
        destination: destination.into(),
        user_data: KeyValueList::new(),
    }
}

/// 2000 has had 2002 called into its conference with the caller and 2001, and has left before that
/// one's shard answered; 2001 has 2003 called.
fn whom_somebody_else_adds() -> (Table, CallKey) {
    let text = configuration("")
        .replace("2000-2001", "2000-2003")
        .replacen("[server]", &format!("[server]\n{MIXER}"), 1);
    let mut table = Table::configured(&text);
    let key = table.talk();
    let main = table.conn_id;
    table.act(key, main, AGENT, adds("2001"));
    let (dn, elsewhere) = (OTHER, None);
    table.input(key, Input::Offer { dn, elsewhere });
    let added = table.phone;
    table.ring(key);
    let body = sdp(added.0);
    table.on(key, added, LegEvent::Answered { body });
    table.all_accept(key);
    table.act(key, main, AGENT, adds("2002"));
    table.act(key, main, AGENT, CallAction::Release);
    table.all_accept(key);
    table.commands.clear();
    table.act(key, main, OTHER, adds("2003"));
    (table, key)
}

#[test]
fn word_of_an_agent_who_is_not_asked_any_more_ends_no_other_search() {
    let dn = DnIndex(2);
    let why = agent::RefusedOffer::Busy;
    let refused = Input::DirectRefused { dn, why };
    let (destination, why) = ("2000".into(), ForwardReason::Busy);
    let forwarded = Input::DirectForwarded {
        dn,
        destination,
        why,
    };
    for late in [refused, forwarded] {
        let (mut table, key) = whom_somebody_else_adds();
        table.input(key, late.clone());
        assert_eq!(table.errors(), [], "{late:?}");
        let (dn, elsewhere) = (DnIndex(3), None);
        table.input(key, Input::Offer { dn, elsewhere });
        assert!(table.dials(dn), "{late:?}");
    }
}
