//! Orders to purge between proxies: telling another, and hearing of one.

use std::net::SocketAddr;
use std::sync::Arc;

use common::wire::proof::Bound;
use data_encoding::HEXLOWER;
use http::header::{HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};

use super::serve::{member, refused};
use super::{PEER, PROOF, PURGED};
use crate::engine::purge::Tally;
use crate::engine::purge::order::{Order, OrderId};
use crate::engine::purge::receipt::{Confirmed, Unconfirmed};
use crate::engine::reason::FailReason;
use crate::shell::context::Context;
use crate::shell::metrics::Served;
use crate::shell::outgoing::Outgoing;
use crate::shell::purge;
use crate::shell::upstream::{Destination, Question};

/// Has `peer` carry an order out.
pub(crate) async fn tell(
    ctx: &Arc<Context>,
    peer: SocketAddr,
    order: &Order,
) -> Result<Confirmed, Unconfirmed> {
    let link = ctx.index.as_ref().ok_or(Unconfirmed::Refused)?;
    let text = HEXLOWER.encode(order.to_string().as_bytes());
    let target = format!("/purge/{}/{text}", order.id);
    let receiver = peer.to_string();
    let bound = Bound {
        receiver: &receiver,
        method: purge::METHOD.as_str(),
        target: &target,
    };
    let proofs = link.proofs(bound, || ctx.nonce());
    let proofs = proofs.into_iter().map(|proof| (PROOF, proof));
    let mut headers = HeaderMap::new();
    for (name, text) in [(HOST, receiver)].into_iter().chain(proofs) {
        let value = HeaderValue::try_from(text);
        let value = value.map_err(|_| Unconfirmed::Failed(FailReason::Malformed))?;
        headers.append(name, value);
    }
    let question = Question {
        method: &purge::METHOD,
        target: &target,
        headers: &headers,
        hints: None,
    };
    let sent = ctx.client.send(&Destination::Peer(peer), question).await;
    let upstream = sent.map_err(Unconfirmed::Failed)?;
    let said = confirmed(peer, upstream.head.status, &upstream.head.headers);
    tokio::spawn(upstream.body.discard());
    said.ok_or(Unconfirmed::Refused)
}

/// What a peer says it did.
fn confirmed(peer: SocketAddr, status: StatusCode, headers: &HeaderMap) -> Option<Confirmed> {
    let said = headers.get(PURGED).filter(|_| status == StatusCode::OK)?;
    let mut words = said.to_str().ok()?.splitn(3, ' ');
    let tally = Tally {
        stale: words.next()?.parse().ok()?,
        gone: words.next()?.parse().ok()?,
    };
    Some(Confirmed {
        node: words.next()?.to_owned(),
        peer: Some(peer),
        tally,
    })
}

/// Carries out what a member orders.
pub(super) async fn serve(ctx: &Arc<Context>, head: &Parts) -> Response<Outgoing> {
    let Some(target) = member(ctx, &head.method, &head.uri, &head.headers) else {
        ctx.metrics.peer_request(Served::Forbidden);
        return refused(StatusCode::FORBIDDEN, None);
    };
    let Some(order) = order(target) else {
        return refused(StatusCode::BAD_REQUEST, None);
    };
    ctx.metrics.purge("told");
    tracing::info!(%order, id = %order.id, "told of a purge by a peer");
    // Finished even if whoever told of it does not wait.
    let told = Arc::clone(ctx);
    let done = tokio::spawn(async move { purge::here(&told, &order).await });
    let Ok(Tally { stale, gone }) = done.await else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, None);
    };
    let mut response = Response::new(Outgoing::empty());
    let headers = response.headers_mut();
    headers.insert(PEER, HeaderValue::from_static("purged"));
    if let Ok(said) = HeaderValue::try_from(format!("{stale} {gone} {}", ctx.identity.name())) {
        headers.insert(PURGED, said);
    }
    response
}

fn order(target: &str) -> Option<Order> {
    let (id, text) = target.strip_prefix("/purge/")?.split_once('/')?;
    let text = HEXLOWER.decode(text.as_bytes()).ok()?;
    Order::parse(OrderId::parse(id)?, std::str::from_utf8(&text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_and_nothing_else() {
        let text = HEXLOWER.encode(b"hard site example.com");
        let id = "0123456789abcdef0123456789abcdef";
        let read = order(&format!("/purge/{id}/{text}")).unwrap();
        assert_eq!(
            (read.to_string(), read.id.to_string()),
            ("hard site example.com".into(), id.into())
        );
        for target in ["/purge/", "/purge/x/00", "/http/example.com/", "/purge//"] {
            assert!(order(target).is_none(), "{target}");
        }
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let headers =
            |said: &'static str| HeaderMap::from_iter([(PURGED, HeaderValue::from_static(said))]);
        let one = confirmed(peer, StatusCode::OK, &headers("3 4 node")).unwrap();
        assert_eq!(
            (one.tally.stale, one.tally.gone, &*one.node),
            (3, 4, "node")
        );
        assert!(confirmed(peer, StatusCode::OK, &headers("3 x node")).is_none());
        assert!(confirmed(peer, StatusCode::NOT_FOUND, &headers("3 4 node")).is_none());
    }
}
