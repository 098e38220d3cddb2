//! What scenarios share: a world with places for its members, and words for what they plan.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::Key;
use dht::engine::{Config, Wish};

use super::Plan;
use crate::checkers::{Bounds, Gets, Latency, Silence, Walks};
use crate::host::Act;
use crate::world::World;

/// Nodes that everybody is configured to join through.
const SEEDS: usize = 3;

/// Time between two nodes' first starts, unless there are very many.
const START_GAP: Duration = Duration::from_millis(20);

/// Everybody has started after this.
pub(super) const STARTED_BY: Duration = Duration::from_secs(20);

/// Patience of a client with the index.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Size of a pointer: address, state, length, digest.
const VALUE_LEN: usize = 48;

/// Secret and wire generation of the network that is judged.
pub(crate) const NETWORK: (u8, u32) = (7, 1);

/// A world and what is to become of it.
pub(crate) struct Stage {
    /// The world.
    pub(crate) world: World,
    /// The run's numbers.
    pub(crate) plan: Plan,
    /// Resident memory in KiB once everybody had joined, if that was looked at.
    pub(crate) settled_kib: Option<usize>,
    /// Whether what an engine weighs at the end is a figure of this run.
    pub(crate) weighed: bool,
    values: u64,
}

impl Stage {
    /// Places for all members; nobody is up.
    pub(crate) fn new(world: World, plan: Plan) -> Self {
        let mut stage = Self {
            world,
            plan,
            settled_kib: None,
            weighed: false,
            values: 0,
        };
        let generation = stage.plan.options.index.generation(NETWORK.1);
        let network = World::network(NETWORK.0, generation);
        for node in 0..stage.plan.nodes {
            let config = stage.config(node);
            stage
                .world
                .place(std::sync::Arc::clone(&network), true, config);
        }
        stage
    }

    /// How a node is configured.
    pub(crate) fn config(&self, node: usize) -> Config {
        let mut config = Config {
            kind: self.plan.options.index,
            seeds: self.seeds(node),
            ..Config::default()
        };
        let inner = usize::from(self.plan.options.levels).saturating_sub(1);
        config.levels.thresholds.truncate(inner);
        config.contacts.self_test_every = self.plan.options.self_test_every();
        config
    }

    /// Far apart in the list of sites, as an operator would choose them far apart in the world.
    fn seeds(&self, node: usize) -> Vec<SocketAddr> {
        let nodes = self.plan.nodes;
        let seeds = (0..SEEDS.min(nodes)).map(|seed| seed * nodes / SEEDS.min(nodes));
        seeds
            .filter(|seed| *seed != node)
            .map(|seed| self.world.net.addr(seed))
            .collect()
    }

    /// The checkers that every scenario has; `target` percent of gets are to succeed.
    pub(crate) fn watch_basics(&mut self, target: f64) {
        let bounds = Bounds::new(&self.config(0));
        self.world.watch(Box::new(Gets::new(target)));
        let walks = Walks::new(&self.world);
        self.world.watch(Box::new(walks));
        self.world.watch(Box::new(Latency));
        self.world.watch(Box::new(bounds));
        let silence = Silence::new(&self.world);
        self.world.watch(Box::new(silence));
    }

    /// All members start one after another, and settle.
    pub(crate) fn join(&mut self) {
        let count = u32::try_from(self.plan.nodes).unwrap_or(u32::MAX);
        let gap = START_GAP.min(STARTED_BY / count);
        self.world.phase("join");
        let begin = self.world.now;
        for node in 0..count {
            self.world.at(begin + gap * node, Act::Boot(node as usize));
        }
        self.run(gap * count + Duration::from_secs(self.plan.settle));
        self.settled_kib = Some(super::resident_kib());
    }

    /// Time passes; sizes are looked at now and then.
    pub(crate) fn run(&mut self, span: Duration) {
        const LOOK_EVERY: Duration = Duration::from_secs(10);
        let end = self.world.now + span;
        while self.world.now < end {
            let step = end.since(self.world.now).min(LOOK_EVERY);
            self.world.run(step);
            self.world.sample();
        }
    }

    /// The main phase's length.
    pub(crate) const fn span(&self) -> Duration {
        Duration::from_secs(self.plan.seconds)
    }

    /// Some member.
    pub(crate) fn anyone(&mut self) -> usize {
        self.world.rng.below(self.plan.nodes)
    }

    /// Some moment in the `span` from now.
    pub(crate) fn sometime(&mut self, span: Duration) -> Moment {
        self.world.now + self.world.rng.jitter(span)
    }

    /// A key nobody has used.
    pub(crate) fn key(&mut self) -> Key {
        Key::from_bytes(self.world.rng.bytes())
    }

    /// A value nobody has put.
    pub(crate) fn value(&mut self) -> Vec<u8> {
        self.values += 1;
        let mut value = self.values.to_be_bytes().to_vec();
        value.resize(VALUE_LEN, 0);
        value
    }

    /// `host` will put a new value.
    pub(crate) fn put(&mut self, at: Moment, host: usize, key: Key, ttl: Duration) {
        let value = self.value();
        let wish = Wish::Put { key, value, ttl };
        self.world.at(at, Act::Ask(host, wish, PATIENCE));
    }

    /// `host` will put the one value that is its own: where it is.
    pub(crate) fn put_own(&mut self, at: Moment, host: usize, key: Key, ttl: Duration) {
        let mut value = vec![0xff; VALUE_LEN];
        value[..8].copy_from_slice(&(host as u64).to_be_bytes());
        let wish = Wish::Put { key, value, ttl };
        self.world.at(at, Act::Ask(host, wish, PATIENCE));
    }

    /// `host` will ask for one value.
    pub(crate) fn get(&mut self, at: Moment, host: usize, key: Key) {
        let wish = Wish::Get { key, want: 1 };
        self.world.at(at, Act::Ask(host, wish, PATIENCE));
    }

    /// Puts of new keys by anyone, evenly over `span`. Says which.
    pub(crate) fn puts(&mut self, count: usize, span: Duration, ttl: Duration) -> Vec<Key> {
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            let (at, host, key) = (self.sometime(span), self.anyone(), self.key());
            self.put(at, host, key, ttl);
            keys.push(key);
        }
        keys
    }

    /// Gets of some of `keys` by anyone, evenly over `span`.
    pub(crate) fn gets(&mut self, keys: &[Key], count: usize, span: Duration) {
        for _ in 0..count {
            let which = self.world.rng.below(keys.len());
            let (at, host) = (self.sometime(span), self.anyone());
            if let Some(key) = keys.get(which) {
                self.get(at, host, *key);
            }
        }
    }
}
