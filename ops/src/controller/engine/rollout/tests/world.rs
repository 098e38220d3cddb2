//! Nodes that take some seconds to change, and serve some requests each second.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use super::super::gate::Count;
use super::super::member::{Member, Place, Written};
use super::super::plan::{Candidate, Plan};
use super::super::{Config, Order, Phase, Rollout, Runs, Seen};
use crate::engine::document::key::{PublicKey, SigningKey};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// A node needs so long to change.
const CHANGE: Duration = Duration::from_secs(20);

pub(super) fn keys(count: usize) -> Vec<PublicKey> {
    let key = |seed| SigningKey::generate(&mut Generator::from_seed(seed)).public();
    (0..count as u64).map(|seed| key(seed + 1_000)).collect()
}

/// A rollout to these nodes.
fn rollout(clusters: &BTreeMap<PublicKey, String>) -> Rollout {
    let plan = plan(clusters.clone());
    let mut rollout = Rollout::new(Config::default(), Phase::Wave(0));
    for (wave, nodes) in plan.waves().iter().enumerate() {
        for node in nodes {
            let written = Written {
                wave,
                cluster: plan.cluster_of(node).to_owned(),
                place: Place::Waiting,
                told: false,
                told_for: Duration::ZERO,
                failed: None,
                before: BTreeMap::new(),
                base: None,
            };
            rollout.insert(*node, Member::new(written, Moment::ZERO));
        }
    }
    rollout
}

pub(super) fn plan(clusters: BTreeMap<PublicKey, String>) -> Plan {
    let node = |(key, cluster)| {
        let well = true;
        (key, Candidate { cluster, well })
    };
    Plan::of(clusters.into_iter().map(node).collect(), None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Old,
    Changing(bool, Moment),
    New,
    FellBack,
}

pub(super) struct World {
    now: Moment,
    pub(super) rollout: Rollout,
    clusters: BTreeMap<PublicKey, String>,
    nodes: BTreeMap<PublicKey, (State, Count)>,
    ever: BTreeSet<PublicKey>,
    failed: Option<Moment>,
    hears: bool,
    pub(super) held: BTreeSet<PublicKey>,
    pub(super) silent: BTreeSet<PublicKey>,
    pub(super) dies: bool,
    pub(super) starts: bool,
    pub(super) falls_back: bool,
    pub(super) errors_percent: u64,
    pub(super) requests_each: u64,
    /// How long requests take, in microseconds, each with its share: of a node that runs the release or does not,
    /// by the node's number.
    pub(super) times: fn(bool, usize) -> &'static [(u64, u64)],
    /// Agents report no more than sums.
    pub(super) old_agents: bool,
    pub(super) sizes: Vec<usize>,
    pub(super) most_at_once: usize,
    pub(super) at_once_by_cluster: BTreeMap<String, usize>,
    pub(super) back_after: Option<Duration>,
}

impl World {
    pub(super) fn new(sizes: &[(&str, usize)]) -> Self {
        let names = sizes
            .iter()
            .flat_map(|(name, size)| vec![(*name).to_owned(); *size]);
        let total = sizes.iter().map(|(_, size)| size).sum();
        let clusters: BTreeMap<PublicKey, String> = keys(total).into_iter().zip(names).collect();
        let nodes = clusters
            .keys()
            .map(|key| (*key, (State::Old, Count::default())));
        Self {
            now: Moment::from_millis(1),
            rollout: rollout(&clusters),
            nodes: nodes.collect(),
            clusters,
            ever: BTreeSet::new(),
            failed: None,
            hears: true,
            held: BTreeSet::new(),
            silent: BTreeSet::new(),
            dies: false,
            starts: true,
            falls_back: false,
            errors_percent: 0,
            requests_each: 10,
            times: |_, _| &[(10_000, 1)],
            old_agents: false,
            sizes: Vec::new(),
            most_at_once: 0,
            at_once_by_cluster: BTreeMap::new(),
            back_after: None,
        }
    }

    /// Some trouble: none, errors, nodes that do not start, or nodes that are held.
    pub(super) fn trouble(&mut self, seed: u64, kind: u8) {
        let mut rng = Generator::from_seed(seed);
        match kind {
            1 => self.errors_percent = rng.below(10) as u64,
            2 => self.starts = false,
            3 => {
                let some = self.clusters.keys().filter(|_| rng.below(4) == 0).copied();
                self.held = some.collect();
            }
            _ => {}
        }
    }

    pub(super) fn allowed(&self, cluster: &str) -> usize {
        (self
            .clusters
            .values()
            .filter(|other| *other == cluster)
            .count()
            / 10)
            .max(1)
    }

    pub(super) fn on_new(&self) -> usize {
        self.nodes
            .values()
            .filter(|(state, _)| *state == State::New)
            .count()
    }

    pub(super) fn ever_on_new(&self) -> usize {
        self.ever.len()
    }

    pub(super) const fn now(&self) -> Moment {
        self.now
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + LOOK;
            self.live();
            self.look();
        }
    }

    /// Another controller goes on with what this one wrote.
    pub(super) fn restart(&mut self) {
        let mut again = Rollout::new(*self.rollout.config(), self.rollout.phase());
        let (phase, soaked) = (self.rollout.phase(), self.rollout.soaked_as_kept());
        again.restore(phase, soaked, self.rollout.evidence().clone());
        for (key, member) in self.rollout.members() {
            again.insert(*key, Member::new(member.written.clone(), Moment::ZERO));
        }
        again.wake(self.now);
        self.rollout = again;
        self.look_deaf();
    }

    /// Nodes go on with what they do.
    fn live(&mut self) {
        let now = self.now;
        for (number, (key, (state, count))) in self.nodes.iter_mut().enumerate() {
            if let State::Changing(forward, at) = *state
                && now.since(at) >= CHANGE
            {
                *state = match (forward, self.starts, self.falls_back) {
                    (false, ..) => State::Old,
                    (true, true, false) => State::New,
                    (true, true, true) => State::FellBack,
                    (true, false, _) => *state,
                };
            }
            if *state == State::New {
                let seen_before = !self.ever.insert(*key);
                if self.dies && seen_before {
                    self.silent.insert(*key);
                }
            }
            let requests = self.requests_each * LOOK.as_secs();
            count.counted.requests += requests;
            let times = (self.times)(*state == State::New, number);
            let shares: u64 = times.iter().map(|(_, share)| share).sum();
            for (micros, share) in times {
                let some = requests * share / shares;
                count.counted.first_bytes += some;
                count.counted.first_byte_micros += some * micros;
                if !self.old_agents {
                    count.counted.first_byte_times.add(*micros, some);
                }
            }
            if *state == State::New {
                count.counted.errors += requests * self.errors_percent / 100;
            }
        }
    }

    /// A look of a controller that nobody has called yet.
    fn look_deaf(&mut self) {
        self.hears = false;
        self.now = self.now + LOOK;
        self.look();
        self.hears = true;
    }

    fn look(&mut self) {
        let seen = |(key, (state, count)): (&PublicKey, &(State, Count))| {
            let runs = match state {
                _ if self.held.contains(key) => Runs::Held,
                State::Old => Runs::Old,
                State::Changing(..) => Runs::Neither,
                State::New => Runs::New,
                State::FellBack => Runs::FellBack,
            };
            (
                *key,
                Seen {
                    runs,
                    heard: self.hears,
                    count: *count,
                    bodies: BTreeMap::new(),
                },
            )
        };
        let heard = |(key, _): &(&PublicKey, _)| !self.silent.contains(*key);
        let seen = self.nodes.iter().filter(heard).map(seen).collect();
        let before = self.rollout.phase();
        for order in self.rollout.observe(&seen, self.now) {
            let (key, forward) = match order {
                Order::Forward(key) => (key, true),
                Order::Back(key) => (key, false),
            };
            let node = self.nodes.get_mut(&key).unwrap();
            node.0 = State::Changing(forward, self.now);
        }
        self.count(before);
    }

    fn count(&mut self, before: Phase) {
        let after = self.rollout.phase();
        if before != after && matches!(before, Phase::Wave(_)) {
            self.sizes.push(self.on_new());
        }
        match (before, after) {
            (_, Phase::Back(_)) if self.failed.is_none() => self.failed = Some(self.now),
            (Phase::Back(_), Phase::RolledBack(_)) => {
                self.back_after = self.failed.map(|at| self.now.since(at));
            }
            _ => {}
        }
        let mut changing: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, (state, _)) in &self.nodes {
            if matches!(state, State::Changing(true, _)) {
                *changing.entry(&self.clusters[key]).or_default() += 1;
            }
        }
        for (cluster, count) in changing {
            self.most_at_once = self.most_at_once.max(count);
            let most = self
                .at_once_by_cluster
                .entry(cluster.to_owned())
                .or_default();
            *most = count.max(*most);
        }
    }
}
