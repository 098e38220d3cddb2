//! The local API: requests to commands, answers to responses. Documents are those of `api`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use common::netaddr::Prefix;
use common::shell::admin::Inspect as _;
use common::trace::Context;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::orders::{AT_ONCE, Engine, Order};
use super::stream::{Lines, Session, line};
use crate::api::{
    BODY_MAX, BytesDoc, ClaimResponse, ErrorDoc, GetRequest, HintRequest, KeyDoc, LevelDoc,
    LevelsResponse, NodeDoc, NodesRequest, NodesResponse, PINGS_MAX, PingDoc, PingRequest,
    PingResponse, PingsRequest, PingsResponse, PutRequest, PutResponse, ServiceDoc, ShapeError,
    ValueDoc, ValuesDoc, WithdrawRequest, WithdrawResponse, deadline, micros, millis,
};
use crate::engine::message::Service;
use crate::engine::{Answer, LevelInfo, NodeInfo, Wish};
use crate::hints::{self, Hint};
use crate::refusal::Refusal;

/// Answers queued per command. A get has at most one per value of a key, and one more.
const ANSWERS_MAX: usize = 32;

/// Time for a request's body to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Time beyond a command's deadline in which the engine itself says that it passed.
const ENGINE_GRACE: Duration = Duration::from_millis(500);

pub(super) type ApiResponse = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A refusal on its way out, with words of its own if it has any.
#[derive(Debug)]
struct No(Refusal, Option<String>);

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self(refusal, None)
    }
}

impl From<ShapeError> for No {
    fn from(error: ShapeError) -> Self {
        Self(Refusal::Malformed, Some(error.to_string()))
    }
}

/// One request, one response, whatever happens.
pub(super) async fn respond(engine: &Engine, request: Request<Incoming>) -> ApiResponse {
    let traced = trace_of(&request).map(|trace| Engine {
        trace: Some(trace),
        ..engine.clone()
    });
    let engine = traced.as_ref().unwrap_or(engine);
    match route(engine, request).await {
        Ok(response) => response,
        Err(No(refusal, message)) => {
            let mut doc = ErrorDoc::of(refusal);
            doc.message = message.unwrap_or(doc.message);
            json(status(refusal), &doc)
        }
    }
}

/// The trace in the request's query; what is none is as good as none.
fn trace_of<B>(request: &Request<B>) -> Option<Context> {
    let mut pairs = request.uri().query()?.split('&');
    let trace = pairs.find_map(|pair| pair.strip_prefix("trace="))?;
    trace.parse().ok()
}

async fn route(engine: &Engine, request: Request<Incoming>) -> Result<ApiResponse, No> {
    let path = request.uri().path().to_owned();
    if *request.method() != method(&path)? {
        return Err(Refusal::Method.into());
    }
    match path.as_str() {
        "/v1/get" => get(engine, read(request).await?).await,
        "/v1/put" => put(engine, read(request).await?).await,
        "/v1/claim" => claim(engine, read(request).await?).await,
        "/v1/withdraw" => withdraw(engine, read(request).await?).await,
        "/v1/hint" => hint(engine, read(request).await?).await,
        _ => route_nodes(engine, &path, request).await,
    }
}

/// What concerns nodes and not keys.
async fn route_nodes(
    engine: &Engine,
    path: &str,
    request: Request<Incoming>,
) -> Result<ApiResponse, No> {
    match path {
        "/v1/levels" => levels(engine).await,
        "/v1/state" => Ok(json(StatusCode::OK, &engine.shared.state())),
        "/v1/nodes" => nodes(engine, read(request).await?).await,
        "/v1/ping" => ping(engine, read(request).await?).await,
        "/v1/pings" => pings(engine, read(request).await?).await,
        _ => service(engine, read(request).await?).await,
    }
}

/// The one method of each resource.
fn method(path: &str) -> Result<Method, Refusal> {
    match path {
        "/v1/levels" | "/v1/state" => Ok(Method::GET),
        "/v1/get" | "/v1/put" | "/v1/claim" | "/v1/withdraw" | "/v1/hint" | "/v1/nodes"
        | "/v1/ping" | "/v1/pings" | "/v1/service" => Ok(Method::POST),
        _ => Err(Refusal::NotFound),
    }
}

/// The document in a request's body.
async fn read<Q: DeserializeOwned>(request: Request<Incoming>) -> Result<Q, No> {
    let whole = Limited::new(request.into_body(), BODY_MAX).collect();
    let body = match timeout(BODY_DEADLINE, whole).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Refusal::BodyTooLarge.into());
        }
        Ok(Err(error)) => return Err(No(Refusal::Malformed, Some(error.to_string()))),
        Err(_) => return Err(Refusal::Deadline.into()),
    };
    serde_json::from_slice(&body).map_err(|e| No(Refusal::Malformed, Some(e.to_string())))
}

/// Hands a command to the engine.
fn order(
    engine: &Engine,
    wish: Wish,
    allowed: Duration,
) -> Result<mpsc::Receiver<Answer>, Refusal> {
    let (answers, received) = mpsc::channel(ANSWERS_MAX);
    let sent = engine.orders.try_send(Order {
        wish,
        allowed,
        trace: engine.trace,
        answers,
    });
    sent.map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Refusal::Busy,
        mpsc::error::TrySendError::Closed(_) => Refusal::ShuttingDown,
    })?;
    Ok(received)
}

/// The next answer, or a refusal.
async fn answer(answers: &mut mpsc::Receiver<Answer>, allowed: Duration) -> Result<Answer, No> {
    match timeout(allowed + ENGINE_GRACE, answers.recv()).await {
        Ok(Some(Answer::Refused(refusal))) => Err(refusal.into()),
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Refusal::ShuttingDown.into()),
        Err(_) => Err(Refusal::Deadline.into()),
    }
}

/// One command with one answer.
async fn ask(engine: &Engine, wish: Wish, allowed: Duration) -> Result<Answer, No> {
    let mut answers = order(engine, wish, allowed)?;
    answer(&mut answers, allowed).await
}

async fn get(engine: &Engine, request: GetRequest) -> Result<ApiResponse, No> {
    let (key, allowed) = (request.key.resolve()?, deadline(request.deadline_ms));
    let wish = Wish::GetWithin {
        key,
        want: usize::from(request.want),
        outermost: request.outermost,
    };
    let mut answers = order(engine, wish, allowed)?;
    if request.stream {
        return Ok(respond_with(
            StatusCode::OK,
            LINES,
            UnsyncBoxBody::new(Lines { answers }),
        ));
    }
    let mut found = ValuesDoc {
        values: Vec::new(),
        last: true,
    };
    loop {
        match answer(&mut answers, allowed).await? {
            Answer::Values { values, last } => {
                found.values.extend(values.iter().map(ValueDoc::from));
                if last {
                    return Ok(json(StatusCode::OK, &found));
                }
            }
            _ => return Err(Refusal::Other.into()),
        }
    }
}

async fn put(engine: &Engine, request: PutRequest) -> Result<ApiResponse, No> {
    let (key, allowed) = (request.key.resolve()?, deadline(request.deadline_ms));
    let ttl = Duration::from_millis(request.ttl_ms);
    let wish = Wish::Put {
        key,
        value: request.bytes.resolve()?,
        ttl,
    };
    match ask(engine, wish, allowed).await? {
        Answer::Stored { copies } => Ok(json(
            StatusCode::OK,
            &PutResponse {
                copies: count(copies),
            },
        )),
        _ => Err(Refusal::Other.into()),
    }
}

async fn claim(engine: &Engine, request: PutRequest) -> Result<ApiResponse, No> {
    let (key, allowed) = (request.key.resolve()?, deadline(request.deadline_ms));
    let ttl = Duration::from_millis(request.ttl_ms);
    let wish = Wish::Claim {
        key,
        value: request.bytes.resolve()?,
        ttl,
    };
    let response = match ask(engine, wish, allowed).await? {
        Answer::Granted => ClaimResponse {
            granted: true,
            values: Vec::new(),
        },
        Answer::Taken { values } => {
            let values = values.iter().map(ValueDoc::from).collect();
            ClaimResponse {
                granted: false,
                values,
            }
        }
        _ => return Err(Refusal::Other.into()),
    };
    Ok(json(StatusCode::OK, &response))
}

async fn withdraw(engine: &Engine, request: WithdrawRequest) -> Result<ApiResponse, No> {
    let (key, allowed) = (request.key.resolve()?, deadline(request.deadline_ms));
    match ask(engine, Wish::Withdraw { key }, allowed).await? {
        Answer::Withdrawn { copies } => Ok(json(
            StatusCode::OK,
            &WithdrawResponse {
                copies: count(copies),
            },
        )),
        _ => Err(Refusal::Other.into()),
    }
}

/// A hint is an ordinary put under the key of the client's prefix.
async fn hint(engine: &Engine, request: HintRequest) -> Result<ApiResponse, No> {
    let rtt = Duration::from_micros(request.rtt_us);
    if rtt > hints::RTT_MAX {
        return Err(ShapeError::Rtt.into());
    }
    let addr = engine.shared.node().addr();
    let put = PutRequest {
        key: KeyDoc::of(hints::key(Prefix::of(request.client))),
        bytes: BytesDoc::of(&Hint { addr, rtt }.encode()),
        ttl_ms: request.ttl_ms,
        deadline_ms: request.deadline_ms,
    };
    self::put(engine, put).await
}

async fn nodes(engine: &Engine, request: NodesRequest) -> Result<ApiResponse, No> {
    let allowed = deadline(request.deadline_ms);
    let NodesRequest {
        level,
        near,
        service,
        ..
    } = request;
    let wish = Wish::Nodes {
        level,
        count: usize::from(request.count),
        near,
        service,
    };
    let view = |node: NodeInfo| NodeDoc {
        id: node.id,
        addr: node.addr,
        rtt_us: node.rtt.map(micros),
        near_us: node.near.map(micros),
        services: node.services.iter().map(ServiceDoc::of).collect(),
    };
    match ask(engine, wish, allowed).await? {
        Answer::Nodes(nodes) => {
            let nodes = nodes.into_iter().map(view).collect();
            Ok(json(StatusCode::OK, &NodesResponse { nodes }))
        }
        _ => Err(Refusal::Other.into()),
    }
}

async fn ping(engine: &Engine, request: PingRequest) -> Result<ApiResponse, No> {
    let allowed = deadline(request.deadline_ms);
    let answer = ask(engine, Wish::Ping { addr: request.addr }, allowed).await?;
    Ok(json(StatusCode::OK, &pong(answer)?))
}

fn pong(answer: Answer) -> Result<PingResponse, No> {
    match answer {
        Answer::Pong { rtt, services } => Ok(PingResponse {
            rtt_us: micros(rtt),
            services: services.iter().map(ServiceDoc::of).collect(),
        }),
        _ => Err(Refusal::Other.into()),
    }
}

/// All leave at once; they are then waited for in turn, each no longer than its deadline.
async fn pings(engine: &Engine, request: PingsRequest) -> Result<ApiResponse, No> {
    if request.addrs.len() > PINGS_MAX {
        return Err(ShapeError::Pings.into());
    }
    let allowed = deadline(request.deadline_ms);
    let begin = |addr: &SocketAddr| order(engine, Wish::Ping { addr: *addr }, allowed);
    let begun: Vec<_> = request.addrs.iter().map(begin).collect();
    let mut pings = Vec::with_capacity(begun.len());
    for begun in begun {
        let ended = match begun {
            Ok(mut answers) => answer(&mut answers, allowed).await.and_then(pong),
            Err(refusal) => Err(refusal.into()),
        };
        pings.push(ended.map_or_else(
            |No(refusal, _)| PingDoc::Refused {
                error: refusal.as_str().to_owned(),
            },
            PingDoc::Pong,
        ));
    }
    Ok(json(StatusCode::OK, &PingsResponse { pings }))
}

async fn levels(engine: &Engine) -> Result<ApiResponse, No> {
    let view = |level: LevelInfo| LevelDoc {
        level: level.level,
        threshold_ms: level.threshold.map(millis),
        cluster: level.cluster,
        size: level.size,
        age_s: level.age.as_secs(),
    };
    match ask(engine, Wish::Levels, AT_ONCE).await? {
        Answer::Levels(levels) => {
            let levels = levels.into_iter().map(view).collect();
            Ok(json(StatusCode::OK, &LevelsResponse { levels }))
        }
        _ => Err(Refusal::Other.into()),
    }
}

async fn service(engine: &Engine, request: ServiceDoc) -> Result<ApiResponse, No> {
    request.check()?;
    let service: Service = (request.name, request.addr);
    // Before it is asked for: if nobody waits for the answer any more, it is ended after it began.
    let session = Session::new(engine.clone(), service.clone());
    if let Err(no) = ask(engine, Wish::Register { service }, AT_ONCE).await {
        if no.0 != Refusal::Deadline {
            session.refused();
        }
        return Err(no);
    }
    Ok(respond_with(
        StatusCode::OK,
        LINES,
        UnsyncBoxBody::new(session),
    ))
}

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

fn json<D: Serialize>(status: StatusCode, doc: &D) -> ApiResponse {
    respond_with(status, JSON, UnsyncBoxBody::new(Full::new(line(doc))))
}

fn respond_with(
    status: StatusCode,
    kind: &'static str,
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> ApiResponse {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn count(copies: usize) -> u32 {
    u32::try_from(copies).unwrap_or(u32::MAX)
}

const fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed | Refusal::TtlZero => StatusCode::BAD_REQUEST,
        Refusal::BodyTooLarge | Refusal::ValueTooLong => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Busy | Refusal::KeyRate | Refusal::ServicesFull => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Refusal::StoreFull | Refusal::KeyFull | Refusal::PublisherFull | Refusal::Loaded => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        Refusal::Unreachable | Refusal::Token | Refusal::Other => StatusCode::BAD_GATEWAY,
        Refusal::Level => StatusCode::CONFLICT,
        Refusal::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
    }
}
