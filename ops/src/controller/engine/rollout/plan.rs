//! Who is changed when: a canary, then 5, 25, 60 and 100 percent of the nodes.

use std::collections::BTreeMap;

use crate::engine::document::key::PublicKey;

/// How much of all nodes the waves after the canary reach, in percent.
const REACH: [usize; 4] = [5, 25, 60, 100];

/// At most one of so many nodes of a cluster is being changed at a time.
const ONE_OF: usize = 10;

/// The waves of a rollout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    waves: Vec<Vec<PublicKey>>,
    clusters: BTreeMap<PublicKey, String>,
}

impl Plan {
    /// Divides nodes, each with its cluster, into waves. The canary is a node of the largest cluster, where
    /// there are most to compare it with; the waves take from all clusters in turn. Waves that would be
    /// empty are left out.
    #[must_use]
    pub fn of(clusters: BTreeMap<PublicKey, String>) -> Self {
        let mut by_cluster: BTreeMap<&str, Vec<PublicKey>> = BTreeMap::new();
        for (node, cluster) in &clusters {
            by_cluster.entry(cluster).or_default().push(*node);
        }
        let mut columns: Vec<Vec<PublicKey>> = by_cluster.into_values().collect();
        columns.sort_by_key(|nodes| std::cmp::Reverse(nodes.len()));
        let longest = columns.first().map_or(0, Vec::len);
        let in_turn =
            (0..longest).flat_map(|at| columns.iter().filter_map(move |nodes| nodes.get(at)));
        let order: Vec<PublicKey> = in_turn.copied().collect();
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
        Self { waves, clusters }
    }

    /// How many waves there are.
    #[must_use]
    pub const fn waves(&self) -> usize {
        self.waves.len()
    }

    /// The nodes of a wave, counted from 0; none if there is no such wave.
    #[must_use]
    pub fn wave(&self, wave: usize) -> &[PublicKey] {
        self.waves.get(wave).map_or(&[], Vec::as_slice)
    }

    /// The wave of a node.
    #[must_use]
    pub fn wave_of(&self, node: &PublicKey) -> Option<usize> {
        self.waves.iter().position(|wave| wave.contains(node))
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &PublicKey> {
        self.clusters.keys()
    }

    /// The cluster of a node.
    #[must_use]
    pub fn cluster_of(&self, node: &PublicKey) -> &str {
        self.clusters.get(node).map_or("", String::as_str)
    }

    /// How many nodes of a cluster may be changed at a time.
    #[must_use]
    pub fn at_once(&self, cluster: &str) -> usize {
        let nodes = self
            .clusters
            .values()
            .filter(|other| *other == cluster)
            .count();
        (nodes / ONE_OF).max(1)
    }
}
