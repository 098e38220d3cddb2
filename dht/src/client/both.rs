//! Two networks on one node: what two indexes said, made one answer. Pure.
//!
//! While one network takes the place of another that it cannot speak with, each node runs an index of
//! both. What is put goes to both; what is asked is asked of the new one first. Only who was granted a key in
//! the new network claims it in the old one: of two nodes in both networks one always comes first, so
//! neither can wait for the other.

use std::net::SocketAddr;

use super::{Claim, ClientError, Found, NodeView, Pong};
use crate::value::Value;

/// Whether the new network's answer needs nothing of the old one's.
pub(super) fn is_enough(new: &Result<Found, ClientError>) -> bool {
    matches!(new, Ok(found) if !found.values.is_empty())
}

/// What was found in both: the new network's values first, each once.
pub(super) fn found(
    new: Result<Found, ClientError>,
    old: Result<Found, ClientError>,
) -> Result<Found, ClientError> {
    match (new, old) {
        (Ok(new), Ok(old)) => Ok(Found {
            values: each_once(new.values, old.values),
        }),
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
        (Err(new), Err(_)) => Err(new),
    }
}

fn each_once(mut values: Vec<Value>, more: Vec<Value>) -> Vec<Value> {
    for value in more {
        if values.iter().all(|known| known.bytes != value.bytes) {
            values.push(value);
        }
    }
    values
}

/// What a claim in both comes to, after one in the new network that found nothing.
pub(super) fn claimed(
    new: Result<Claim, ClientError>,
    old: Result<Claim, ClientError>,
) -> Result<Claim, ClientError> {
    match (new, old) {
        // Somebody who is not in the new network has it, or is fetching it.
        (_, Ok(Claim::Found(values))) => Ok(Claim::Found(values)),
        (Ok(claim), _) | (Err(_), Ok(claim)) => Ok(claim),
        (Err(new), Err(_)) => Err(new),
    }
}

/// What a word to both comes to: said where it was heard. Counts add up.
pub(super) fn told(
    new: Result<u32, ClientError>,
    old: Result<u32, ClientError>,
) -> Result<u32, ClientError> {
    match (new, old) {
        (Ok(new), Ok(old)) => Ok(new.saturating_add(old)),
        (Ok(copies), Err(_)) | (Err(_), Ok(copies)) => Ok(copies),
        (Err(new), Err(_)) => Err(new),
    }
}

/// The nodes of both networks; one that runs in both is named by its index in the new one.
pub(super) fn nodes(
    new: Result<Vec<NodeView>, ClientError>,
    old: Result<Vec<NodeView>, ClientError>,
) -> Result<Vec<NodeView>, ClientError> {
    match (new, old) {
        (Ok(mut new), Ok(old)) => {
            let known: Vec<(String, SocketAddr)> = new
                .iter()
                .flat_map(|node| node.services.iter().cloned())
                .collect();
            let other = |node: &NodeView| {
                let mut services = node.services.iter();
                services.any(|service| !known.contains(service))
            };
            new.extend(old.into_iter().filter(other));
            Ok(new)
        }
        (Ok(nodes), Err(_)) | (Err(_), Ok(nodes)) => Ok(nodes),
        (Err(new), Err(_)) => Err(new),
    }
}

/// One ping through both: whoever answers is there.
pub(super) fn pong(
    new: Result<Pong, ClientError>,
    old: Result<Pong, ClientError>,
) -> Result<Pong, ClientError> {
    new.or_else(|error| old.map_err(|_| error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::ids::NodeId;

    use super::*;
    use crate::refusal::Refusal;

    fn value(text: &str) -> Value {
        Value {
            bytes: text.as_bytes().to_vec(),
            ttl: Duration::from_secs(9),
            publisher: NodeId::of(([127, 0, 0, 1], 1).into()),
            level: 0,
        }
    }

    fn values(texts: &[&str]) -> Found {
        Found {
            values: texts.iter().map(|text| value(text)).collect(),
        }
    }

    const BUSY: ClientError = ClientError::Refused(Refusal::Busy);

    #[test]
    fn values_of_the_new_network_come_first_and_each_comes_once() {
        let both = found(Ok(values(&["a", "b"])), Ok(values(&["b", "c"])));
        assert_eq!(both, Ok(values(&["a", "b", "c"])));
        assert!(is_enough(&Ok(values(&["a"]))) && !is_enough(&Ok(values(&[]))));
        assert!(!is_enough(&Err(BUSY)));
    }

    #[test]
    fn one_network_alone_answers_as_if_there_were_no_other() {
        let gone = || ClientError::Unreachable(String::new());
        assert_eq!(found(Err(gone()), Ok(values(&["a"]))), Ok(values(&["a"])));
        assert_eq!(found(Ok(values(&[])), Err(gone())), Ok(values(&[])));
        assert_eq!(found(Err(BUSY), Err(gone())), Err(BUSY));
        assert_eq!(told(Err(gone()), Ok(3)), Ok(3));
        assert_eq!(told(Ok(2), Ok(3)), Ok(5));
    }

    #[test]
    fn who_is_alone_in_the_old_network_is_met_there() {
        let met = Claim::Found(values(&["straggler"]).values);
        assert_eq!(claimed(Ok(Claim::Granted), Ok(met.clone())), Ok(met));
        let granted = claimed(Ok(Claim::Granted), Ok(Claim::Granted));
        assert_eq!(granted, Ok(Claim::Granted));
        assert_eq!(claimed(Ok(Claim::Granted), Err(BUSY)), Ok(Claim::Granted));
        assert_eq!(claimed(Err(BUSY), Ok(Claim::Granted)), Ok(Claim::Granted));
    }

    #[test]
    fn a_node_in_both_networks_is_named_once() {
        let node = |index: u16, http: u16| NodeView {
            id: NodeId::of(([127, 0, 0, 1], index).into()),
            addr: ([127, 0, 0, 1], index).into(),
            rtt: None,
            near: None,
            services: vec![("http".to_owned(), ([127, 0, 0, 1], http).into())],
        };
        let both = nodes(Ok(vec![node(1, 80)]), Ok(vec![node(11, 80), node(12, 81)]));
        assert_eq!(both, Ok(vec![node(1, 80), node(12, 81)]));
    }
}
