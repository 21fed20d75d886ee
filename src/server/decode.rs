//! Requests in their public form: one JSON object in, a typed request or a clear refusal out. It
//! checks form only: whether an address exists and whether the client may ask is decided in `hub`.

use serde_json::{Map, Value as Json};

use crate::cti::{
    AgentWorkMode, ConnId, DesktopRequest, ErrorCode, KeyValueList, RouteType, UserDataChange,
    Value,
};
use crate::limits::{
    CTI_FRAME_BYTES_MAX, CTI_LIST_BYTES_MAX, CTI_LIST_DEPTH_MAX, CTI_LIST_KEYS_MAX,
};

/// A request of good form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The number that the client gave it; always there on a WebSocket.
    pub reference_id: Option<u32>,
    /// What is asked.
    pub what: What,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// RequestRegisterAddress.
    Register {
        /// The address, or `*`.
        this_dn: String,
        /// Whether events wait for RequestResume.
        hold: bool,
        /// Whether the client routes the calls of a routing point, if it says so.
        router: Option<bool>,
    },
    /// RequestUnregisterAddress of an address, or `*`.
    Unregister(String),
    /// RequestQueryAddress.
    QueryAddress(String),
    /// RequestQueryServer.
    QueryServer,
    /// RequestResume.
    Resume {
        /// The start time of the server that the client was connected to.
        server_start_time: String,
        /// The last event that the client has.
        sequence: u64,
    },
    /// RequestAgentLogin, Logout, Ready, NotReady.
    Desktop(String, DesktopRequest),
    /// RequestReleaseCall.
    Release {
        /// The party that leaves.
        this_dn: String,
        /// The call.
        conn_id: ConnId,
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// RequestAttachUserData, UpdateUserData, DeletePair, DeleteUserData.
    UserData {
        /// The party in whose name.
        this_dn: String,
        /// The call.
        conn_id: ConnId,
        /// What changes.
        change: UserDataChange,
    },
    /// RequestRouteCall.
    Route {
        /// The routing point, if the router says it.
        this_dn: Option<String>,
        /// The call.
        conn_id: ConnId,
        /// Where to.
        other_dn: Option<String>,
        /// How.
        route_type: RouteType,
        /// Software reasons.
        reasons: KeyValueList,
    },
}

/// Why a frame is no request, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The number that the client gave it, if it could be read.
    pub reference_id: Option<u32>,
    /// The DN that it is about, if it could be read.
    pub this_dn: Option<String>,
    /// In name.
    pub code: ErrorCode,
    /// In words.
    pub words: String,
}

/// T-Library's requests that this server does not offer; a name that is none of them is unknown.
const NOT_OFFERED: &[&str] = &[
    "SetDNDOn",
    "SetDNDOff",
    "CallForwardSet",
    "CallForwardCancel",
    "MonitorNextCall",
    "CancelMonitoring",
    "SetMuteOn",
    "SetMuteOff",
    "ReserveAgent",
    "AgentSetIdleReason",
    "MakeCall",
    "AnswerCall",
    "ClearCall",
    "HoldCall",
    "RetrieveCall",
    "AlternateCall",
    "ReconnectCall",
    "RedirectCall",
    "InitiateTransfer",
    "CompleteTransfer",
    "MuteTransfer",
    "SingleStepTransfer",
    "InitiateConference",
    "CompleteConference",
    "SingleStepConference",
    "DeleteFromConference",
    "MergeCalls",
    "ListenDisconnect",
    "ListenReconnect",
    "SendDTMF",
    "ApplyTreatment",
    "QueryCall",
    "PrivateService",
    "DistributeEvent",
    "DistributeUserEvent",
];

type Checked<T> = Result<T, (ErrorCode, String)>;

/// Reads one frame. `reference_needed` says whether a request without `ReferenceID` is refused.
///
/// # Errors
/// What is wrong, with the `ReferenceID` and `ThisDN` to answer with where they could be read.
pub fn request(text: &[u8], reference_needed: bool) -> Result<Asked, Refusal> {
    let refusal = |code, words: String| Refusal {
        reference_id: None,
        this_dn: None,
        code,
        words,
    };
    if text.len() > CTI_FRAME_BYTES_MAX {
        let words = format!("the frame is longer than {CTI_FRAME_BYTES_MAX} bytes");
        return Err(refusal(ErrorCode::InvalidAttribute, words));
    }
    let attributes = match serde_json::from_slice(text) {
        Ok(Json::Object(attributes)) => Attributes(attributes),
        Ok(_) => {
            let words = "the frame is JSON but no object".to_owned();
            return Err(refusal(ErrorCode::InvalidAttribute, words));
        }
        Err(error) => {
            let words = format!("the frame is not JSON: {error}");
            return Err(refusal(ErrorCode::InvalidAttribute, words));
        }
    };
    let reference_id = attributes.reference_id(reference_needed);
    let known_reference = reference_id.as_ref().copied().ok().flatten();
    let blame = |(code, words)| Refusal {
        reference_id: known_reference,
        this_dn: attributes.text("ThisDN").ok().flatten(),
        code,
        words,
    };
    let reference_id = reference_id.map_err(blame)?;
    let what = attributes.what().map_err(blame)?;
    Ok(Asked { reference_id, what })
}

/// The attributes of one frame.
struct Attributes(Map<String, Json>);

impl Attributes {
    fn what(&self) -> Checked<What> {
        let message = self.needed("Message")?;
        let Some(name) = message.strip_prefix("Request") else {
            return Err(invalid(format!("Message {message:?} is no request")));
        };
        match name {
            "RegisterAddress" => Ok(What::Register {
                this_dn: self.needed("ThisDN")?,
                hold: self.switch("Hold")?.unwrap_or(false),
                router: self.switch("Router")?,
            }),
            "UnregisterAddress" => Ok(What::Unregister(self.needed("ThisDN")?)),
            "QueryAddress" => Ok(What::QueryAddress(self.needed("ThisDN")?)),
            "QueryServer" => Ok(What::QueryServer),
            "Resume" => Ok(What::Resume {
                server_start_time: self.needed("ServerStartTime")?,
                sequence: self.sequence()?,
            }),
            "AgentLogin" | "AgentLogout" | "AgentReady" | "AgentNotReady" => {
                Ok(What::Desktop(self.needed("ThisDN")?, self.desktop(name)?))
            }
            "ReleaseCall" => Ok(What::Release {
                this_dn: self.needed("ThisDN")?,
                conn_id: self.conn_id()?,
                reasons: self.list("Reasons")?,
            }),
            "AttachUserData" | "UpdateUserData" | "DeletePair" | "DeleteUserData" => {
                Ok(What::UserData {
                    this_dn: self.needed("ThisDN")?,
                    conn_id: self.conn_id()?,
                    change: self.change(name)?,
                })
            }
            "RouteCall" => self.route(),
            other if NOT_OFFERED.contains(&other) => Err((
                ErrorCode::UnsupportedOperation,
                format!("{message} is not offered by this server"),
            )),
            _ => Err(invalid(format!("Message {message:?} is unknown"))),
        }
    }

    fn desktop(&self, name: &str) -> Checked<DesktopRequest> {
        let reasons = self.list("Reasons")?;
        match name {
            "AgentLogin" => {
                let work_mode = self.work_mode(AgentWorkMode::ALL)?;
                Ok(DesktopRequest::Login {
                    agent_id: self.text("AgentID")?,
                    work_mode,
                    reasons,
                })
            }
            "AgentLogout" => Ok(DesktopRequest::Logout { reasons }),
            "AgentReady" => {
                let modes = [
                    AgentWorkMode::Unknown,
                    AgentWorkMode::ManualIn,
                    AgentWorkMode::AutoIn,
                ];
                Ok(DesktopRequest::Ready {
                    work_mode: self.work_mode(&modes)?,
                    reasons,
                })
            }
            _ => {
                let modes = [
                    AgentWorkMode::Unknown,
                    AgentWorkMode::AfterCallWork,
                    AgentWorkMode::AuxWork,
                    AgentWorkMode::LegalGuard,
                    AgentWorkMode::NoCallDisconnect,
                    AgentWorkMode::WalkAway,
                    AgentWorkMode::ReturnBack,
                ];
                Ok(DesktopRequest::NotReady {
                    work_mode: self.work_mode(&modes)?,
                    reasons,
                })
            }
        }
    }

    fn change(&self, name: &str) -> Checked<UserDataChange> {
        match name {
            "AttachUserData" => Ok(UserDataChange::Attach(self.user_data()?)),
            "UpdateUserData" => Ok(UserDataChange::Update(self.user_data()?)),
            "DeletePair" => Ok(UserDataChange::DeletePair(self.needed("Key")?)),
            _ => Ok(UserDataChange::DeleteAll),
        }
    }

    fn route(&self) -> Checked<What> {
        let other_dn = self.text("OtherDN")?;
        let route_type = match self.text("RouteType")? {
            None => RouteType::Unknown,
            Some(name) => RouteType::from_name(&name).ok_or_else(|| {
                invalid(one_of("RouteType", &name, RouteType::ALL, RouteType::name))
            })?,
        };
        let needs_destination =
            !matches!(route_type, RouteType::Default | RouteType::CallDisconnect);
        if needs_destination && other_dn.is_none() {
            return Err(invalid(format!(
                "OtherDN is missing; {} needs it",
                route_type.name()
            )));
        }
        let this_dn = self.text("ThisDN")?;
        let conn_id = self.conn_id()?;
        let reasons = self.list("Reasons")?;
        Ok(What::Route {
            this_dn,
            conn_id,
            other_dn,
            route_type,
            reasons,
        })
    }

    fn reference_id(&self, needed: bool) -> Checked<Option<u32>> {
        const FORM: &str = "a whole number from 0 to 4294967295";
        match self.0.get("ReferenceID") {
            Some(json) => match json.as_u64().and_then(|number| u32::try_from(number).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(invalid(format!("ReferenceID must be {FORM}"))),
            },
            None if needed => Err(invalid(format!("ReferenceID is missing; it is {FORM}"))),
            None => Ok(None),
        }
    }

    fn sequence(&self) -> Checked<u64> {
        let number = self.0.get("EventSequenceNumber").and_then(Json::as_u64);
        number.ok_or_else(|| invalid("EventSequenceNumber must be a whole number".to_owned()))
    }

    fn conn_id(&self) -> Checked<ConnId> {
        let text = self.needed("ConnID")?;
        ConnId::parse(&text).ok_or_else(|| {
            (
                ErrorCode::InvalidConnID,
                format!("ConnID {text:?} is not 16 hex digits"),
            )
        })
    }

    fn work_mode(&self, allowed: &[AgentWorkMode]) -> Checked<AgentWorkMode> {
        let Some(name) = self.text("AgentWorkMode")? else {
            return Ok(AgentWorkMode::Unknown);
        };
        AgentWorkMode::from_name(&name)
            .filter(|mode| allowed.contains(mode))
            .ok_or_else(|| invalid(one_of("AgentWorkMode", &name, allowed, AgentWorkMode::name)))
    }

    /// Whether this one of `Extensions` is 1, if it is there.
    fn switch(&self, name: &str) -> Checked<Option<bool>> {
        match self.list("Extensions")?.value(name) {
            None => Ok(None),
            Some(Value::Integer(0)) => Ok(Some(false)),
            Some(Value::Integer(1)) => Ok(Some(true)),
            Some(_) => Err(invalid(format!("Extensions.{name} must be 0 or 1"))),
        }
    }

    fn user_data(&self) -> Checked<KeyValueList> {
        let list = self.list("UserData")?;
        if list.is_empty() {
            return Err(invalid("UserData is missing or empty".to_owned()));
        }
        Ok(list)
    }

    fn list(&self, name: &str) -> Checked<KeyValueList> {
        match self.0.get(name) {
            None => Ok(KeyValueList::new()),
            Some(Json::Object(map)) => {
                let list = key_values(name, map, CTI_LIST_DEPTH_MAX)?;
                if list.bytes() > CTI_LIST_BYTES_MAX {
                    let words = format!("{name} is longer than {CTI_LIST_BYTES_MAX} bytes");
                    return Err(invalid(words));
                }
                Ok(list)
            }
            Some(_) => Err(invalid(format!("{name} must be an object"))),
        }
    }

    fn needed(&self, name: &str) -> Checked<String> {
        self.text(name)?
            .ok_or_else(|| invalid(format!("{name} is missing")))
    }

    fn text(&self, name: &str) -> Checked<Option<String>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if text.is_empty() => {
                Err(invalid(format!("{name} is empty; leave it out")))
            }
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(invalid(format!("{name} must be a string"))),
        }
    }
}

fn key_values(name: &str, map: &Map<String, Json>, depth: usize) -> Checked<KeyValueList> {
    if map.len() > CTI_LIST_KEYS_MAX {
        return Err(invalid(format!(
            "{name} has more than {CTI_LIST_KEYS_MAX} keys"
        )));
    }
    let mut list = KeyValueList::new();
    for (key, json) in map {
        let value = match json {
            Json::String(text) => Value::Text(text.clone()),
            Json::Number(number) => Value::Integer(number.as_i64().ok_or_else(|| {
                invalid(format!("{name}.{key} must be a whole number of 64 bits"))
            })?),
            Json::Object(_) if depth == 0 => {
                return Err(invalid(format!("{name} has too many lists inside lists")));
            }
            Json::Object(inner) => Value::List(key_values(name, inner, depth - 1)?),
            Json::Null | Json::Bool(_) | Json::Array(_) => {
                let words = format!("{name}.{key} must be a string, a whole number or an object");
                return Err(invalid(words));
            }
        };
        list.set(key.as_str(), value);
    }
    Ok(list)
}

fn invalid(words: String) -> (ErrorCode, String) {
    (ErrorCode::InvalidAttribute, words)
}

/// "NAME must be one of …, not …".
fn one_of<T: Copy>(
    attribute: &str,
    found: &str,
    allowed: &[T],
    name: impl Fn(T) -> &'static str,
) -> String {
    let names: Vec<_> = allowed.iter().map(|value| name(*value)).collect();
    format!(
        "{attribute} must be one of {}, not {found:?}",
        names.join(", ")
    )
}
