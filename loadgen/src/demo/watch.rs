//! A CTI client that listens to everything: the server's words about agents, with the moment at
//! which each arrived.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use offhook::server::websocket::SUBPROTOCOL;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::error::DemoError;
use super::measure::now;
use super::stage::Input;

/// How long the server may take to accept the connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// What the server says about an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// EventAgentLogin, or LoggedIn in a snapshot.
    LoggedIn,
    /// EventAgentLogout.
    LoggedOut,
    /// EventAgentReady.
    Ready,
    /// EventAgentNotReady, with Extensions.ReasonCode.
    NotReady(Option<String>),
    /// EventAgentNotReady with the work mode AfterCallWork.
    WrappingUp,
}

/// One word with its agent and its moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) at: Instant,
    pub(super) dn: String,
    pub(super) word: Word,
}

/// Connects in a thread of its own; what is heard goes to `inputs`, the end as well.
pub(super) fn listen(http: SocketAddr, inputs: Sender<Input>) -> Result<JoinHandle<()>, DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(DemoError::Generator)?;
    let thread = std::thread::Builder::new().name("cti".to_owned());
    let listening = thread.spawn(move || {
        let words = match runtime.block_on(attend(http, &inputs)) {
            Ok(()) => "the server has closed the connection".to_owned(),
            Err(error) => error,
        };
        // Nobody listens any more when the demo is over.
        let _ = inputs.send(Input::CtiEnded(words));
    });
    listening.map_err(DemoError::Generator)
}

async fn attend(http: SocketAddr, inputs: &Sender<Input>) -> Result<(), String> {
    let words = |error: tokio_tungstenite::tungstenite::Error| error.to_string();
    let mut request = format!("ws://{http}/cti")
        .into_client_request()
        .map_err(words)?;
    let protocol = SUBPROTOCOL
        .parse()
        .expect("the protocol's name is a header value");
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", protocol);
    let connecting = tokio_tungstenite::connect_async(request);
    let connected = tokio::time::timeout(CONNECT_TIME_MAX, connecting).await;
    let (mut socket, _) = connected
        .map_err(|_| format!("no answer from {http}"))?
        .map_err(words)?;
    let register =
        json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "*"}).to_string();
    socket
        .send(Message::Text(register.into()))
        .await
        .map_err(words)?;
    while let Some(message) = socket.next().await {
        let at = now();
        match message.map_err(words)? {
            Message::Text(text) => {
                let event: Value =
                    serde_json::from_str(&text).map_err(|error| error.to_string())?;
                for said in heard(at, &event)? {
                    if inputs.send(Input::Said(said)).is_err() {
                        return Ok(());
                    }
                }
            }
            Message::Close(_) => return Ok(()),
            // Pings are answered below us.
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    Ok(())
}

/// What an event says about agents: one word, many in a snapshot, none in most.
fn heard(at: Instant, event: &Value) -> Result<Vec<Said>, String> {
    let dn = event["ThisDN"].as_str().unwrap_or_default();
    let said = |word| {
        Ok(vec![Said {
            at,
            dn: dn.to_owned(),
            word,
        }])
    };
    match event["Message"].as_str().unwrap_or_default() {
        "EventAgentLogin" => said(Word::LoggedIn),
        "EventAgentLogout" => said(Word::LoggedOut),
        "EventAgentReady" => said(Word::Ready),
        "EventAgentNotReady" => said(not_ready(&event["AgentWorkMode"], &event["Extensions"])),
        "EventRegistered" => Ok(snapshot(at, &event["Extensions"])),
        "EventError" => Err(event["ErrorMessage"]
            .as_str()
            .unwrap_or("EventError")
            .to_owned()),
        _ => Ok(Vec::new()),
    }
}

fn not_ready(work_mode: &Value, extensions: &Value) -> Word {
    if work_mode == "AfterCallWork" {
        return Word::WrappingUp;
    }
    Word::NotReady(extensions["ReasonCode"].as_str().map(str::to_owned))
}

fn snapshot(at: Instant, extensions: &Value) -> Vec<Said> {
    let addresses = extensions["Addresses"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let of_agent = |address: &Value| {
        let word = match address["AgentStatus"].as_str()? {
            "LoggedOut" => Word::LoggedOut,
            "LoggedIn" => Word::LoggedIn,
            "Ready" => Word::Ready,
            "ACW" => Word::WrappingUp,
            _ => not_ready(&address["AgentWorkMode"], address),
        };
        Some(Said {
            at,
            dn: address["ThisDN"].as_str()?.to_owned(),
            word,
        })
    };
    addresses.iter().filter_map(of_agent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(event: &Value) -> Vec<(String, Word)> {
        let heard = heard(now(), event).expect("no error event");
        heard.into_iter().map(|said| (said.dn, said.word)).collect()
    }

    #[test]
    fn agent_events_and_snapshots_are_words() {
        let event = json!({"Message": "EventAgentNotReady", "ThisDN": "1", "AgentWorkMode":
            "Unknown", "Extensions": {"ReasonCode": "on-the-phone", "Source": "presence"}});
        let on_the_phone = Word::NotReady(Some("on-the-phone".to_owned()));
        assert_eq!(words(&event), [("1".to_owned(), on_the_phone)]);
        let event = json!({"Message": "EventAgentNotReady", "ThisDN": "1",
            "AgentWorkMode": "AfterCallWork"});
        assert_eq!(words(&event), [("1".to_owned(), Word::WrappingUp)]);
        let event = json!({"Message": "EventRegistered", "ThisDN": "*", "Extensions": {
            "Addresses": [{"ThisDN": "1", "AgentStatus": "Ready"}, {"ThisDN": "ucm"},
                {"ThisDN": "2", "AgentStatus": "NotReady", "ReasonCode": "away"}]}});
        let away = Word::NotReady(Some("away".to_owned()));
        assert_eq!(
            words(&event),
            [("1".to_owned(), Word::Ready), ("2".to_owned(), away)]
        );
        assert_eq!(
            words(&json!({"Message": "EventRinging", "ThisDN": "1"})),
            []
        );
        assert!(
            heard(
                now(),
                &json!({"Message": "EventError", "ErrorMessage": "no"})
            )
            .is_err()
        );
    }
}
