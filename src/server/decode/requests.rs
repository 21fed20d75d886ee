//! Which request has which attributes. A name of T-Library that this server does not offer is told
//! from a name that is none.

use std::time::Duration;

use crate::cti::{
    AgentWorkMode, CallAction, ConsultKind, DesktopRequest, ErrorCode, RouteRequest, RouteType,
    UserDataChange,
};
use crate::limits::{CLAIM_DURATION_DEFAULT, CLAIM_DURATION_MAX, CLAIM_PRIORITY_MAX};

use super::attributes::{Attributes, one_of};
use super::{Checked, UserEvent, What, invalid};

/// T-Library's requests that this server does not offer; a name that is none of them is unknown.
const NOT_OFFERED: &[&str] = &[
    "MonitorNextCall",
    "CancelMonitoring",
    "SetMuteOn",
    "SetMuteOff",
    "AgentSetIdleReason",
    "MergeCalls",
    "ListenDisconnect",
    "ListenReconnect",
    "ApplyTreatment",
    "PrivateService",
    "DistributeEvent",
];

/// The work modes of Ready.
const READY_MODES: [AgentWorkMode; 3] = [
    AgentWorkMode::Unknown,
    AgentWorkMode::ManualIn,
    AgentWorkMode::AutoIn,
];

/// The work modes of NotReady.
const NOT_READY_MODES: [AgentWorkMode; 7] = [
    AgentWorkMode::Unknown,
    AgentWorkMode::AfterCallWork,
    AgentWorkMode::AuxWork,
    AgentWorkMode::LegalGuard,
    AgentWorkMode::NoCallDisconnect,
    AgentWorkMode::WalkAway,
    AgentWorkMode::ReturnBack,
];

impl Attributes {
    pub(super) fn what(&self) -> Checked<What> {
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
            "QueryCall" => Ok(What::QueryCall {
                this_dn: self.needed("ThisDN")?,
                conn_id: self.conn_id("ConnID")?,
            }),
            "DistributeUserEvent" => self.user_event(),
            "ReserveAgent" => self.reserve(),
            "AttachUserData" | "UpdateUserData" | "DeletePair" | "DeleteUserData" => {
                Ok(What::UserData {
                    this_dn: self.needed("ThisDN")?,
                    conn_id: self.conn_id("ConnID")?,
                    change: self.change(name)?,
                })
            }
            "RouteCall" => self.route(),
            other if NOT_OFFERED.contains(&other) => Err((
                ErrorCode::UnsupportedOperation,
                format!("{message} is not offered by this server"),
            )),
            other => match (self.desktop(other)?, self.action(other)?) {
                (Some(request), _) => Ok(What::Desktop(self.needed("ThisDN")?, request)),
                (None, Some(action)) => Ok(What::Party {
                    this_dn: self.needed("ThisDN")?,
                    conn_id: self.conn_id("ConnID")?,
                    action,
                    reasons: self.list("Reasons")?,
                }),
                (None, None) => Err(invalid(format!("Message {message:?} is unknown"))),
            },
        }
    }

    /// What an agent's DN is asked; `None` if the request is none of these.
    fn desktop(&self, name: &str) -> Checked<Option<DesktopRequest>> {
        let reasons = || self.list("Reasons");
        Ok(Some(match name {
            "AgentLogin" => DesktopRequest::Login {
                agent_id: self.text("AgentID")?,
                work_mode: self.work_mode(AgentWorkMode::ALL)?,
                reasons: reasons()?,
            },
            "AgentLogout" => DesktopRequest::Logout {
                reasons: reasons()?,
            },
            "AgentReady" => DesktopRequest::Ready {
                work_mode: self.work_mode(&READY_MODES)?,
                reasons: reasons()?,
            },
            "AgentNotReady" => self.not_ready()?,
            "MakeCall" => DesktopRequest::MakeCall {
                destination: self.destination()?,
                user_data: self.list("UserData")?,
                reasons: reasons()?,
            },
            "SetDNDOn" | "SetDNDOff" => DesktopRequest::SetDnd {
                on: name == "SetDNDOn",
                reasons: reasons()?,
            },
            "CallForwardSet" => DesktopRequest::SetForward {
                mode: self.forward_mode()?,
                destination: self.destination()?,
                reasons: reasons()?,
            },
            "CallForwardCancel" => DesktopRequest::CancelForward {
                reasons: reasons()?,
            },
            _ => return Ok(None),
        }))
    }

    fn not_ready(&self) -> Checked<DesktopRequest> {
        let work_mode = self.work_mode(&NOT_READY_MODES)?;
        let wrap_up = self.wrap_up()?;
        if wrap_up.is_some() && work_mode != AgentWorkMode::AfterCallWork {
            let words = "Extensions.WrapUpTime needs AgentWorkMode AfterCallWork";
            return Err(invalid(words.to_owned()));
        }
        Ok(DesktopRequest::NotReady {
            work_mode,
            wrap_up,
            reasons: self.list("Reasons")?,
        })
    }

    /// What a party does to its call; `None` if the request is none of these.
    fn action(&self, name: &str) -> Checked<Option<CallAction>> {
        let user_data = || self.list("UserData");
        Ok(Some(match name {
            "AnswerCall" => CallAction::Answer,
            "ReleaseCall" => CallAction::Release,
            "ClearCall" => CallAction::Clear,
            "HoldCall" => CallAction::Hold,
            "RetrieveCall" => CallAction::Retrieve,
            "AlternateCall" => CallAction::Alternate {
                held: self.conn_id("PreviousConnID")?,
            },
            "ReconnectCall" => CallAction::Reconnect {
                held: self.conn_id("PreviousConnID")?,
            },
            "InitiateTransfer" | "InitiateConference" => CallAction::Consult {
                kind: if name == "InitiateTransfer" {
                    ConsultKind::Transfer
                } else {
                    ConsultKind::Conference
                },
                destination: self.destination()?,
                user_data: user_data()?,
            },
            "CompleteTransfer" => CallAction::CompleteTransfer {
                consult: self.conn_id("TransferConnID")?,
            },
            "CompleteConference" => CallAction::CompleteConference {
                consult: self.conn_id("TransferConnID")?,
            },
            "MuteTransfer" => CallAction::MuteTransfer {
                destination: self.destination()?,
                user_data: user_data()?,
            },
            "SingleStepTransfer" => CallAction::SingleStepTransfer {
                destination: self.destination()?,
                user_data: user_data()?,
            },
            "SingleStepConference" => CallAction::SingleStepConference {
                destination: self.destination()?,
                user_data: user_data()?,
            },
            "RedirectCall" => CallAction::Redirect {
                destination: self.destination()?,
            },
            "DeleteFromConference" => CallAction::DeleteParty {
                other_dn: self.destination()?,
            },
            "SendDTMF" => CallAction::SendDtmf {
                digits: self.digits()?,
            },
            _ => return Ok(None),
        }))
    }

    fn reserve(&self) -> Checked<What> {
        let (this_dn, agent_id) = (self.text("ThisDN")?, self.text("AgentID")?);
        if this_dn.is_none() && agent_id.is_none() {
            return Err(invalid("ThisDN or AgentID is needed".to_owned()));
        }
        let longest = CLAIM_DURATION_MAX.as_millis();
        let longest = u64::try_from(longest).expect("a limit of minutes");
        let duration = self.whole("Duration", 1..=longest)?;
        let priority = self.whole("Priority", 0..=u64::from(CLAIM_PRIORITY_MAX))?;
        let priority = priority.map_or(Ok(0), u16::try_from);
        Ok(What::Reserve {
            this_dn,
            agent_id,
            request: DesktopRequest::Reserve {
                duration: duration.map_or(CLAIM_DURATION_DEFAULT, Duration::from_millis),
                priority: priority.expect("the range was checked"),
                reasons: self.list("Reasons")?,
            },
        })
    }

    fn user_event(&self) -> Checked<What> {
        Ok(What::UserEvent(UserEvent {
            this_dn: self.needed("ThisDN")?,
            conn_id: self.conn_id_if_any("ConnID")?,
            user_data: self.list("UserData")?,
            reasons: self.list("Reasons")?,
            extensions: self.list("Extensions")?,
        }))
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
        let conn_id = self.conn_id("ConnID")?;
        let reasons = self.list("Reasons")?;
        let request = RouteRequest::Call {
            conn_id,
            other_dn,
            route_type,
            reasons,
        };
        Ok(What::Route {
            this_dn,
            conn_id,
            request,
        })
    }
}
