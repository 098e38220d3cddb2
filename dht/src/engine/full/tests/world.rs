//! A small network of whole nodes: every datagram takes ten milliseconds, links can be cut, nodes
//! can die and start again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::limits::DATAGRAM_MAX;
use common::rng::Generator;
use common::wire::secret::{Network, NetworkSecret};

use crate::engine::full::Member;
use crate::engine::{Answer, Command, Config, Index, IndexKind, Output, Ticket, Wish};

const DELAY: Duration = Duration::from_millis(10);
const STEP: Duration = Duration::from_millis(5);

pub(super) struct World {
    pub(super) now: Moment,
    pub(super) nodes: Vec<Option<Member>>,
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) config: Config,
    network: Arc<Network>,
    under_way: Vec<(Moment, SocketAddr, SocketAddr, Vec<u8>)>,
    answers: Vec<(Ticket, Answer)>,
    tickets: u64,
    rng: Generator,
}

pub(super) fn addr(n: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7_000 + u16::try_from(n).unwrap()))
}

impl World {
    /// So many nodes that join through the first.
    pub(super) fn of(count: usize) -> Self {
        let mut config = Config {
            kind: IndexKind::Full,
            ..Config::default()
        };
        config.full.sync_every = Duration::from_secs(5);
        let mut world = Self {
            now: Moment::from_millis(1_000),
            nodes: Vec::new(),
            cut: BTreeSet::new(),
            config,
            network: Arc::new(NetworkSecret::from_bytes([7; 32]).network(1)),
            under_way: Vec::new(),
            answers: Vec::new(),
            tickets: 0,
            rng: Generator::from_seed(1),
        };
        for n in 0..count {
            world.nodes.push(None);
            world.start(n);
        }
        world
    }

    /// Starts node `n`, with nothing stored.
    pub(super) fn start(&mut self, n: usize) {
        let seeds = (n > 0).then(|| addr(0)).into_iter().collect();
        let config = Config {
            seeds,
            ..self.config.clone()
        };
        let (network, rng) = (Arc::clone(&self.network), self.rng.child());
        self.nodes[n] = Some(Member::new(config, network, addr(n), rng, self.now));
    }

    pub(super) fn node(&mut self, n: usize) -> &mut Member {
        self.nodes[n].as_mut().unwrap()
    }

    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + STEP;
            self.turn();
        }
    }

    fn turn(&mut self) {
        let now = self.now;
        let (arrived, rest) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.under_way = rest;
        for (_, from, to, bytes) in arrived {
            let place = usize::from(to.port() - 7_000);
            if let Some(node) = self.nodes.get_mut(place).and_then(Option::as_mut) {
                node.handle_datagram(now, from, &bytes);
            }
        }
        for n in 0..self.nodes.len() {
            let Some(node) = self.nodes[n].as_mut() else {
                continue;
            };
            node.handle_timeout(now);
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Transmit { to, bytes } => {
                        assert!(bytes.len() <= DATAGRAM_MAX);
                        let link = (n, usize::from(to.port() - 7_000));
                        if !self.cut.contains(&link) {
                            self.under_way.push((now + DELAY, addr(n), to, bytes));
                        }
                    }
                    Output::Answer { ticket, answer } => self.answers.push((ticket, answer)),
                    Output::Event(_) | Output::Wake(..) => {}
                }
            }
        }
    }

    /// What node `n` answers to `wish`: the values found, and the final answer.
    pub(super) fn ask(&mut self, n: usize, wish: Wish) -> Answer {
        let ticket = self.wish(n, wish);
        self.run(Duration::from_secs(3));
        self.answer(ticket)
    }

    pub(super) fn wish(&mut self, n: usize, wish: Wish) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let (now, deadline) = (self.now, self.now + Duration::from_secs(2));
        let command = Command {
            ticket,
            deadline,
            wish,
        };
        self.node(n).handle_command(now, command);
        ticket
    }

    /// All values of the answers to `ticket` in the last, which must have come once.
    pub(super) fn answer(&mut self, ticket: Ticket) -> Answer {
        let mine = std::mem::take(&mut self.answers).into_iter();
        let (mine, others) = mine.partition(|(of, _)| *of == ticket);
        self.answers = others;
        let mut mine: Vec<_> = mine.into_iter().map(|(_, answer)| answer).collect();
        let last = mine.pop().expect("an answer");
        assert!(last.is_final() && mine.iter().all(|answer| !answer.is_final()));
        let Answer::Values { values, .. } = last else {
            return last;
        };
        let mut all: Vec<_> = mine
            .into_iter()
            .flat_map(|answer| match answer {
                Answer::Values { values, .. } => values,
                _ => Vec::new(),
            })
            .collect();
        all.extend(values);
        Answer::Values {
            values: all,
            last: true,
        }
    }

    /// How many members each node that is up knows to live.
    pub(super) fn known(&self) -> Vec<usize> {
        let up = self.nodes.iter().flatten();
        up.map(|node| node.sizes().contacts).collect()
    }
}
