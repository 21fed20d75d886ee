//! The T-Library model in our own words: requests, events, attributes and identifiers.
//!
//! These are plain values that cross between shards and the control plane. Nothing here decides
//! anything, and nothing here is JSON: `server::api` gives the values their public form.

pub mod attributes;
pub mod event;
pub mod identity;
pub mod key_value;
pub mod request;

pub use attributes::{
    AgentWorkMode, CallState, CallType, DnRole, ErrorCode, ForwardMode, RouteType,
};
pub use event::{Event, EventName, NodeStatus, Notice, Output, SubscriptionStatus, TrunkStatus};
pub use identity::{CallInfo, CallUuid, ClientId, ConnId, Digits, RequestedBy};
pub use key_value::{KeyValueList, Value};
pub use request::{
    CallAction, CallRequest, ConsultKind, DesktopRequest, Request, RequestBody, RouteRequest,
    UserDataChange,
};
