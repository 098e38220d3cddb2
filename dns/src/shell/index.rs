//! The local index, as the checker wants to hear of it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dht::client::{Client, ClientError, NodeView, PINGS_MAX, Pong, Refusal, Search};

use crate::engine::near::learner::Found;
use crate::engine::output::{Candidate, PingOutcome, Target};
use crate::engine::timers::PINGS_TOGETHER;

/// The service that proxies register.
pub const SERVICE: &str = "http";

/// The level that everybody is in.
const WORLD: u8 = 0;

/// For the index to answer which nodes it knows.
const NODES_DEADLINE: Duration = Duration::from_millis(800);

/// Up to `count` proxies that the index knows of, at random; `None` if it does not answer.
pub async fn candidates(client: &Client, count: usize) -> Option<Vec<Candidate>> {
    let nodes = client
        .nodes(Search::of(SERVICE, count), NODES_DEADLINE)
        .await
        .inspect_err(|error| tracing::debug!(%error, "no candidates from the index"))
        .ok()?;
    let candidates = nodes.into_iter().flat_map(|node| {
        let services = node.services.into_iter();
        let http = services.filter(|(name, _)| name == SERVICE);
        http.map(move |(_, http)| Candidate {
            http,
            index: node.addr,
            // The local index does not measure the way to itself.
            rtt: Some(node.rtt.unwrap_or_default()),
        })
    });
    Some(candidates.collect())
}

/// Proxies asked for near one client.
const NEAR_COUNT: usize = 12;

/// The level whose clusters are asked for when the innermost ones are too narrow.
const OUTER: u8 = 1;

/// What the index says of the clients around `client`, and the proxies it mentions.
pub async fn near(
    index: &Client,
    client: IpAddr,
    wide: bool,
    deadline: Duration,
) -> (Found, Vec<Candidate>) {
    let ask = |level| {
        let search = Search {
            level,
            near: Some(client),
            ..Search::of(SERVICE, NEAR_COUNT)
        };
        index.nodes(search, deadline)
    };
    let mut answer = ask(if wide { OUTER } else { WORLD }).await;
    if matches!(answer, Err(ClientError::Refused(Refusal::Level))) {
        answer = ask(WORLD).await;
    }
    let nodes = match answer {
        Ok(nodes) => nodes,
        Err(error) => {
            tracing::debug!(%error, "nothing is learnt from the index");
            return (Found::Gone, Vec::new());
        }
    };
    let hinted = nodes.iter().filter_map(|node| Some((node, node.near?)));
    let near: Vec<_> = hinted
        .flat_map(|(node, far)| proxies(node).map(move |http| (http, far)))
        .collect();
    let mentions = nodes.iter().flat_map(|node| {
        proxies(node).map(|http| Candidate {
            http,
            index: node.addr,
            rtt: Some(node.rtt.unwrap_or_default()),
        })
    });
    let mentions = mentions.collect();
    if near.is_empty() {
        (Found::Nothing, mentions)
    } else {
        (Found::Near(near), mentions)
    }
}

/// Where the proxies at a node serve.
fn proxies(node: &NodeView) -> impl Iterator<Item = SocketAddr> + '_ {
    let services = node.services.iter();
    services
        .filter(|(name, _)| name == SERVICE)
        .map(|(_, http)| *http)
}

// What is made together goes into one request.
const _: () = assert!(PINGS_TOGETHER <= PINGS_MAX);

/// Pings the indexes of `targets` and looks whether they list the proxies; the outcomes in their
/// order, when the last one is known.
pub async fn pings(client: &Client, targets: &[Target], deadline: Duration) -> Vec<PingOutcome> {
    let addrs = targets.iter().map(|target| target.index).collect();
    match client.pings(addrs, deadline).await {
        Ok(pongs) => {
            let each = pongs.into_iter().zip(targets);
            each.map(|(pong, target)| judge(pong, target.proxy))
                .collect()
        }
        Err(error) => vec![outcome(&error); targets.len()],
    }
}

fn judge(pong: Result<Pong, ClientError>, proxy: SocketAddr) -> PingOutcome {
    match pong {
        Ok(pong) => PingOutcome::Pong {
            rtt: pong.rtt,
            listed: pong
                .services
                .iter()
                .any(|(name, addr)| name == SERVICE && *addr == proxy),
        },
        Err(error) => outcome(&error),
    }
}

fn outcome(error: &ClientError) -> PingOutcome {
    match error {
        ClientError::Refused(Refusal::Unreachable) => PingOutcome::Silent,
        ClientError::Deadline => PingOutcome::Late,
        ClientError::Refused(_) | ClientError::Unreachable(_) | ClientError::Protocol(_) => {
            PingOutcome::NoIndex
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_index_says_of_the_other_counts_as_its_silence() {
        let rows = [
            (
                ClientError::Refused(Refusal::Unreachable),
                PingOutcome::Silent,
            ),
            (ClientError::Deadline, PingOutcome::Late),
            (ClientError::Refused(Refusal::Busy), PingOutcome::NoIndex),
            (
                ClientError::Unreachable(String::new()),
                PingOutcome::NoIndex,
            ),
            (ClientError::Protocol(String::new()), PingOutcome::NoIndex),
        ];
        for (error, expected) in rows {
            assert_eq!(outcome(&error), expected, "{error:?}");
        }
    }
}
