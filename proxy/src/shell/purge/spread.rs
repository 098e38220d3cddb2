//! Telling others of an order: whoever the index names, the holders of the URL first.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dht::client::Search;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::engine::pointer::Pointer;
use crate::engine::policy::may_be_peer;
use crate::engine::purge::order::{Order, Selector};
use crate::engine::purge::receipt::{Confirmed, NODES_MAX, Reach, Unconfirmed};
use crate::shell::context::Context;
use crate::shell::index::{IndexLink, PEER_SERVICE};
use crate::shell::peer;

/// For the index to name the others.
const WHO_WITHIN: Duration = Duration::from_secs(2);

/// For one of them to carry the order out.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Pointers asked for: more than a key's place in the index holds.
const HOLDERS_WANT: usize = 64;

/// What came of telling others.
#[derive(Debug)]
pub(super) struct Spread {
    pub(super) reach: Reach,
    pub(super) confirmed: Vec<Confirmed>,
    pub(super) unconfirmed: Vec<(SocketAddr, Unconfirmed)>,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            reach: Reach::NoIndex,
            confirmed: Vec::new(),
            unconfirmed: Vec::new(),
        }
    }
}

/// Tells everybody but this proxy.
pub(super) async fn spread(ctx: &Arc<Context>, order: &Order) -> Spread {
    let Some(link) = &ctx.index else {
        return Spread {
            reach: Reach::Alone,
            ..Spread::default()
        };
    };
    let (reach, peers) = whom(link, order).await;
    let mut telling = JoinSet::new();
    for addr in peers {
        let (ctx, order) = (Arc::clone(ctx), order.clone());
        telling.spawn(async move {
            let told = timeout(TOLD_WITHIN, peer::tell(&ctx, addr, &order)).await;
            (addr, told.unwrap_or(Err(Unconfirmed::Late)))
        });
    }
    let mut spread = Spread {
        reach,
        ..Spread::default()
    };
    for (addr, told) in telling.join_all().await {
        match told {
            Ok(confirmed) => spread.confirmed.push(confirmed),
            Err(why) => {
                tracing::warn!(peer = %addr, reason = why.as_str(), id = %order.id, "a purge was not confirmed");
                spread.unconfirmed.push((addr, why));
            }
        }
    }
    spread.confirmed.sort_by_key(|one| one.peer);
    spread.unconfirmed.sort_by_key(|(addr, _)| *addr);
    spread
}

/// Who is to be told: the holders of a URL, whom the index names by their pointers, and every proxy it
/// knows, since a pointer may have been lost and a stale copy has none.
async fn whom(link: &IndexLink, order: &Order) -> (Reach, Vec<SocketAddr>) {
    let search = Search::of(PEER_SERVICE, NODES_MAX);
    let nodes = link.client.nodes(search, WHO_WITHIN);
    let (nodes, holders) = tokio::join!(nodes, holders(link, order));
    let (mut seen, mut peers) = (HashSet::from([link.peer]), Vec::new());
    let mut add = |addr: SocketAddr| {
        if may_be_peer(addr.ip()) && seen.insert(addr) {
            peers.push(addr);
        }
    };
    let mut reach = if holders.is_ok() {
        Reach::All
    } else {
        Reach::NoIndex
    };
    holders.unwrap_or_default().into_iter().for_each(&mut add);
    match nodes {
        Ok(nodes) => {
            if nodes.len() >= NODES_MAX {
                reach = Reach::Bounded;
            }
            let services = nodes.into_iter().flat_map(|node| node.services);
            let peers = services.filter(|(name, _)| name == PEER_SERVICE);
            peers.map(|(_, addr)| addr).for_each(&mut add);
        }
        Err(error) => {
            tracing::debug!(%error, "the index names nobody to tell of a purge");
            reach = Reach::NoIndex;
        }
    }
    if peers.len() > NODES_MAX {
        peers.truncate(NODES_MAX);
        reach = Reach::Bounded;
    }
    (reach, peers)
}

/// Those who said that they have a URL, or are about to.
async fn holders(link: &IndexLink, order: &Order) -> Result<Vec<SocketAddr>, ()> {
    let Selector::Url(key) = &order.selector else {
        return Ok(Vec::new());
    };
    let found = link.client.get(key.index_key(), HOLDERS_WANT, WHO_WITHIN);
    let values = found.await.map_err(drop)?.values.into_iter();
    let pointers = values.filter_map(|value| Pointer::parse(&value.bytes));
    Ok(pointers.map(|pointer| pointer.peer).collect())
}
