//! What clients ask: who may, where it goes, and the answers that the hub itself can give. Every
//! request gets exactly one direct answer: from here, from its shard, or from the deadline.

use std::time::Instant;

use serde_json::Value as Json;

use crate::config::{Address, DnIndex, RoutingPointIndex};
use crate::cti::{
    ClientId, ConnId, DesktopRequest, ErrorCode, Request, RequestBody, RouteRequest, RouteType,
};
use crate::limits::{CTI_PENDING_PER_CLIENT_MAX, CTI_SNAPSHOT_ADDRESSES_MAX};
use crate::server::address::AddressId;
use crate::server::clients::{Client, Registration};
use crate::server::decode::{Asked, Refusal, What};
use crate::server::link::{Full, Shards};
use crate::server::pending::{Pending, patience, success};
use crate::server::snapshot::Attributes;

use super::Hub;

/// Why a request is refused, in name and in words.
pub(super) type Blame = (ErrorCode, String);

/// All addresses, as a client names them.
const EVERYTHING: &str = "*";

impl<S: Shards> Hub<S> {
    pub(super) fn handle_request(&mut self, now: Instant, id: ClientId, asked: Asked) {
        let reference_id = asked.reference_id;
        let this_dn = this_dn(&asked.what).map(str::to_owned);
        let outcome = match asked.what {
            What::Register {
                this_dn,
                hold,
                router,
            } => self.register(now, id, reference_id, &this_dn, (hold, router)),
            What::Unregister(this_dn) => self.unregister(now, id, reference_id, &this_dn),
            What::QueryAddress(this_dn) => self.query_address(now, id, reference_id, &this_dn),
            What::QueryServer => {
                self.send_server_info(now, id, reference_id);
                Ok(())
            }
            What::Resume {
                server_start_time,
                sequence,
            } => self.resume(now, id, reference_id, &server_start_time, sequence),
            What::Desktop(this_dn, request) => {
                self.desktop(now, id, reference_id, this_dn, request)
            }
            What::QueryCall { this_dn, conn_id } => {
                self.query_call(now, id, reference_id, &this_dn, conn_id)
            }
            What::Reserve {
                this_dn,
                agent_id,
                request,
            } => self.reserve(now, id, reference_id, (this_dn, agent_id), request),
            What::UserEvent(event) => self.distribute(now, id, reference_id, &event),
            What::Party {
                this_dn,
                conn_id,
                action,
                reasons,
            } => self.party(now, id, reference_id, this_dn, (conn_id, action, reasons)),
            What::UserData {
                this_dn,
                conn_id,
                change,
            } => self.user_data(now, id, reference_id, this_dn, (conn_id, change)),
            What::Route {
                this_dn,
                conn_id,
                request,
            } => {
                let call = (conn_id, request);
                self.route(now, id, reference_id, this_dn.as_deref(), call)
            }
        };
        if let Err((code, words)) = outcome {
            self.refuse(
                now,
                id,
                Refusal {
                    reference_id,
                    this_dn,
                    code,
                    words,
                },
            );
        }
    }

    fn register(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        this_dn: &str,
        (hold, router): (bool, Option<bool>),
    ) -> Result<(), Blame> {
        let client = self.lasting_client(id)?;
        let registration = Registration::new(self.history.last(), hold);
        if this_dn == EVERYTHING {
            if !client.identity.may_see_everything() {
                return Err(forbidden(
                    "only a supervisor or an admin may register all addresses",
                ));
            }
            if router == Some(true) {
                return Err(no_routing_point(EVERYTHING));
            }
            self.clients.register_everything(id, registration);
            self.send_everything(now, id, reference_id);
            return Ok(());
        }
        let (address_id, address) = self.address_of(this_dn)?;
        let identity = &client.identity;
        if !identity.may_see(address) {
            return Err(forbidden("this token does not allow this address"));
        }
        if router == Some(true) {
            if !identity.may_route() {
                return Err(forbidden("only a router or an admin may route calls"));
            }
            if !matches!(address, Address::RoutingPoint(_)) {
                return Err(no_routing_point(this_dn));
            }
        }
        let (desktop, is_router) = (identity.desktop, identity.is_router());
        match address {
            Address::Agent(dn) if desktop => self.attendance.desktop_came(id, dn),
            Address::RoutingPoint(_) if router == Some(false) => self.attendance.left(id, address),
            Address::RoutingPoint(routing_point) if is_router || router.is_some() => {
                self.attendance.router_came(id, routing_point);
            }
            Address::Agent(_)
            | Address::RoutingPoint(_)
            | Address::Queue(_)
            | Address::Trunk(_) => {}
        }
        self.clients.register(id, address_id, registration);
        self.send_registered(now, id, reference_id, address_id);
        Ok(())
    }

    fn unregister(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        this_dn: &str,
    ) -> Result<(), Blame> {
        self.lasting_client(id)?;
        let was_registered = if this_dn == EVERYTHING {
            self.clients.unregister_everything(id)
        } else {
            let (address_id, address) = self.address_of(this_dn)?;
            self.attendance.left(id, address);
            self.clients.unregister(id, address_id)
        };
        if !was_registered {
            return Err(not_registered(this_dn));
        }
        self.reply(now, id, "EventUnregistered", reference_id, about(this_dn));
        Ok(())
    }

    fn query_address(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        this_dn: &str,
    ) -> Result<(), Blame> {
        let (address_id, address) = self.address_of(this_dn)?;
        if !self.known_client(id)?.identity.may_see(address) {
            return Err(forbidden("this token does not allow this address"));
        }
        let mut attributes = about(this_dn);
        let snapshot = self.view().address(address_id);
        attributes.insert("Extensions".to_owned(), Json::Object(snapshot));
        self.reply(now, id, "EventAddressInfo", reference_id, attributes);
        Ok(())
    }

    fn desktop(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        this_dn: String,
        request: DesktopRequest,
    ) -> Result<(), Blame> {
        let (address_id, dn) = self.agent_of(&this_dn)?;
        let client = self.known_client(id)?;
        if !client.identity.may_act_for(dn) {
            return Err(forbidden("this token does not allow acting for this agent"));
        }
        acting(client, address_id, &this_dn)?;
        self.forward(
            now,
            id,
            reference_id,
            this_dn,
            RequestBody::Desktop(dn, request),
        )
    }

    /// A router keeps an agent. It acts in nobody's name, so it need not have registered the DN.
    fn reserve(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        (this_dn, agent_id): (Option<String>, Option<String>),
        request: DesktopRequest,
    ) -> Result<(), Blame> {
        let client = self.lasting_client(id)?;
        if !client.identity.may_route() {
            return Err(forbidden("only a router or an admin may reserve agents"));
        }
        let named = this_dn.map(|this_dn| self.agent_of(&this_dn));
        let named = named.transpose()?.map(|(_, dn)| dn);
        let logged_in = agent_id.map(|agent_id| self.dn_where(&agent_id));
        let dn = match (named, logged_in.transpose()?) {
            (Some(dn), Some(other)) if dn != other => {
                let words = "the agent is logged in at another DN".to_owned();
                return Err((ErrorCode::InvalidAgentID, words));
            }
            (Some(dn), _) | (None, Some(dn)) => dn,
            (None, None) => {
                let words = "ThisDN or AgentID is needed".to_owned();
                return Err((ErrorCode::InvalidAttribute, words));
            }
        };
        let this_dn = self.book.config().agent_at(dn).dn.to_string();
        let time = if let DesktopRequest::Reserve { duration, .. } = &request {
            Some(*duration)
        } else {
            None
        };
        let body = RequestBody::Desktop(dn, request);
        self.forward(now, id, reference_id, this_dn, body)?;
        if let Some(time) = time {
            self.attendance.claimed(now, id, (dn, time));
        }
        Ok(())
    }

    fn dn_where(&self, agent_id: &str) -> Result<DnIndex, Blame> {
        self.state.dn_of(agent_id).ok_or_else(|| {
            let words = format!("no agent {agent_id} is logged in");
            (ErrorCode::InvalidAgentID, words)
        })
    }

    fn route(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        this_dn: Option<&str>,
        (conn_id, request): (ConnId, RouteRequest),
    ) -> Result<(), Blame> {
        let (address_id, routing_point) = self.waiting_place(this_dn, conn_id, id)?;
        let this_dn = self.book.name(address_id).to_owned();
        let request = self.find_agent(request)?;
        self.forward(
            now,
            id,
            reference_id,
            this_dn,
            RequestBody::Route(routing_point, request),
        )
    }

    /// Puts the number where an agent is logged in in the place of its AgentID: who is where is
    /// known here, not on the queue's shard.
    fn find_agent(&self, request: RouteRequest) -> Result<RouteRequest, Blame> {
        let RouteRequest::Call {
            conn_id,
            other_dn: Some(agent_id),
            route_type: RouteType::AgentID,
            reasons,
        } = request
        else {
            return Ok(request);
        };
        let dn = self.state.dn_of(&agent_id).ok_or_else(|| {
            let words = format!("no agent {agent_id} is logged in");
            (ErrorCode::InvalidCalledDN, words)
        })?;
        Ok(RouteRequest::Call {
            conn_id,
            other_dn: Some(self.book.config().agent_at(dn).dn.to_string()),
            route_type: RouteType::AgentID,
            reasons,
        })
    }

    /// Where the call waits, if the client may route it.
    fn waiting_place(
        &self,
        this_dn: Option<&str>,
        conn_id: ConnId,
        id: ClientId,
    ) -> Result<(AddressId, RoutingPointIndex), Blame> {
        let client = self.known_client(id)?;
        if !client.identity.may_route() {
            return Err(forbidden("only a router or an admin may route calls"));
        }
        self.check_shard(conn_id)?;
        let named = this_dn.map(|name| self.address_of(name)).transpose()?;
        let waiting_at = || {
            let addresses = self.state.addresses_of(conn_id);
            let mut places = addresses.map(|address| (address, self.book.address(address)));
            places.find(|(_, address)| matches!(address, Address::RoutingPoint(_)))
        };
        let (address_id, address) = named.or_else(waiting_at).ok_or_else(|| {
            let words = format!("no call {conn_id} waits at a routing point");
            (ErrorCode::InvalidConnID, words)
        })?;
        let name = self.book.name(address_id);
        let Address::RoutingPoint(routing_point) = address else {
            let words = format!("ThisDN {name} is no routing point");
            return Err((ErrorCode::InvalidAttribute, words));
        };
        acting(client, address_id, name)?;
        // Two who decide on one call would undo each other's decisions.
        let router = self.attendance.router(routing_point);
        if router.is_some_and(|router| router != id) {
            let words = format!("another client routes the calls of {name}");
            return Err((ErrorCode::WrongState, words));
        }
        Ok((address_id, routing_point))
    }

    /// Hands a request to its shard, and remembers whom to answer.
    pub(super) fn forward(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        this_dn: String,
        body: RequestBody,
    ) -> Result<(), Blame> {
        let shard = match &body {
            RequestBody::Desktop(dn, _) => self.shards.owner_of_dn(*dn),
            RequestBody::Call(conn_id, _) => {
                self.check_shard(*conn_id)?;
                conn_id.shard()
            }
            // Only the call knows in which queue it is.
            RequestBody::Route(_, RouteRequest::Call { conn_id, .. }) => conn_id.shard(),
            RequestBody::Route(routing_point, RouteRequest::Router(_)) => {
                let queue = self.book.config().routing_point_at(*routing_point).queue;
                self.shards.owner_of_queue(queue)
            }
        };
        if self.pending.count(id) >= CTI_PENDING_PER_CLIENT_MAX {
            let words =
                format!("{CTI_PENDING_PER_CLIENT_MAX} requests of this client wait already");
            return Err((ErrorCode::TooBusy, words));
        }
        let requested_by = self.pending.number(id);
        let (success, patience) = (success(&body), patience(&body));
        let pending = Pending {
            reference_id,
            this_dn,
            success,
            patience,
        };
        match self.shards.request(shard, Request { requested_by, body }) {
            Ok(()) => {
                self.pending.insert(now, requested_by, pending);
                Ok(())
            }
            Err(Full) => Err((
                ErrorCode::TooBusy,
                "the shard takes no more requests now".to_owned(),
            )),
        }
    }

    /// EventRegistered with the snapshot of one address.
    pub(super) fn send_registered(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        address: AddressId,
    ) {
        let mut attributes = about(self.book.name(address));
        let snapshot = self.view().address(address);
        attributes.insert("Extensions".to_owned(), Json::Object(snapshot));
        self.reply(now, id, "EventRegistered", reference_id, attributes);
    }

    /// EventRegistered with the snapshots of all addresses, in pages; the first is the answer.
    pub(super) fn send_everything(
        &mut self,
        now: Instant,
        id: ClientId,
        mut reference_id: Option<u32>,
    ) {
        let all: Vec<AddressId> = self.book.all().collect();
        let pages = all.chunks(CTI_SNAPSHOT_ADDRESSES_MAX).len();
        for (page, addresses) in all.chunks(CTI_SNAPSHOT_ADDRESSES_MAX).enumerate() {
            let view = self.view();
            let snapshots = addresses
                .iter()
                .map(|address| Json::Object(view.named(*address)));
            let mut extensions = Attributes::new();
            extensions.insert("EventSequenceNumber".to_owned(), view.sequence.into());
            extensions.insert("Page".to_owned(), (page + 1).into());
            extensions.insert("Pages".to_owned(), pages.into());
            extensions.insert("Addresses".to_owned(), Json::Array(snapshots.collect()));
            let mut attributes = about(EVERYTHING);
            attributes.insert("Extensions".to_owned(), Json::Object(extensions));
            self.reply(now, id, "EventRegistered", reference_id.take(), attributes);
        }
    }

    pub(super) fn agent_of(&self, this_dn: &str) -> Result<(AddressId, DnIndex), Blame> {
        match self.address_of(this_dn)? {
            (id, Address::Agent(dn)) => Ok((id, dn)),
            (_, Address::RoutingPoint(_) | Address::Queue(_) | Address::Trunk(_)) => {
                let words = format!("ThisDN {this_dn} is no agent's DN");
                Err((ErrorCode::InvalidAttribute, words))
            }
        }
    }

    pub(super) fn check_shard(&self, conn_id: ConnId) -> Result<(), Blame> {
        if conn_id.shard().0 < self.shards.count() {
            return Ok(());
        }
        Err((
            ErrorCode::InvalidConnID,
            format!("{conn_id} is no call of this server"),
        ))
    }

    pub(super) fn known_client(&self, id: ClientId) -> Result<&Client, Blame> {
        let words = || {
            (
                ErrorCode::ClientNotRegistered,
                "the client is gone".to_owned(),
            )
        };
        self.clients.client(id).ok_or_else(words)
    }

    /// The client, if it stays long enough to be sent events.
    pub(super) fn lasting_client(&self, id: ClientId) -> Result<&Client, Blame> {
        let client = self.known_client(id)?;
        match client.kind {
            super::Kind::Socket => Ok(client),
            super::Kind::Post => {
                let words = "events come by WebSocket only; connect to /cti".to_owned();
                Err((ErrorCode::UnsupportedOperation, words))
            }
        }
    }
}

/// Whether a client may act in the name of an address now.
pub(super) fn acting(client: &Client, address: AddressId, name: &str) -> Result<(), Blame> {
    if !client.is_registered(address) {
        return Err(not_registered(name));
    }
    if client.is_held(address) {
        let words = format!("events of {name} are held; send RequestResume first");
        return Err((ErrorCode::WrongState, words));
    }
    Ok(())
}

fn not_registered(name: &str) -> Blame {
    let words = format!("{name} is not registered; send RequestRegisterAddress first");
    (ErrorCode::ClientNotRegistered, words)
}

fn no_routing_point(name: &str) -> Blame {
    let words = format!("Extensions.Router is for routing points, and {name} is none");
    (ErrorCode::InvalidAttribute, words)
}

pub(super) fn forbidden(words: &str) -> Blame {
    (ErrorCode::Forbidden, words.to_owned())
}

pub(super) fn about(this_dn: &str) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert("ThisDN".to_owned(), this_dn.into());
    attributes
}

fn this_dn(what: &What) -> Option<&str> {
    match what {
        What::Register { this_dn, .. }
        | What::Unregister(this_dn)
        | What::QueryAddress(this_dn)
        | What::Desktop(this_dn, _)
        | What::QueryCall { this_dn, .. }
        | What::Party { this_dn, .. }
        | What::UserData { this_dn, .. } => Some(this_dn),
        What::UserEvent(event) => Some(&event.this_dn),
        What::Route { this_dn, .. } | What::Reserve { this_dn, .. } => this_dn.as_deref(),
        What::QueryServer | What::Resume { .. } => None,
    }
}
