//! What the clusters are worth once they have formed: whether their members are near each other,
//! whether anybody is alone who need not be, and whether they come to rest.
//!
//! Distances are those of the network, not what engines measured.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::clock::Moment;
use common::ids::ClusterId;
use dht::engine::cluster::Moved;
use dht::engine::{Event, Index};

use super::{Checker, Seen};
use crate::model::Model;
use crate::pictures::{Blocks, Picture, Shape};
use crate::report::{Report, percent, ratio};
use crate::world::World;

/// Round trips inside a cluster that are to be under its threshold, in percent.
const NEAR: f64 = 80.0;

/// Nodes that are to have company where there is any, in percent.
const COMPANY: f64 = 90.0;

/// Changes of cluster per node and hour once all has settled.
const CHANGES: f64 = 1.0;

/// Nodes in the picture of them.
const PICTURED: usize = 240;

/// In which clusters each node is, level 1 first.
#[derive(Clone, Default, Debug)]
pub(super) struct Places {
    of: BTreeMap<usize, Vec<ClusterId>>,
    thresholds: Vec<Duration>,
}

impl Places {
    pub(super) fn saw(&mut self, seen: &Seen<'_>) {
        match *seen {
            Seen::Sampled { host, node } => self.sampled(host, node),
            Seen::Event {
                host,
                event: Event::ClusterChanged { level, cluster, .. },
            } => {
                let at = self.of.entry(host).or_default();
                let level = usize::from(level.saturating_sub(1));
                if let Some(at) = at.get_mut(level) {
                    *at = *cluster;
                }
            }
            Seen::Died { host } => {
                self.of.remove(&host);
            }
            _ => {}
        }
    }

    fn sampled(&mut self, host: usize, node: &dyn Index) {
        let all = node.memberships();
        if self.thresholds.len() < all.len() {
            self.thresholds = all.iter().map(|level| level.threshold).collect();
        }
        let places = all.iter().map(|level| level.cluster).collect();
        self.of.insert(host, places);
    }

    /// Levels inside the world.
    pub(super) const fn depth(&self) -> usize {
        self.thresholds.len()
    }

    /// Whether two nodes share their innermost cluster.
    pub(super) fn together(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.of.get(&a), self.of.get(&b));
        let innermost = a.and_then(|a| a.last());
        innermost.is_some() && innermost == b.and_then(|b| b.last())
    }

    /// The clusters of a level with their members, the largest first.
    fn clusters(&self, level: usize) -> Vec<(ClusterId, Vec<usize>)> {
        let mut clusters = BTreeMap::<_, Vec<_>>::new();
        for (host, places) in &self.of {
            if let Some(cluster) = places.get(level) {
                clusters.entry(*cluster).or_default().push(*host);
            }
        }
        let mut clusters: Vec<_> = clusters.into_iter().collect();
        clusters.sort_by_key(|(id, members)| (std::cmp::Reverse(members.len()), *id));
        clusters
    }
}

/// Checks clusters from the beginning of a phase, in which nothing more is to change.
#[derive(Debug)]
pub(crate) struct Clusters {
    phase: &'static str,
    places: Places,
    settled: Option<Places>,
    counting: Option<Moment>,
    seconds: f64,
    changes: BTreeMap<&'static str, u64>,
    movers: BTreeSet<usize>,
}

impl Clusters {
    /// As they are when that phase begins.
    pub(crate) fn new(phase: &'static str) -> Self {
        Self {
            phase,
            places: Places::default(),
            settled: None,
            counting: None,
            seconds: 0.0,
            changes: BTreeMap::new(),
            movers: BTreeSet::new(),
        }
    }

    fn moved(&mut self, host: usize, why: Moved) {
        *self.changes.entry(why.as_str()).or_default() += 1;
        self.movers.insert(host);
    }
}

/// Round trips under the threshold between members of one cluster, and all such round trips.
fn near_pairs(world: &World, members: &[usize], threshold: Duration) -> (usize, usize) {
    let mut near = 0;
    for (at, a) in members.iter().enumerate() {
        let after = members.iter().skip(at + 1);
        near += after
            .filter(|b| world.net.round_trip(*a, **b) < threshold)
            .count();
    }
    (near, members.len() * (members.len() - 1) / 2)
}

fn judge(world: &World, places: &Places, report: &mut Report) {
    for (at, threshold) in places.thresholds.iter().enumerate() {
        let level = at + 1;
        let clusters = places.clusters(at);
        let (mut near, mut pairs) = (0, 0);
        let mut company = BTreeSet::new();
        for (_, members) in &clusters {
            let (of_these, all) = near_pairs(world, members, *threshold);
            (near, pairs) = (near + of_these, pairs + all);
            if members.len() > 1 {
                company.extend(members.iter().copied());
            }
        }
        let all: Vec<_> = places.of.keys().copied().collect();
        let partner = |a: &&usize| {
            let near = |b: &usize| b != *a && world.net.round_trip(**a, *b) < *threshold;
            all.iter().any(near)
        };
        let could: Vec<_> = all.iter().filter(partner).collect();
        let with = could.iter().filter(|host| company.contains(*host)).count();
        let ms = threshold.as_millis();
        let name = |what: &str| format!("level {level} ({ms} ms): {what}");
        report
            .figure(
                name("round trips under the threshold"),
                percent(near, pairs),
                "%",
            )
            .at_least(NEAR);
        report
            .figure(
                name("in company where there is any"),
                percent(with, could.len()),
                "%",
            )
            .at_least(COMPANY);
        let count = ratio(clusters.len());
        report.figure(name("clusters"), count, "");
        let largest = clusters.first().map_or(0, |(_, members)| members.len());
        report.figure(name("nodes in the largest"), ratio(largest), "");
    }
}

/// The matrix of some nodes, those of one cluster side by side.
fn picture(world: &World, places: &Places) -> Option<Picture> {
    let outer = places.clusters(0);
    let inner = places.clusters(1);
    let order = |clusters: &[(ClusterId, Vec<usize>)]| {
        let each = clusters.iter().enumerate();
        each.flat_map(|(at, (_, members))| members.iter().map(move |host| (*host, at)))
            .collect::<BTreeMap<_, _>>()
    };
    let (outer, inner) = (order(&outer), order(&inner));
    let stride = outer.len().div_ceil(PICTURED).max(1);
    let mut hosts: Vec<_> = outer.keys().copied().step_by(stride).collect();
    hosts.sort_by_key(|host| (outer.get(host), inner.get(host), *host));
    let bands = places.thresholds.iter().rev();
    let bands: Vec<_> = bands.map(Duration::as_secs_f64).collect();
    let far = |a: &usize, b: &usize| world.net.round_trip(*a, *b).as_secs_f64();
    let cells = hosts
        .iter()
        .map(|a| hosts.iter().map(|b| far(a, b)).collect())
        .collect();
    let of = |order: &BTreeMap<usize, usize>, host| order.get(host).copied().unwrap_or(0);
    let blocks = Blocks {
        cells,
        bands,
        outer: hosts.iter().map(|host| of(&outer, host)).collect(),
        inner: hosts.iter().map(|host| of(&inner, host)).collect(),
    };
    (hosts.len() > 1).then(|| Picture {
        file: "clusters",
        title: format!(
            "Round trips between {} of {} nodes",
            hosts.len(),
            outer.len()
        ),
        note: "nodes in order of their clusters; round trips inside a cluster in its colour"
            .to_owned(),
        shape: Shape::Blocks(blocks),
    })
}

impl Checker for Clusters {
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, _model: &mut Model) {
        self.places.saw(seen);
        match *seen {
            Seen::Phase { name } => {
                if let Some(since) = self.counting.take() {
                    self.seconds += now.since(since).as_secs_f64();
                }
                if name == self.phase {
                    self.settled = Some(self.places.clone());
                    self.counting = Some(now);
                }
            }
            Seen::Event {
                host,
                event: Event::ClusterChanged { why, .. },
            } if self.counting.is_some() => self.moved(host, *why),
            _ => {}
        }
    }

    fn tell(&mut self, world: &World, report: &mut Report) {
        let Some(settled) = self.settled.take() else {
            return;
        };
        if settled.thresholds.is_empty() {
            return;
        }
        judge(world, &settled, report);
        let nodes = settled.of.len().max(1);
        let hours = self.seconds / 3_600.0 * ratio(nodes);
        let changes: u64 = self.changes.values().sum();
        let changes = ratio(usize::try_from(changes).unwrap_or(usize::MAX));
        report
            .figure(
                "changes of cluster per node-hour",
                changes / hours.max(1e-9),
                "/h",
            )
            .at_most(CHANGES);
        let movers = percent(self.movers.len(), nodes);
        report.figure("nodes that changed cluster", movers, "%");
        for (why, count) in &self.changes {
            report.count(&format!("changes of cluster, {why}"), *count);
        }
        report.pictures.extend(picture(world, &settled));
    }
}
