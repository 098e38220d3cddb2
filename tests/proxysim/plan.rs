//! What a seed means: how many of what, and what goes wrong when. Everything that is planned ahead is
//! drawn here; what depends on the course of things (a line's latency) is drawn as it comes.

use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use crate::origin::Mood;
use crate::world::{Happening, millis};

/// Nothing goes wrong after this.
pub(crate) const FAULTS_END: Duration = Duration::from_secs(60);

/// Requests come in this time.
const ASKING: usize = 12_000;

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) node: usize,
    pub(crate) key: usize,
    pub(crate) asks: Moment,
    pub(crate) leaves: Option<Moment>,
    /// It wants the origin's word.
    pub(crate) no_cache: bool,
}

/// Shares in percent of what goes wrong by itself.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Sins {
    /// A line breaks at some byte.
    pub(crate) breaks: usize,
    /// A line falls silent at some byte.
    pub(crate) stalls: usize,
    /// A word to or from the index is lost.
    pub(crate) index_loss: usize,
    /// Milliseconds that the index takes at most, one way.
    pub(crate) index_delay: usize,
    /// The origin cuts an answer short.
    pub(crate) cuts: usize,
    /// The origin answers range requests in ways of its own.
    pub(crate) naughty: usize,
    /// A page changes as soon as its answer has begun.
    pub(crate) changes: usize,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    pub(crate) keys: usize,
    /// Nothing goes wrong at all, so that fetches can be counted.
    pub(crate) calm: bool,
    /// Bytes that a proxy keeps.
    pub(crate) memory: u64,
    pub(crate) sins: Sins,
    /// Milliseconds between two pieces of the origin, at most.
    pub(crate) pace: usize,
    pub(crate) clients: Vec<Visit>,
    pub(crate) happenings: Vec<(Moment, Happening)>,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn draw(rng: &mut Generator) -> Self {
        let calm = rng.below(10) == 0;
        let nodes = 2 + rng.below(5);
        let keys = 1 + rng.below(6) / 3;
        let mut plan = Self {
            nodes,
            keys,
            calm,
            memory: if rng.below(4) == 0 { 6_000 } else { 8 << 20 },
            sins: Sins::default(),
            pace: [5, 60, 400][rng.below(3)],
            clients: Vec::new(),
            happenings: Vec::new(),
        };
        if calm {
            plan.memory = 8 << 20;
            plan.sins.index_delay = 30;
        } else {
            plan.sins = Sins::draw(rng);
            plan.draw_deaths(rng);
        }
        plan.draw_clients(rng);
        plan
    }

    fn draw_clients(&mut self, rng: &mut Generator) {
        // A crowd that comes at once, or visitors now and then.
        let spread = [50, 1_000, ASKING][rng.below(3)];
        for _ in 0..1 + rng.below(24) {
            let asks = Moment::ZERO + millis(rng, 0, spread);
            let leaves = (!self.calm && rng.below(5) == 0).then(|| asks + millis(rng, 0, 4_000));
            self.clients.push(Visit {
                node: rng.below(self.nodes),
                key: rng.below(self.keys),
                asks,
                leaves,
                no_cache: !self.calm && rng.below(12) == 0,
            });
        }
    }

    fn draw_deaths(&mut self, rng: &mut Generator) {
        // While a crowd's bodies are under way, or now and then.
        let within = [600, 3_000, 10_000][rng.below(3)];
        let mortal = [10, 30, 60][rng.below(3)];
        for node in 0..self.nodes {
            if rng.below(100) < mortal {
                let dies = Moment::ZERO + millis(rng, 0, within);
                let silently = rng.below(4) == 0;
                self.happenings
                    .push((dies, Happening::Dies(node, silently)));
                if rng.below(2) == 0 {
                    let back = dies + millis(rng, 100, within);
                    self.happenings.push((back, Happening::Returns(node)));
                }
            }
        }
        if rng.below(4) == 0 {
            let down = Moment::ZERO + millis(rng, 0, within);
            let up = down + millis(rng, 100, within);
            self.happenings.push((down, Happening::IndexDown(true)));
            self.happenings.push((up, Happening::IndexDown(false)));
        }
        for _ in 0..rng.below(3) {
            let turns = Moment::ZERO + millis(rng, 0, within);
            let back = turns + millis(rng, 100, within);
            let mood = [Mood::Dead, Mood::Mute, Mood::Failing, Mood::Slow][rng.below(4)];
            self.happenings.push((turns, Happening::OriginTurns(mood)));
            self.happenings
                .push((back, Happening::OriginTurns(Mood::Well)));
        }
        for key in 0..self.keys {
            for _ in 0..rng.below(3) {
                let at = Moment::ZERO + millis(rng, 0, within);
                self.happenings.push((at, Happening::Changes(key)));
            }
        }
    }
}

impl Sins {
    fn draw(rng: &mut Generator) -> Self {
        let mut some = |most: usize| {
            if rng.below(2) == 0 {
                0
            } else {
                rng.below(most + 1)
            }
        };
        Self {
            breaks: some(30),
            stalls: some(6),
            index_loss: some(30),
            index_delay: 2 + some(60) + some(1_200) / 4,
            cuts: some(30),
            naughty: some(50),
            changes: some(40),
        }
    }
}
