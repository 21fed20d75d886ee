//! Calls over the real WebSocket: a desktop makes one, holds it, asks about it and ends it, while a
//! supervisor watches.

use serde_json::{Value as Json, json};

use crate::script::{CONFIGURATION, Client, server};

const CALL: &str = "0000000000000001";

fn at_2001(message: &str, reference_id: u32) -> Json {
    json!({"Message": message, "ReferenceID": reference_id, "ThisDN": "2001", "ConnID": CALL})
}

#[tokio::test]
async fn a_desktop_runs_a_call_and_others_watch() {
    let server = server(CONFIGURATION);
    let mut desktop = Client::connect(&server).await;
    let mut supervisor = Client::connect(&server).await;
    desktop.register("2001").await;
    supervisor.register("*").await;
    let make = json!({"Message": "RequestMakeCall", "ReferenceID": 2, "ThisDN": "2001",
                      "OtherDN": "5550199"});
    assert_eq!(desktop.ask(&make).await["Message"], "EventDialing");
    let hold = at_2001("RequestHoldCall", 3);
    assert_eq!(desktop.ask(&hold).await["Message"], "EventHeld");
    let mut digits = at_2001("RequestSendDTMF", 4);
    digits["DTMFDigits"] = "1#".into();
    assert_eq!(desktop.ask(&digits).await["Message"], "EventDTMFSent");
    let info = desktop.ask(&at_2001("RequestQueryCall", 5)).await;
    assert_eq!(info["Message"], "EventPartyInfo");
    assert_eq!(info["PartyStatus"], "Held");
    // The same number twice at once, and what cannot be: each has its answer.
    desktop.send(&at_2001("RequestRetrieveCall", 6)).await;
    desktop.send(&at_2001("RequestRetrieveCall", 6)).await;
    let mut other = at_2001("RequestHoldCall", 7);
    other["ConnID"] = "0000000000000002".into();
    desktop.send(&other).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        let heard = desktop.hear().await;
        answers.push((heard["ReferenceID"].as_u64(), heard["Message"].clone()));
    }
    answers.sort_by_key(|(reference_id, _)| *reference_id);
    let expected = [
        (6, "EventRetrieved"),
        (6, "EventRetrieved"),
        (7, "EventError"),
    ];
    let expected = expected.map(|(reference_id, name)| (Some(reference_id), json!(name)));
    assert_eq!(answers, expected);
    let release = at_2001("RequestReleaseCall", 8);
    assert_eq!(desktop.ask(&release).await["Message"], "EventReleased");
    assert_eq!(
        desktop.ask(&at_2001("RequestQueryCall", 9)).await["ErrorCode"],
        "InvalidConnID"
    );
    let said = json!({"Message": "RequestDistributeUserEvent", "ReferenceID": 10,
                      "ThisDN": "2001", "UserData": {"Screen": "pop"}});
    let told = desktop.ask(&said).await;
    let mut watched = Vec::new();
    for _ in 0..7 {
        let heard = supervisor.hear().await;
        assert!(heard.get("ReferenceID").is_none(), "{heard}");
        watched.push(heard["EventSequenceNumber"].as_u64().unwrap());
    }
    assert!(watched.is_sorted_by(|first, second| first + 1 == *second));
    assert_eq!(Some(watched[6]), told["EventSequenceNumber"].as_u64());
    server.stop().unwrap();
}
