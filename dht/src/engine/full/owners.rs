//! Which members store a key: those with the highest random weight (Thaler and Ravishankar 1998).
//!
//! Every member has a weight for every key; the heaviest few own it. When a member comes or goes,
//! only the keys it owns change hands, and they spread over all others.

use common::ids::{Key, NodeId};

/// The beginning of an id or key as a number. Ids and keys are hashes, so eight bytes tell them
/// apart as well as twenty.
#[must_use]
pub const fn head(bytes: &[u8; 20]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *bytes;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Every bit of the result depends on every bit of `x` (the finaliser of splitmix64).
#[must_use]
pub const fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The weight of a member for a key; ids are unique, so no two are equal.
#[must_use]
pub fn weight(key: &Key, id: NodeId) -> (u64, NodeId) {
    (mix(head(key.as_bytes()) ^ head(id.as_bytes())), id)
}

/// The `count` heaviest of `members` for `key`, heaviest first.
pub fn owners(key: &Key, members: impl Iterator<Item = NodeId>, count: usize) -> Vec<NodeId> {
    let mut best: Vec<(u64, NodeId)> = Vec::with_capacity(count + 1);
    for id in members {
        let weight = weight(key, id);
        if best.len() == count && best.last().is_none_or(|last| *last >= weight) {
            continue;
        }
        let at = best.partition_point(|other| *other > weight);
        best.insert(at, weight);
        best.truncate(count);
    }
    best.into_iter().map(|(_, id)| id).collect()
}

/// Whether `id`, not among `places`, is heavier for `key` than the lightest of the `count`
/// heaviest of them.
#[must_use]
pub fn displaces(key: &Key, id: NodeId, places: &[NodeId], count: usize) -> bool {
    let own = weight(key, id);
    let heavier = places.iter().filter(|place| weight(key, **place) > own);
    !places.contains(&id) && heavier.count() < count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: usize) -> NodeId {
        NodeId::of(std::net::SocketAddr::from((
            [10, 0, 0, 1],
            u16::try_from(n).unwrap(),
        )))
    }

    fn key(n: usize) -> Key {
        Key::of(&n.to_be_bytes())
    }

    #[test]
    fn keys_spread_evenly_over_the_members() {
        let mut held = [0; 50];
        for n in 0..5_000 {
            for owner in owners(&key(n), (0..50).map(node), 2) {
                held[(0..50).position(|n| node(n) == owner).unwrap()] += 1;
            }
        }
        assert!(
            held.iter().all(|held| (140..260).contains(held)),
            "{held:?}"
        );
    }

    #[test]
    fn a_death_moves_only_the_keys_of_the_dead() {
        for n in 0..500 {
            let before = owners(&key(n), (0..50).map(node), 3);
            let after = owners(&key(n), (1..50).map(node), 3);
            let kept: Vec<_> = before.iter().filter(|id| **id != node(0)).collect();
            assert_eq!(kept, after.iter().take(kept.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_newcomer_displaces_where_it_is_an_owner_and_nowhere_else() {
        for n in 0..500 {
            let places = owners(&key(n), (0..50).map(node), 3);
            let with = owners(&key(n), (0..51).map(node), 3);
            let owns = with.contains(&node(50));
            assert_eq!(displaces(&key(n), node(50), &places, 3), owns);
        }
    }

    #[test]
    fn fewer_members_than_wanted_all_own() {
        assert_eq!(owners(&key(1), (0..2).map(node), 3).len(), 2);
    }
}
