//! What the event stream folds to: snapshots, and the pages of the HTTP API.

use super::*;
use crate::cti::{Notice, SubscriptionStatus};

#[test]
fn the_snapshot_says_what_the_events_said() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    let fresh = stage.register(&mut desk, "2001");
    assert_eq!(
        fresh["Extensions"],
        json!({"AddressType": "DN", "AddressStatus": "Idle", "AgentStatus": "LoggedOut",
               "SubscriptionStatus": "Off", "EventSequenceNumber": 0})
    );
    let mut login = stage.event(EventName::AgentLogin, "2001");
    login.agent_id = Some("carol".into());
    stage.emit(login);
    let mut not_ready = stage.event(EventName::AgentNotReady, "2001");
    not_ready.agent_work_mode = Some(AgentWorkMode::Unknown);
    not_ready.extensions = KeyValueList::new()
        .with_text("ReasonCode", "on-the-phone")
        .with_text("Source", "presence");
    stage.emit(not_ready);
    stage.emit(call_event(&stage, EventName::Ringing, "2001"));
    let notice = Notice::Subscription {
        dn: DnIndex(0),
        status: SubscriptionStatus::Active,
    };
    stage.hub.handle_output(Output::Notice(notice));
    desk.hear_all();
    let query = json!({"Message": "RequestQueryAddress", "ReferenceID": 4, "ThisDN": "2001"});
    let now = stage.hub.clock.date(stage.now);
    assert_eq!(
        stage.ask(&mut desk, &query)["Extensions"],
        json!({
            "AddressType": "DN", "AddressStatus": "Ringing", "AgentStatus": "NotReady",
            "AgentID": "carol", "AgentWorkMode": "Unknown", "ReasonCode": "on-the-phone",
            "Source": "presence", "Since": now, "SubscriptionStatus": "Active",
            "Calls": [{
                "ConnID": "00010000000000ab", "CallID": 17,
                "CallUUID": call().call_uuid.to_string(), "CallType": "Inbound",
                "ANI": "+441632960123", "DNIS": "7000", "UserData": {"Language": "en"},
                "PartyStatus": "Ringing", "CallState": "Ok", "ThisDNRole": "Destination",
                "OtherDN": "+441632960123", "ThisQueue": "7000", "Since": now,
            }],
            "EventSequenceNumber": 3,
        })
    );
    stage.emit(call_event(&stage, EventName::Established, "2001"));
    let calls = stage.hub.query(&Identity::everyone(), &ALL_CALLS).unwrap();
    assert_eq!(calls["Calls"][0]["Parties"][0]["PartyStatus"], "Talking");
    stage.emit(call_event(&stage, EventName::Released, "2001"));
    let calls = stage.hub.query(&Identity::everyone(), &ALL_CALLS).unwrap();
    assert_eq!(calls["Calls"], json!([]));
}

/// Whoever sees everything and an agent who sees its own, in pages of any size: each call once.
#[test]
fn calls_are_told_in_pages() {
    let mut stage = Stage::new();
    let serials = [3_u64, 1, 0x00ab, 7, 200];
    for serial in serials {
        for dn in ["2001", "7000"] {
            let mut event = call_event(&stage, EventName::Ringing, dn);
            event.call = Some(Arc::new(CallInfo {
                conn_id: ConnId::new(ShardId((serial % 2) as u16), serial),
                ..CallInfo::clone(&call())
            }));
            stage.emit(event);
        }
    }
    let agent = Identity {
        role: Role::Agent,
        dns: vec![DnIndex(0)],
        ..Identity::everyone()
    };
    for identity in [Identity::everyone(), agent] {
        let page = |after, limit| {
            let query = Query::Calls { after, limit };
            stage.hub.query(&identity, &query).unwrap()
        };
        let names = |page: &Json| -> Vec<String> {
            let calls = page["Calls"].as_array().unwrap().iter();
            calls
                .map(|call| call["ConnID"].as_str().unwrap().to_owned())
                .collect()
        };
        let all = page(None, 1_000);
        let mut sorted = names(&all);
        sorted.sort();
        assert_eq!((names(&all), all.get("Next")), (sorted, None));
        assert_eq!(names(&all).len(), serials.len());
        for limit in 1..=serials.len() {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = page(after, limit);
                assert!(names(&page).len() <= limit);
                seen.extend(names(&page));
                let Some(next) = page.get("Next") else { break };
                after = ConnId::parse(next.as_str().unwrap());
                assert!(after.is_some(), "{next}");
            }
            assert_eq!(seen, names(&all), "{limit}");
        }
    }
}

#[test]
fn queues_routing_points_and_trunks_are_shown() {
    let mut stage = Stage::new();
    stage.emit(call_event(&stage, EventName::Queued, "7000"));
    stage.emit(stage.event(EventName::DNOutOfService, "ucm"));
    let depth = Notice::QueueDepth {
        estimated_wait: None,
        queue: QueueIndex(0),
        waiting: 1,
        available: 2,
    };
    stage.hub.handle_output(Output::Notice(depth));
    let mut desk = stage.client();
    let point = stage.register(&mut desk, "7000");
    assert_eq!(point["Extensions"]["Waiting"], 1);
    assert_eq!(point["Extensions"]["Calls"][0]["PartyStatus"], "Queued");
    let queue = stage.register(&mut desk, "sales")["Extensions"].clone();
    assert_eq!(
        (&queue["Waiting"], &queue["Available"]),
        (&json!(1), &json!(2))
    );
    let trunk = stage.register(&mut desk, "ucm")["Extensions"].clone();
    assert_eq!(trunk["InService"], false);
    assert_eq!(trunk["AddressStatus"], "OutOfService");
    stage.emit(stage.event(EventName::DNBackInService, "ucm"));
    let trunks = stage
        .hub
        .query(&Identity::everyone(), &Query::Trunks)
        .unwrap();
    assert_eq!(trunks["Trunks"][0]["InService"], true);
    let queues = stage
        .hub
        .query(&Identity::everyone(), &Query::Queues)
        .unwrap();
    assert_eq!(queues["Queues"][0]["RoutingPoints"][0]["ThisDN"], "7000");
    stage.emit(call_event(&stage, EventName::Diverted, "7000"));
    let point = stage
        .hub
        .view()
        .address(stage.hub.book.find("7000").unwrap());
    assert_eq!(point["Waiting"], 0);
}

#[test]
fn http_shows_an_agent_its_own_only_and_pages_the_rest() {
    let stage = Stage::new();
    let agent = Identity {
        role: Role::Agent,
        dns: vec![DnIndex(1)],
        desktop: true,
    };
    let all = Query::Agents {
        after: None,
        limit: 100,
    };
    let own = stage.hub.query(&agent, &all).unwrap();
    assert_eq!(own["Agents"].as_array().unwrap().len(), 1);
    assert_eq!(own["Agents"][0]["ThisDN"], "2002");
    let refused = |query: &Query| stage.hub.query(&agent, query).unwrap_err().0;
    assert_eq!(refused(&Query::Queues), ErrorCode::Forbidden);
    assert_eq!(refused(&Query::Trunks), ErrorCode::Forbidden);
    assert_eq!(
        refused(&Query::Agent("2001".to_owned())),
        ErrorCode::Forbidden
    );
    assert_eq!(refused(&Query::Agent("x".to_owned())), ErrorCode::UnknownDN);
    let first = Query::Agents {
        after: None,
        limit: 2,
    };
    let page = stage.hub.query(&Identity::everyone(), &first).unwrap();
    assert_eq!(
        (page["Agents"].as_array().unwrap().len(), &page["Next"]),
        (2, &json!("2002"))
    );
    let second = Query::Agents {
        after: Some("2002".to_owned()),
        limit: 2,
    };
    let page = stage.hub.query(&Identity::everyone(), &second).unwrap();
    assert_eq!(page["Agents"][0]["ThisDN"], "2003");
    assert!(page.get("Next").is_none());
}

#[test]
fn where_a_caller_stands_is_shown() {
    let mut stage = Stage::new();
    stage.emit(call_event(&stage, EventName::Queued, "7000"));
    let conn_id = call_event(&stage, EventName::Queued, "7000")
        .call
        .unwrap()
        .conn_id;
    let place = |address: &str| Notice::QueuePlace {
        address: address.to_owned(),
        conn_id,
        position: 3,
        estimated_wait: Some(Duration::from_secs(95)),
    };
    // A word about a call that is not there any more is too late.
    for address in ["7000", "2001", "nowhere"] {
        stage.hub.handle_output(Output::Notice(place(address)));
    }
    let depth = Notice::QueueDepth {
        queue: QueueIndex(0),
        waiting: 3,
        available: 0,
        estimated_wait: Some(Duration::from_secs(120)),
    };
    stage.hub.handle_output(Output::Notice(depth));
    let mut desk = stage.client();
    let point = stage.register(&mut desk, "7000")["Extensions"].clone();
    let call = &point["Calls"][0];
    assert_eq!(
        (&call["Position"], &call["EstimatedWait"]),
        (&json!(3), &json!(95))
    );
    let everyone = Identity::everyone();
    let calls = stage.hub.query(&everyone, &ALL_CALLS).unwrap();
    assert_eq!(calls["Calls"][0]["Parties"][0]["Position"], 3);
    let queues = stage.hub.query(&everyone, &Query::Queues).unwrap();
    assert_eq!(queues["Queues"][0]["EstimatedWait"], 120);
    stage.emit(call_event(&stage, EventName::Ringing, "7000"));
    let calls = stage.hub.query(&everyone, &ALL_CALLS).unwrap();
    assert!(calls["Calls"][0]["Parties"][0].get("Position").is_none());
}
