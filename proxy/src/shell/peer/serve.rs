//! Answering another proxy: from a copy or a fetch under way, never by fetching.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use common::wire::proof::Bound;
use data_encoding::HEXLOWER;
use http::header::{AGE, CONTENT_LENGTH, HeaderMap, HeaderValue, TRAILER};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::{DIGEST, LENGTH, OFFSET, PATH, PEER, PROOF, SEE, SLICE, STALE, order};
use crate::engine::drawing::{Joining, Offer};
use crate::engine::flow::{Ask, PeerLookup};
use crate::engine::http::cache_status::{self, CacheStatus, ForwardReason, Handling};
use crate::engine::http::key::{Portion, PrimaryKey, Scheme};
use crate::shell::body::{Cut, End, Reader, SharedBody};
use crate::shell::context::Context;
use crate::shell::fill::{Fill, Headed, Response as Object, Seat, Source, Stage};
use crate::shell::metrics::Served;
use crate::shell::outgoing::Outgoing;
use crate::shell::purge;
use crate::shell::store;
use crate::shell::traces::context_of;

/// Answers one request on the peer port.
pub(crate) async fn serve<B>(ctx: Arc<Context>, request: Request<B>) -> Response<Outgoing> {
    let (head, _) = request.into_parts();
    if head.method == *purge::METHOD {
        return order::serve(&ctx, &head).await;
    }
    let Some(key) = proven(&ctx, &head.method, &head.uri, &head.headers) else {
        ctx.metrics.peer_request(Served::Forbidden);
        return refused(StatusCode::FORBIDDEN, None);
    };
    if ctx.blocked.list().has_page(&key) {
        ctx.metrics.peer_request(Served::Nothing);
        return nothing(&ctx);
    }
    let (trace, began) = (context_of(&head.headers), ctx.now());
    let response = serve_member(&ctx, &head.headers, &key).await;
    if let Some(trace) = trace {
        let took = ctx.now().since(began);
        let told = (&key, &response);
        ctx.traces.served(&trace, (began, took), told);
    }
    response
}

/// Answers a request that is proven to be a member's.
async fn serve_member(
    ctx: &Arc<Context>,
    headers: &HeaderMap,
    key: &PrimaryKey,
) -> Response<Outgoing> {
    let path = path(headers);
    let own = ctx.index.as_ref().map(|link| link.peer);
    if path.iter().any(|addr| own == Some(*addr)) {
        ctx.metrics.peer_request(Served::Loop);
        return refused(StatusCode::LOOP_DETECTED, None);
    }
    let key = &match headers.get(SLICE) {
        None => key.clone(),
        Some(slice) => match slice_of(key, slice) {
            Some(key) => key,
            None => return nothing(ctx),
        },
    };
    let ask = Ask {
        key,
        method: &Method::GET,
        headers,
    };
    let stale = headers.contains_key(STALE);
    let (mut found, mut seat) = look(ctx, ask, stale, None);
    if matches!(found, PeerLookup::Shelved) {
        let read = store::reader::load(ctx, key).await;
        (found, seat) = look(ctx, ask, stale, Some(&read));
    }
    let offset = number(headers, &OFFSET).unwrap_or(0);
    match found {
        PeerLookup::Hit(object) => {
            ctx.metrics.peer_request(Served::Hit);
            answer(ctx, &object, &[], Handling::Hit, offset, None)
        }
        PeerLookup::Join(fill) => join(ctx, (&fill, seat), headers, &path, offset).await,
        PeerLookup::Nothing | PeerLookup::Shelved => nothing(ctx),
    }
}

/// One look at what is here; again with what was `read` from disk.
fn look(
    ctx: &Context,
    ask: Ask<'_>,
    stale: bool,
    read: Option<&[Arc<Object>]>,
) -> (PeerLookup<Arc<SharedBody>, Arc<Fill>>, Option<Seat>) {
    let mut flow = ctx.flow();
    let found = match read {
        _ if ask.key.is_portion() => flow.slice_for_peer(ask.key, read),
        Some(read) => flow.lookup_again_for_peer(ctx.now(), ask, stale, read),
        None => flow.lookup_for_peer(ctx.now(), ask, stale),
    };
    // Seated under the lock, or it might be given up meanwhile.
    let seat = match &found {
        PeerLookup::Join(fill) => Some(fill.seat()),
        PeerLookup::Hit(object) if object.body.is_spoilt() => {
            flow.forget(ask.key);
            return (PeerLookup::Nothing, None);
        }
        PeerLookup::Hit(_) | PeerLookup::Nothing | PeerLookup::Shelved => None,
    };
    (found, seat)
}

/// The resource asked for, if the request proves membership.
fn proven(
    ctx: &Context,
    method: &Method,
    uri: &http::Uri,
    headers: &HeaderMap,
) -> Option<PrimaryKey> {
    if method != Method::GET {
        return None;
    }
    let target = member(ctx, method, uri, headers)?;
    let (scheme, rest) = target.strip_prefix('/')?.split_once('/')?;
    let scheme = Scheme::parse(scheme)?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, scheme.default_port()),
    };
    Some(PrimaryKey::new(scheme, host, port, path))
}

/// The target of a request that proves membership.
pub(super) fn member<'a>(
    ctx: &Context,
    method: &Method,
    uri: &'a http::Uri,
    headers: &HeaderMap,
) -> Option<&'a str> {
    let link = ctx.index.as_ref()?;
    let target = uri.path_and_query()?.as_str();
    let receiver = link.peer.to_string();
    let bound = Bound {
        receiver: &receiver,
        method: method.as_str(),
        target,
    };
    let is_member = link.is_member(headers, &PROOF, bound);
    is_member.then_some(target)
}

/// The key of the slice of `key` that is asked for.
fn slice_of(key: &PrimaryKey, slice: &HeaderValue) -> Option<PrimaryKey> {
    let slice = PrimaryKey::parse(&format!("{}#{}", key.as_str(), slice.to_str().ok()?))?;
    matches!(slice.as_portion()?, (_, Portion::Slice(_))).then_some(slice)
}

fn path(headers: &HeaderMap) -> Vec<SocketAddr> {
    let text = headers
        .get(PATH)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    text.split(',')
        .filter_map(|addr| addr.trim().parse().ok())
        .collect()
}

fn number(headers: &HeaderMap, name: &http::HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// Waits until it is known what a fetch under way has for this peer.
async fn join(
    ctx: &Arc<Context>,
    (fill, seat): (&Arc<Fill>, Option<Seat>),
    headers: &HeaderMap,
    path: &[SocketAddr],
    offset: u64,
) -> Response<Outgoing> {
    let decided = |stage: &Stage| joining(stage, headers) != Joining::Wait;
    let Some(stage) = fill.until(decided).await else {
        return nothing(ctx);
    };
    match (joining(&stage, headers), stage) {
        (Joining::Serve, Stage::Headed(headed)) => {
            ctx.metrics.peer_request(Served::Fill);
            let Headed { object, source, .. } = headed;
            let before = match &source {
                Source::Peer(_, members) => members.as_slice(),
                Source::Origin | Source::Completed | Source::Revalidated | Source::Stale(_) => &[],
            };
            let handling = Handling::Forwarded {
                why: ForwardReason::UriMiss,
                status: None,
                stored: true,
                collapsed: true,
            };
            answer(ctx, &object, before, handling, offset, seat)
        }
        (Joining::See(other), _) => {
            ctx.metrics.peer_request(Served::Loop);
            refused(
                StatusCode::CONFLICT,
                Some(other).filter(|other| !path.contains(other)),
            )
        }
        _ => nothing(ctx),
    }
}

fn joining(stage: &Stage, headers: &HeaderMap) -> Joining {
    match stage {
        Stage::Waiting(drawing) => drawing.joining(Offer::Nothing),
        Stage::Headed(headed) if !usable(headed, headers) => Joining::Nothing,
        Stage::Headed(headed) if headed.object.body.is_whole() => {
            headed.drawing.joining(Offer::Whole)
        }
        Stage::Headed(headed) => headed.drawing.joining(Offer::Part),
        Stage::Failed(_) => Joining::Nothing,
    }
}

/// Whether a fill's answer is one that the asker may have, from its first byte.
fn usable(headed: &Headed, headers: &HeaderMap) -> bool {
    let stale = matches!(headed.source, Source::Stale(_)) && !headers.contains_key(STALE);
    headed.shared.is_ok()
        && !stale
        && headed.object.answers(headers)
        && headed.object.body.is_joinable()
}

fn nothing(ctx: &Context) -> Response<Outgoing> {
    ctx.metrics.peer_request(Served::Nothing);
    refused(StatusCode::NOT_FOUND, None)
}

pub(super) fn refused(status: StatusCode, see: Option<SocketAddr>) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::empty());
    *response.status_mut() = status;
    if status != StatusCode::FORBIDDEN {
        // An outsider learns nothing, not even that this is a peer port.
        let headers = response.headers_mut();
        headers.insert(PEER, HeaderValue::from_static("refused"));
        if let Some(value) = see.and_then(|addr| HeaderValue::try_from(addr.to_string()).ok()) {
            headers.insert(SEE, value);
        }
    }
    response
}

fn answer(
    ctx: &Context,
    object: &Object,
    before: &[HeaderValue],
    handling: Handling,
    offset: u64,
    seat: Option<Seat>,
) -> Response<Outgoing> {
    if object.sliced().is_some() {
        return manifest(ctx, object, before, handling);
    }
    let body = &object.body;
    let mut headers = object.headers();
    headers.insert(AGE, object.age(ctx.now()).as_secs().into());
    let word = if seat.is_some() { "fill" } else { "hit" };
    headers.insert(PEER, HeaderValue::from_static(word));
    headers.remove(CONTENT_LENGTH);
    let length = body.length();
    if let Some(length) = length {
        headers.insert(LENGTH, length.into());
    }
    for member in before {
        headers.append(cache_status::CACHE_STATUS, member.clone());
    }
    let name = ctx.identity.name();
    let own = CacheStatus {
        cache: name,
        handling,
        ttl: None,
        detail: None,
    };
    cache_status::append(&mut headers, &own);
    let reader = body.reader(offset, None, seat);
    let outgoing = match (body.end(), length) {
        (End::Whole(digest), Some(length)) => {
            headers.insert(DIGEST, digest_value(&digest));
            headers.insert(CONTENT_LENGTH, length.saturating_sub(offset).into());
            Outgoing::of(reader)
        }
        _ => {
            headers.insert(TRAILER, HeaderValue::from_static("atoll-digest"));
            Outgoing::of(WithDigest {
                reader,
                body: Arc::clone(body),
                done: false,
            })
        }
    };
    let mut response = Response::new(outgoing);
    *response.status_mut() = object.status;
    *response.headers_mut() = headers;
    response
}

/// The head of a large object, whose body is had in slices.
fn manifest(
    ctx: &Context,
    object: &Object,
    before: &[HeaderValue],
    handling: Handling,
) -> Response<Outgoing> {
    let mut headers = object.headers();
    headers.insert(AGE, object.age(ctx.now()).as_secs().into());
    headers.insert(PEER, HeaderValue::from_static("slices"));
    headers.insert(CONTENT_LENGTH, 0.into());
    for member in before {
        headers.append(cache_status::CACHE_STATUS, member.clone());
    }
    let own = CacheStatus {
        cache: ctx.identity.name(),
        handling,
        ttl: None,
        detail: None,
    };
    cache_status::append(&mut headers, &own);
    let mut response = Response::new(Outgoing::empty());
    *response.status_mut() = object.status;
    *response.headers_mut() = headers;
    response
}

fn digest_value(digest: &[u8; 32]) -> HeaderValue {
    // Hexadecimal digits are always a valid value.
    HeaderValue::try_from(HEXLOWER.encode(digest)).unwrap_or(HeaderValue::from_static(""))
}

/// A body under way, followed by its digest once that is known.
struct WithDigest {
    reader: Reader<Option<Seat>>,
    body: Arc<SharedBody>,
    done: bool,
}

impl Body for WithDigest {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.done {
            return Poll::Ready(None);
        }
        match std::task::ready!(Pin::new(&mut self.reader).poll_frame(cx)) {
            Some(frame) => Poll::Ready(Some(frame)),
            None => {
                self.done = true;
                let End::Whole(digest) = self.body.end() else {
                    return Poll::Ready(None);
                };
                let fields = HeaderMap::from_iter([(DIGEST, digest_value(&digest))]);
                Poll::Ready(Some(Ok(Frame::trailers(fields))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        // Without a length hyper sends it in chunks, which is what trailers need.
        SizeHint::new()
    }
}
