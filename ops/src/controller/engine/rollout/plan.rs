//! Who is changed when: a canary, then 5, 25, 60 and 100 percent of the nodes.

use std::collections::BTreeMap;

use crate::engine::document::key::PublicKey;

/// How much of all nodes the waves after the canary reach, in percent.
const REACH: [usize; 4] = [5, 25, 60, 100];

/// At most one of so many nodes of a cluster is being changed at a time.
const ONE_OF: usize = 10;

/// A node as it is when a plan is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The nodes that it is compared with.
    pub cluster: String,
    /// Whether it is heard of and follows its controller. Others come last.
    pub well: bool,
}

/// The waves of a rollout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    waves: Vec<Vec<PublicKey>>,
    clusters: BTreeMap<PublicKey, String>,
}

impl Plan {
    /// Divides nodes into waves. The canary is the one named, or a node of the largest cluster, where there are
    /// most to compare it with; the waves take from all clusters in turn. Waves that would be empty are left
    /// out.
    #[must_use]
    pub fn of(nodes: BTreeMap<PublicKey, Candidate>, canary: Option<PublicKey>) -> Self {
        let mut by_cluster: BTreeMap<&str, Vec<PublicKey>> = BTreeMap::new();
        for (key, node) in &nodes {
            by_cluster.entry(&node.cluster).or_default().push(*key);
        }
        let mut columns: Vec<Vec<PublicKey>> = by_cluster.into_values().collect();
        columns.sort_by_key(|keys| std::cmp::Reverse(keys.len()));
        let longest = columns.first().map_or(0, Vec::len);
        let in_turn =
            (0..longest).flat_map(|at| columns.iter().filter_map(move |keys| keys.get(at)));
        let mut order: Vec<PublicKey> = in_turn.copied().collect();
        let well = |key: &PublicKey| nodes.get(key).is_some_and(|node| node.well);
        order.sort_by_key(|key| (Some(*key) != canary, !well(key)));
        let mut waves: Vec<Vec<PublicKey>> = Vec::new();
        let mut begun = 0;
        let ends = REACH.map(|percent| (order.len() * percent).div_ceil(100));
        for end in [1].into_iter().chain(ends) {
            let wave: Vec<PublicKey> = order.iter().take(end).skip(begun).copied().collect();
            if !wave.is_empty() {
                begun += wave.len();
                waves.push(wave);
            }
        }
        let clusters = nodes.into_iter().map(|(key, node)| (key, node.cluster));
        Self {
            waves,
            clusters: clusters.collect(),
        }
    }

    /// The nodes of each wave, in the order in which they are told.
    #[must_use]
    pub fn waves(&self) -> &[Vec<PublicKey>] {
        &self.waves
    }

    /// The cluster of a node.
    #[must_use]
    pub fn cluster_of(&self, node: &PublicKey) -> &str {
        self.clusters.get(node).map_or("", String::as_str)
    }
}

/// How many of a cluster's `nodes` may be changed at a time.
#[must_use]
pub const fn at_once(nodes: usize) -> usize {
    if nodes < 2 * ONE_OF {
        1
    } else {
        nodes / ONE_OF
    }
}
