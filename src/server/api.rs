//! HTTP: the WebSocket's door, the state as JSON, one request as `POST`, metrics and health. It
//! checks who comes in and gives answers their status; the rest is the hub's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{
    DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request, State, WebSocketUpgrade,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use offhook_shards::{Counter as Counted, ShardId, ShardMetrics};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::allowance::Allowance;
use crate::config::{Config, DnIndex, Role};
use crate::counters::{Counter, Gauge};
use crate::cti::{ConnId, ErrorCode};
use crate::limits::{
    CTI_AGENTS_PER_ANSWER_MAX, CTI_CALLS_PER_ANSWER_MAX, CTI_FRAME_BYTES_MAX,
    CTI_FRAME_BYTES_READ_MAX,
};

use super::clients::{self, Kind};
use super::door;
use super::gate::{Command, Gate, Stopped};
use super::hub::Query as StateQuery;
use super::metrics::{self, Fleet};
use super::permissions::{self, Identity, Stranger};
use super::websocket::{self, Heartbeat, SUBPROTOCOL};

/// What every HTTP request needs.
#[derive(Debug, Clone)]
pub struct Api {
    /// The way to the hub.
    pub gate: Gate,
    /// Tokens and limits.
    pub config: Arc<Config>,
    /// The shards.
    pub fleet: Arc<Fleet>,
    /// When clients are pinged.
    pub heartbeat: Heartbeat,
    /// How long the body of a request may take.
    pub body_deadline: Duration,
    /// Set to let the calls end and then stop.
    pub drain: Arc<watch::Sender<bool>>,
    /// How much each agent may ask, by the DNs of its token: there are no more than tokens.
    pub allowances: Arc<Mutex<BTreeMap<Vec<DnIndex>, Allowance>>>,
}

/// Every path that is served.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/cti", get(cti))
        .route("/api/v1/agents", get(agents))
        .route("/api/v1/agents/{dn}", get(agent))
        .route("/api/v1/calls", get(calls))
        .route("/api/v1/queues", get(queues))
        .route("/api/v1/trunks", get(trunks))
        .route("/api/v1/shards", get(shards))
        .route("/api/v1/requests", post(request))
        .route("/api/v1/drain", post(drain))
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(|uri: Uri| async move {
            Problem::new(
                StatusCode::NOT_FOUND,
                format!("{} is not served here", uri.path()),
            )
        })
        .method_not_allowed_fallback(|| async {
            let words = "this path does not take this method";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, words.to_owned())
        })
        .layer(DefaultBodyLimit::max(CTI_FRAME_BYTES_MAX))
        .layer(from_fn_with_state(
            Arc::clone(&api.fleet.refusals),
            door::pass,
        ))
        .with_state(api)
}

/// A failure as RFC 9457 shows it.
struct Problem {
    status: StatusCode,
    code: Option<ErrorCode>,
    words: String,
}

impl Problem {
    fn new(status: StatusCode, words: String) -> Self {
        Self {
            status,
            code: None,
            words,
        }
    }

    /// The query string is wrong.
    fn bad(words: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, words)
    }
}

impl From<(ErrorCode, String)> for Problem {
    fn from((code, words): (ErrorCode, String)) -> Self {
        Self {
            status: status_of(code.name()),
            code: Some(code),
            words,
        }
    }
}

impl From<Stopped> for Problem {
    fn from(Stopped: Stopped) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server stops".to_owned(),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.words,
        });
        if let Some(code) = self.code {
            body["ErrorCode"] = code.name().into();
        }
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, kind, body.to_string()).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let soon = header::HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// What the query string may say.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    token: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

impl Parameters {
    /// How many things an answer may have.
    fn limit(&self, most: usize) -> Result<usize, Problem> {
        let Some(text) = &self.limit else {
            return Ok(most);
        };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| Problem::bad(format!("limit is a number from 1 to {most}")))
    }
}

/// Who asks, and with what query string.
struct Asker {
    identity: Identity,
    parameters: Parameters,
}

impl FromRequestParts<Api> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Query(parameters) = Query::<Parameters>::try_from_uri(&parts.uri)
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        let identity = identify(api, &parts.headers, &parameters)?;
        api.allow(&identity)?;
        Ok(Self {
            identity,
            parameters,
        })
    }
}

impl Api {
    /// A desktop may not keep the hub from its colleagues. Whoever sees everything is trusted, as
    /// on the WebSocket.
    fn allow(&self, identity: &Identity) -> Result<(), Problem> {
        match identity.role {
            Role::Supervisor | Role::Router | Role::Admin => return Ok(()),
            Role::Agent => {}
        }
        let mut allowances = self
            .allowances
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let allowance = allowances.entry(identity.dns.clone()).or_default();
        if allowance.take(Instant::now().into_std(), clients::REQUEST_RATE) {
            return Ok(());
        }
        let words = "this token asks too often; ask again in a second";
        Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            words.to_owned(),
        ))
    }
}

async fn cti(
    State(api): State<Api>,
    asker: Asker,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| {
        let words = format!("/cti speaks WebSocket: {}", rejection.body_text());
        Problem::new(rejection.status(), words)
    })?;
    let queue_frames_max = api.config.server.client_queue as usize;
    let (gate, heartbeat) = (api.gate, api.heartbeat);
    let refusals = Arc::clone(&api.fleet.refusals);
    Ok(upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(CTI_FRAME_BYTES_READ_MAX)
        .max_frame_size(CTI_FRAME_BYTES_READ_MAX)
        .on_upgrade(move |socket| {
            let visit = websocket::Visit {
                gate,
                identity: asker.identity,
                queue_frames_max,
                heartbeat,
                refusals,
            };
            websocket::attend(socket, visit)
        }))
}

async fn agents(State(api): State<Api>, asker: Asker) -> Result<Response, Problem> {
    let limit = asker.parameters.limit(CTI_AGENTS_PER_ANSWER_MAX)?;
    let after = asker.parameters.after;
    state(&api, asker.identity, StateQuery::Agents { after, limit }).await
}

async fn agent(
    State(api): State<Api>,
    Path(dn): Path<String>,
    asker: Asker,
) -> Result<Response, Problem> {
    state(&api, asker.identity, StateQuery::Agent(dn)).await
}

async fn calls(State(api): State<Api>, asker: Asker) -> Result<Response, Problem> {
    let limit = asker.parameters.limit(CTI_CALLS_PER_ANSWER_MAX)?;
    let after = asker.parameters.after.as_deref().map(|text| {
        let words = "after is a ConnID, 16 hex digits: the Next of the page before";
        ConnId::parse(text).ok_or_else(|| Problem::bad(words.to_owned()))
    });
    let after = after.transpose()?;
    state(&api, asker.identity, StateQuery::Calls { after, limit }).await
}

async fn queues(State(api): State<Api>, asker: Asker) -> Result<Response, Problem> {
    state(&api, asker.identity, StateQuery::Queues).await
}

async fn trunks(State(api): State<Api>, asker: Asker) -> Result<Response, Problem> {
    state(&api, asker.identity, StateQuery::Trunks).await
}

async fn shards(State(api): State<Api>, asker: Asker) -> Result<Response, Problem> {
    for_operators(&asker.identity)?;
    let fleet = &api.fleet;
    let shown = fleet
        .metrics
        .shards()
        .zip(&fleet.counters)
        .zip(&fleet.cores);
    let shown = shown.map(|(((shard, metrics), counters), core)| {
        let mut counted = serde_json::Map::new();
        for counter in Counter::ALL {
            let value = counters.value(*counter);
            let of_metric = counted.entry(counter.metric()).or_insert_with(|| json!({}));
            of_metric[counter.cause()] = value.into();
        }
        for counter in Counted::ALL {
            counted.insert(counter.name().to_owned(), metrics.value(*counter).into());
        }
        let held = Gauge::ALL.map(|gauge| (gauge.name().to_owned(), counters.held(gauge).into()));
        let turns = metrics.turns();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut shown = json!({
            "Shard": shard.0,
            "Driver": fleet.driver,
            "Holds": serde_json::Map::from_iter(held),
            "Waiting": waiting(fleet, shard),
            "DatagramsPerBatch": batches(metrics),
            "TurnMicroseconds": {
                "P50": micros(turns.percentile(50)),
                "P99": micros(turns.percentile(99)),
                "Max": micros(turns.longest()),
            },
        });
        if let Some(core) = core {
            shown["Core"] = (*core).into();
        }
        shown["Counters"] = Json::Object(counted);
        shown
    });
    Ok(json_body(
        StatusCode::OK,
        &json!({ "Shards": shown.collect::<Vec<_>>() }),
    ))
}

/// What waits in a shard's queues.
fn waiting(fleet: &Fleet, shard: ShardId) -> Json {
    let waiting = fleet.waiting(shard).into_iter();
    Json::Object(
        waiting
            .map(|(queue, count)| (queue.to_owned(), count.into()))
            .collect(),
    )
}

/// How many datagrams the kernel has given and taken at a time, on average, once it has.
fn batches(metrics: &ShardMetrics) -> Json {
    let mut means = serde_json::Map::new();
    for (name, datagrams, batches) in [
        ("In", Counted::DatagramsIn, Counted::BatchesIn),
        ("Out", Counted::DatagramsOut, Counted::BatchesOut),
    ] {
        let (datagrams, batches) = (metrics.value(datagrams), metrics.value(batches));
        if batches > 0 {
            let mean = datagrams as f64 / batches as f64;
            means.insert(name.to_owned(), ((mean * 100.0).round() / 100.0).into());
        }
    }
    Json::Object(means)
}

async fn metrics_page(State(api): State<Api>, asker: Asker) -> Result<Response, Problem> {
    for_operators(&asker.identity)?;
    let numbers = api.gate.ask(Command::Numbers).await?;
    let page = metrics::page((*api.fleet).clone(), numbers);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], page).into_response())
}

/// Ready means: the hub answers, so the shards run, for without them it stops; and calls are taken.
async fn ready(State(api): State<Api>) -> Result<&'static str, Problem> {
    if *api.drain.borrow() {
        let words = "no new calls are taken: the server stops when those that are up have ended";
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            words.to_owned(),
        ));
    }
    api.gate.ask(Command::Numbers).await?;
    Ok("ready\n")
}

/// One request, answered with its direct answer.
async fn request(
    State(api): State<Api>,
    asker: Asker,
    request: Request,
) -> Result<Response, Problem> {
    let body = tokio::time::timeout(api.body_deadline, Bytes::from_request(request, &())).await;
    let body = body.map_err(|_| {
        let words = "the body took too long to arrive".to_owned();
        Problem::new(StatusCode::REQUEST_TIMEOUT, words)
    })?;
    let body = body.map_err(|rejection| {
        let words = format!("the body could not be read: {}", rejection.body_text());
        Problem::new(rejection.status(), words)
    })?;
    // By itself, so that it comes to its end although who asked may not wait for it.
    let answer = tokio::spawn(ask_once(api.gate, asker.identity, body)).await;
    let answer = answer.map_err(|_| Stopped)??;
    let status = match answer["ErrorCode"].as_str() {
        Some(code) if answer["Message"] == "EventError" => status_of(code),
        Some(_) | None => StatusCode::OK,
    };
    Ok(json_body(status, &answer))
}

/// Lets a client in for one request, which is answered sooner or later, and out again.
async fn ask_once(gate: Gate, identity: Identity, request: Bytes) -> Result<Json, Problem> {
    // One answer is all that such a client is sent.
    let (outbox, mut inbox) = clients::queue(1);
    let connect = |reply| Command::Connect {
        identity,
        kind: Kind::Post,
        outbox,
        reply,
    };
    let id = gate.ask(connect).await?.map_err(|_| {
        let words = "too many clients; try again later".to_owned();
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, words)
    })?;
    gate.send(Command::Text(id, request)).await?;
    let answer = inbox.queue.recv().await;
    gate.send(Command::Disconnect(id)).await?;
    let answer = answer.ok_or(Stopped)?.frame;
    Ok(serde_json::from_str(&answer).unwrap_or_default())
}

/// Lets the calls end and then stops, like SIGTERM.
async fn drain(State(api): State<Api>, asker: Asker) -> Result<Response, Problem> {
    match asker.identity.role {
        Role::Admin => {}
        Role::Agent | Role::Supervisor | Role::Router => {
            let words = "only an admin's token stops the server".to_owned();
            return Err((ErrorCode::Forbidden, words).into());
        }
    }
    api.drain.send_replace(true);
    let patience = api.config.server.drain_timeout;
    let answer = json!({ "Draining": true, "SecondsAtMost": patience.as_secs() });
    Ok(json_body(StatusCode::ACCEPTED, &answer))
}

async fn state(api: &Api, identity: Identity, query: StateQuery) -> Result<Response, Problem> {
    let answer = api
        .gate
        .ask(|reply| Command::Query {
            identity,
            query,
            reply,
        })
        .await??;
    Ok(json_body(StatusCode::OK, &answer))
}

fn json_body(status: StatusCode, body: &Json) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}

/// The HTTP status of an error's name.
fn status_of(code: &str) -> StatusCode {
    match ErrorCode::from_name(code) {
        Some(ErrorCode::InvalidAttribute | ErrorCode::InvalidConnID) => StatusCode::BAD_REQUEST,
        Some(ErrorCode::Forbidden | ErrorCode::BadPassword) => StatusCode::FORBIDDEN,
        Some(ErrorCode::UnknownDN) => StatusCode::NOT_FOUND,
        Some(ErrorCode::TooBusy) => StatusCode::SERVICE_UNAVAILABLE,
        Some(ErrorCode::Timeout) => StatusCode::GATEWAY_TIMEOUT,
        Some(ErrorCode::UnsupportedOperation) => StatusCode::NOT_IMPLEMENTED,
        Some(ErrorCode::InternalError) | None => StatusCode::INTERNAL_SERVER_ERROR,
        Some(
            ErrorCode::ClientNotRegistered
            | ErrorCode::AlreadyInState
            | ErrorCode::OutOfService
            | ErrorCode::InvalidCalledDN
            | ErrorCode::DestinationState
            | ErrorCode::CannotCompleteTransfer
            | ErrorCode::CannotCompleteConference
            | ErrorCode::WrongState
            | ErrorCode::NotLoggedIn
            | ErrorCode::InvalidAgentID
            | ErrorCode::Busy
            | ErrorCode::NoAnswer
            | ErrorCode::Rejected,
        ) => StatusCode::CONFLICT,
    }
}

fn for_operators(identity: &Identity) -> Result<(), Problem> {
    match identity.role {
        Role::Supervisor | Role::Router | Role::Admin => Ok(()),
        Role::Agent => {
            let words = "an agent's token does not allow this".to_owned();
            Err((ErrorCode::Forbidden, words).into())
        }
    }
}

/// Who asks: by `Authorization: Bearer`, or by `token` in the query for browsers, whose WebSocket
/// cannot set headers.
fn identify(api: &Api, headers: &HeaderMap, parameters: &Parameters) -> Result<Identity, Problem> {
    let tokens = &api.config.server.tokens;
    if tokens.is_empty() {
        refuse_other_sites(headers)?;
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
    });
    let presented = bearer.or(parameters.token.as_deref().map(str::as_bytes));
    permissions::identify(tokens, presented).map_err(|stranger| {
        let words = match stranger {
            Stranger::Missing => "show a token: Authorization: Bearer TOKEN, or ?token=TOKEN",
            Stranger::Wrong => "this token is not known",
        };
        Problem::new(StatusCode::UNAUTHORIZED, words.to_owned())
    })
}

/// Without tokens everyone on this machine may do everything, and that includes every page that
/// a browser on it shows: what comes from another site's page is refused.
fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Problem> {
    let ours = |name, scheme: bool| {
        let Some(value) = headers.get(name) else {
            return true;
        };
        let text = value.to_str().unwrap_or_default();
        let authority = match text.split_once("://") {
            Some((_, authority)) if scheme => authority,
            Some(_) | None => text,
        };
        permissions::is_loopback(authority)
    };
    if ours(header::HOST, false) && ours(header::ORIGIN, true) {
        return Ok(());
    }
    let words = "without tokens only pages of this machine may connect; configure a [[token]]";
    Err(Problem::new(StatusCode::FORBIDDEN, words.to_owned()))
}
