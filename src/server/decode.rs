//! Requests in their public form: one JSON object in, a typed request or a clear refusal out. It
//! checks form only: whether an address exists and whether the client may ask is decided in `hub`.
//! `requests` knows which request has which attributes, `attributes` the form of each.

mod attributes;
mod requests;

use serde_json::Value as Json;

use crate::cti::{
    CallAction, ConnId, DesktopRequest, ErrorCode, KeyValueList, RouteRequest, UserDataChange,
};
use crate::limits::CTI_FRAME_BYTES_MAX;

use attributes::Attributes;

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
    /// RequestQueryCall.
    QueryCall {
        /// The party.
        this_dn: String,
        /// The call.
        conn_id: ConnId,
    },
    /// RequestDistributeUserEvent.
    UserEvent(UserEvent),
    /// RequestReserveAgent.
    Reserve {
        /// The agent's DN, if the router says it.
        this_dn: Option<String>,
        /// The agent, if the router says it; one of the two it does.
        agent_id: Option<String>,
        /// How it is to be kept.
        request: DesktopRequest,
    },
    /// What an agent's DN is asked: AgentLogin, Logout, Ready, NotReady, MakeCall, SetDNDOn,
    /// SetDNDOff, CallForwardSet, CallForwardCancel.
    Desktop(String, DesktopRequest),
    /// What a party does to its call: ReleaseCall, HoldCall, InitiateTransfer and the like.
    Party {
        /// The party.
        this_dn: String,
        /// The call.
        conn_id: ConnId,
        /// What it does.
        action: CallAction,
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
        /// Where it is to go.
        request: RouteRequest,
    },
}

/// What one client tells those who listen to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserEvent {
    /// Whose listeners hear it.
    pub this_dn: String,
    /// The call that it is about, as the client says.
    pub conn_id: Option<ConnId>,
    /// What it says.
    pub user_data: KeyValueList,
    /// Software reasons.
    pub reasons: KeyValueList,
    /// Other particulars.
    pub extensions: KeyValueList,
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
        Ok(Json::Object(attributes)) => Attributes::new(attributes),
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

fn invalid(words: String) -> (ErrorCode, String) {
    (ErrorCode::InvalidAttribute, words)
}
