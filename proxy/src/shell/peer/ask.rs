//! Asking another proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use common::trace::Context as TraceContext;
use common::wire::proof::Bound;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::{HeaderValue as Value, Method};

use super::{LENGTH, OFFSET, PATH, PEER, PROOF, SEE, SLICE, STALE};
use crate::engine::http::key::{Portion, PrimaryKey};
use crate::engine::http::{cache_status, hop};
use crate::engine::policy::may_be_peer;
use crate::engine::reason::FailReason;
use crate::engine::slices::manifest;
use crate::shell::context::Context;
use crate::shell::fill::Asker;
use crate::shell::index::IndexLink;
use crate::shell::traces::TRACE;
use crate::shell::upstream::{Destination, Question, Upstream};

/// What is wanted beside the object itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// A stale copy will do.
    pub(crate) stale: bool,
    /// Bytes that are here already.
    pub(crate) offset: u64,
    /// The trace it is part of.
    pub(crate) trace: Option<TraceContext>,
}

/// A peer's answer.
pub(crate) struct Found {
    pub(crate) upstream: Box<Upstream>,
    /// What it and those before it did.
    pub(crate) members: Vec<HeaderValue>,
    /// Length of the whole body.
    pub(crate) length: Option<u64>,
    /// Length of the large object of which this is the head alone.
    pub(crate) sliced: Option<u64>,
}

/// A peer gave nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: FailReason,
    /// Whom it named instead.
    pub(crate) instead: Option<SocketAddr>,
}

impl From<FailReason> for Refusal {
    fn from(reason: FailReason) -> Self {
        Self {
            reason,
            instead: None,
        }
    }
}

/// Asks `peer` for what `asker` wants.
pub(crate) async fn ask(
    ctx: &Arc<Context>,
    peer: SocketAddr,
    asker: &Asker,
    wish: Wish,
) -> Result<Found, Refusal> {
    let Some(link) = &ctx.index else {
        return Err(FailReason::PeerRefused.into());
    };
    let target = target(&asker.key);
    let headers = fields(ctx, link, (peer, &target), asker, wish)?;
    let to = Destination::Peer(peer);
    let question = Question {
        method: &Method::GET,
        target: &target,
        headers: &headers,
        hints: None,
    };
    let upstream = ctx.client.send(&to, question).await?;
    let fields = &upstream.head.headers;
    let word = fields.get(PEER).map(HeaderValue::as_bytes);
    let sliced = manifest::total_of(fields).filter(|_| word == Some(b"slices"));
    if !matches!(word, Some(b"hit" | b"fill")) && sliced.is_none() {
        let instead = fields
            .get(SEE)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .filter(|other: &SocketAddr| may_be_peer(other.ip()) && *other != link.peer);
        tokio::spawn(upstream.body.discard());
        return Err(Refusal {
            reason: FailReason::PeerRefused,
            instead,
        });
    }
    let length = fields
        .get(LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Found {
        members: members(fields),
        length,
        sliced,
        upstream,
    })
}

/// The fields of a request to `peer` for `target`.
fn fields(
    ctx: &Context,
    link: &IndexLink,
    (peer, target): (SocketAddr, &str),
    asker: &Asker,
    wish: Wish,
) -> Result<HeaderMap, FailReason> {
    let receiver = peer.to_string();
    let bound = Bound {
        receiver: &receiver,
        method: Method::GET.as_str(),
        target,
    };
    let proofs = link.proofs(bound, || ctx.nonce());
    let proofs = proofs.into_iter().map(|proof| (PROOF, proof));
    let mut headers = selecting(&asker.headers);
    let fields = [(HOST, receiver), (PATH, link.peer.to_string())];
    let slice = match asker.key.as_portion() {
        Some((tag, Portion::Slice(n))) => Some((SLICE, format!("{tag}/{n}"))),
        Some((_, Portion::Extent(_))) | None => None,
    };
    for (name, text) in fields.into_iter().chain(slice).chain(proofs) {
        headers.append(
            name,
            Value::try_from(text).map_err(|_| FailReason::Malformed)?,
        );
    }
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if wish.offset > 0 {
        headers.insert(OFFSET, wish.offset.into());
    }
    if let Some(trace) = wish.trace {
        let text = trace.to_string();
        headers.insert(
            TRACE,
            Value::try_from(text).map_err(|_| FailReason::Malformed)?,
        );
    }
    if wish.stale {
        headers.insert(STALE, HeaderValue::from_static("1"));
    }
    Ok(headers)
}

/// The request target that names `key` to a peer.
fn target(key: &PrimaryKey) -> String {
    format!(
        "/{}/{}{}",
        key.scheme(),
        key.authority(),
        key.path_and_query()
    )
}

/// The client's fields that may select a variant: all that are neither the connection's, nor
/// credentials, nor about parts and preconditions, nor about a body. A length of a body that is not
/// sent would swallow the beginning of the next request to this peer.
fn selecting(client: &HeaderMap) -> HeaderMap {
    let mut headers = client.clone();
    hop::strip_hop_by_hop(&mut headers);
    super::strip(&mut headers);
    let dropped: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let text = name.as_str();
            hop::is_credential(name)
                || ["if-", "content-"]
                    .iter()
                    .any(|start| text.starts_with(start))
                || matches!(text, "range" | "expect")
        })
        .cloned()
        .collect();
    for name in dropped {
        headers.remove(name);
    }
    headers
}

/// The Cache-Status members of a response.
fn members(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers
        .get_all(cache_status::CACHE_STATUS)
        .iter()
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::object::tests::headers;

    #[test]
    fn nothing_of_a_client_frames_a_request_to_a_peer() {
        let client = headers(&[
            ("content-length", "10"),
            ("expect", "100-continue"),
            ("cookie", "a=b"),
            ("range", "bytes=0-"),
            ("if-none-match", "\"a\""),
            ("atoll-offset", "7"),
            ("accept-language", "de"),
        ]);
        let sent: Vec<_> = selecting(&client).keys().cloned().collect();
        assert_eq!(sent, ["accept-language"]);
    }
}
