//! A network in memory: latency, loss, duplication, deaths; one seed decides all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};
use common::rng::Generator;
use common::wire::secret::{Network, NetworkSecret};

use crate::engine::{Answer, Command, Config, Event, Node, Output, Ticket, Wish};
use crate::value::Value;

/// Deadline of commands unless a scenario says otherwise.
const DEADLINE: Duration = Duration::from_secs(5);

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn addr(n: usize) -> SocketAddr {
    let n = u16::try_from(n).unwrap();
    let [high, low] = n.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 7400))
}

pub(super) fn network(secret: u8, generation: u32) -> Arc<Network> {
    Arc::new(NetworkSecret::from_bytes([secret; 32]).network(generation))
}

/// A datagram as it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) at: Moment,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
enum Happening {
    Datagram(Sent),
    Wake(SocketAddr, Moment),
}

/// How the network misbehaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sins {
    /// Datagrams lost, in percent.
    pub(super) loss: usize,
    /// Datagrams delivered twice, in percent.
    pub(super) twice: usize,
    /// Least one-way latency; each datagram takes up to as much again.
    pub(super) latency: Duration,
    /// Round trips between and inside sites, instead of `latency`: node `n` is at site `n % 3`.
    pub(super) sites: Option<[[u64; 3]; 3]>,
}

/// Two sites of one continent and one across an ocean, in milliseconds.
pub(super) const SITES: [[u64; 3]; 3] = [[5, 40, 150], [40, 5, 150], [150, 150, 5]];

/// The number of the node at `addr`.
pub(super) fn number(addr: SocketAddr) -> usize {
    let SocketAddr::V4(addr) = addr else {
        panic!("{addr}")
    };
    let [_, _, high, low] = addr.ip().octets();
    usize::from(u16::from_be_bytes([high, low]))
}

pub(super) struct World {
    pub(super) now: Moment,
    pub(super) nodes: BTreeMap<SocketAddr, Node>,
    pub(super) answers: BTreeMap<Ticket, Vec<Answer>>,
    pub(super) events: Vec<(SocketAddr, Event)>,
    pub(super) log: Vec<Sent>,
    pub(super) sins: Sins,
    /// Pairs that cannot reach each other, both ways round.
    pub(super) broken: BTreeSet<(usize, usize)>,
    network: Arc<Network>,
    rng: Generator,
    queue: BTreeMap<(Moment, u64), Happening>,
    wakes: BTreeMap<SocketAddr, Moment>,
    pub(super) next: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: Moment::from_millis(1_000),
            nodes: BTreeMap::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            log: Vec::new(),
            sins: Sins {
                loss: 0,
                twice: 0,
                latency: ms(5),
                sites: None,
            },
            broken: BTreeSet::new(),
            network: network(7, 1),
            rng: Generator::from_seed(seed),
            queue: BTreeMap::new(),
            wakes: BTreeMap::new(),
            next: 0,
        }
    }

    /// A world of `n` nodes that joined through the first and have settled.
    pub(super) fn of(seed: u64, n: usize) -> Self {
        let mut world = Self::new(seed);
        world.grow(n, &Config::default());
        world.run(secs(10));
        world
    }

    /// Adds nodes until there are `n`, all joined through the first.
    pub(super) fn grow(&mut self, n: usize, config: &Config) {
        for node in self.nodes.len()..n {
            let seeds = if node == 0 { vec![] } else { vec![addr(0)] };
            let config = config.clone();
            self.add(node, Config { seeds, ..config });
            self.run(ms(20));
        }
    }

    pub(super) fn add(&mut self, n: usize, config: Config) {
        let network = Arc::clone(&self.network);
        self.add_to(network, n, config);
    }

    pub(super) fn add_to(&mut self, network: Arc<Network>, n: usize, config: Config) {
        let node = Node::new(config, network, addr(n), self.rng.child(), self.now);
        self.nodes.insert(addr(n), node);
        self.drain(addr(n));
    }

    pub(super) fn kill(&mut self, n: usize) {
        self.nodes.remove(&addr(n)).unwrap();
        self.wakes.remove(&addr(n));
    }

    pub(super) fn node(&self, n: usize) -> &Node {
        &self.nodes[&addr(n)]
    }

    /// The live nodes closest to `key`.
    pub(super) fn closest(&self, key: Key) -> Vec<usize> {
        let mut all: Vec<_> = (0..self.nodes.len() + 50).collect();
        all.retain(|n| self.nodes.contains_key(&addr(*n)));
        all.sort_by_key(|n| NodeId::of(addr(*n)).distance(&key));
        all
    }

    /// Hands `bytes` to a node as if they came from `from`.
    pub(super) fn inject(&mut self, from: SocketAddr, n: usize, bytes: &[u8]) {
        let now = self.now;
        self.nodes
            .get_mut(&addr(n))
            .unwrap()
            .handle_datagram(now, from, bytes);
        self.drain(addr(n));
    }

    pub(super) fn command(&mut self, n: usize, wish: Wish) -> Ticket {
        self.command_within(n, wish, DEADLINE)
    }

    pub(super) fn command_within(&mut self, n: usize, wish: Wish, time: Duration) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        let (now, deadline) = (self.now, self.now + time);
        let node = self.nodes.get_mut(&addr(n)).unwrap();
        node.handle_command(
            now,
            Command {
                ticket,
                deadline,
                wish,
            },
        );
        self.drain(addr(n));
        ticket
    }

    /// A command and its final answer; values of partial ones are joined into it.
    pub(super) fn ask(&mut self, n: usize, wish: Wish) -> Answer {
        let ticket = self.command(n, wish);
        self.answer(ticket)
    }

    pub(super) fn answer(&mut self, ticket: Ticket) -> Answer {
        let end = self.now + DEADLINE + secs(1);
        let over = |answers: Option<&Vec<Answer>>| {
            answers.is_some_and(|answers| answers.iter().any(Answer::is_final))
        };
        while !over(self.answers.get(&ticket)) {
            assert!(self.now < end && self.step(end), "no answer for {ticket:?}");
        }
        let answers = self.answers.remove(&ticket).unwrap();
        let mut joined = Vec::new();
        for answer in answers {
            match answer {
                Answer::Values { values, .. } => joined.extend(values),
                other => return other,
            }
        }
        Answer::Values {
            values: joined,
            last: true,
        }
    }

    pub(super) fn put(&mut self, n: usize, key: Key, value: &[u8], ttl: Duration) -> Answer {
        self.ask(
            n,
            Wish::Put {
                key,
                value: value.to_vec(),
                ttl,
            },
        )
    }

    pub(super) fn get(&mut self, n: usize, key: Key) -> Vec<Value> {
        match self.ask(n, Wish::Get { key, want: 4 }) {
            Answer::Values { values, .. } => values,
            other => panic!("{other:?}"),
        }
    }

    /// The bytes found, or none.
    pub(super) fn found(&mut self, n: usize, key: Key) -> Option<Vec<u8>> {
        match self.ask(n, Wish::Get { key, want: 1 }) {
            Answer::Values { values, .. } => values.into_iter().next().map(|value| value.bytes),
            _ => None,
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// The next happening until `end`.
    fn step(&mut self, end: Moment) -> bool {
        let Some((&(at, id), _)) = self.queue.first_key_value() else {
            return false;
        };
        if at > end {
            return false;
        }
        let happening = self.queue.remove(&(at, id)).unwrap();
        self.now = self.now.max(at);
        let now = self.now;
        let who = match happening {
            Happening::Datagram(Sent {
                from, to, bytes, ..
            }) => {
                if let Some(node) = self.nodes.get_mut(&to) {
                    node.handle_datagram(now, from, &bytes);
                }
                to
            }
            Happening::Wake(who, wished) => {
                if self.wakes.get(&who) == Some(&wished) {
                    self.wakes.remove(&who);
                    self.nodes.get_mut(&who).unwrap().handle_timeout(now);
                }
                who
            }
        };
        self.drain(who);
        true
    }

    fn drain(&mut self, who: SocketAddr) {
        let Some(mut node) = self.nodes.remove(&who) else {
            return;
        };
        while let Some(output) = node.poll_output() {
            match output {
                Output::Transmit { to, bytes } => {
                    self.transmit(Sent {
                        at: self.now,
                        from: who,
                        to,
                        bytes,
                    });
                }
                Output::Answer { ticket, answer } => {
                    self.answers.entry(ticket).or_default().push(answer);
                }
                Output::Event(event) => self.events.push((who, event)),
                Output::Wake(at, _) => {
                    self.wakes.insert(who, at);
                    self.push(at.max(self.now), Happening::Wake(who, at));
                }
            }
        }
        self.nodes.insert(who, node);
    }

    fn transmit(&mut self, sent: Sent) {
        self.log.push(sent.clone());
        let pair = (number(sent.from), number(sent.to));
        let swapped = (pair.1, pair.0);
        if self.broken.contains(&pair) || self.broken.contains(&swapped) {
            return;
        }
        let copies = 1 + usize::from(self.rng.below(100) < self.sins.twice);
        for _ in 0..copies {
            if self.rng.below(100) >= self.sins.loss {
                let latency = self.latency(&sent);
                self.push(self.now + latency, Happening::Datagram(sent.clone()));
            }
        }
    }

    fn latency(&mut self, sent: &Sent) -> Duration {
        let (from, to) = (number(sent.from) % 3, number(sent.to) % 3);
        match self.sins.sites {
            Some(matrix) => {
                let half = Duration::from_micros(500 * matrix[from][to]);
                half + self.rng.jitter(half / 20)
            }
            None => self.sins.latency + self.rng.jitter(self.sins.latency),
        }
    }

    fn push(&mut self, at: Moment, happening: Happening) {
        self.queue.insert((at, self.next), happening);
        self.next += 1;
    }
}
