//! Thousands of engines in one thread and in virtual time.
//!
//! A world owns the nodes, the network between them, the queue of what is to happen and one
//! generator; its seed decides everything. It does what a shell does: hands engines datagrams,
//! commands and timeouts, and carries out what they put out. What it observes it tells the checkers
//! and the model; it judges nothing itself.
//!
//! An engine is given the time of its own clock ([`NodeClock`]). It is one address; a node that
//! reboots begins anew with the same address and whatever addresses it remembered.

mod arrivals;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::ids::NodeId;
use common::rng::Generator;
use common::wire::secret::{Network, NetworkSecret};
use dht::engine::{Command, Config, Index, Output, Ticket, Wish, open};

use crate::checkers::{Checker, Seen};
use crate::clock::NodeClock;
use crate::fingerprint::Fingerprint;
use crate::host::{Act, Host, Parcel};
use crate::matrix::Matrix;
use crate::model::Model;
use crate::net::{Loss, Net, Sins, happens};
use crate::queue::Queue;

/// The world begins this late, so that "before" can be expressed.
const BEGINNING: Moment = Moment::from_millis(1_000);

/// Happenings between two signs of life to whoever waits.
const PULSE_EVERY: u64 = 1 << 14;

/// How far apart in time node clocks may have started.
const CLOCK_OFFSET_MAX: Duration = Duration::from_secs(1_000_000);

/// What happens next.
#[derive(Debug)]
enum Happening {
    Datagram(Box<Parcel>),
    /// A node that takes time for its work comes to this one.
    Served(Box<Parcel>),
    Wake(usize, u32),
    Act(Box<Act>),
}

/// What a world has counted.
#[derive(Clone, Default, Debug)]
pub(crate) struct Counts {
    /// Things that happened.
    pub(crate) happenings: u64,
    /// Datagrams handed to engines.
    pub(crate) delivered: u64,
    /// Datagrams lost, by [`Loss`].
    pub(crate) lost: [u64; Loss::ALL.len()],
}

/// Told the time and the number of happenings, now and then.
pub(crate) type Pulse = Box<dyn FnMut(Moment, u64)>;

/// The world.
pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) rng: Generator,
    pub(crate) net: Net,
    pub(crate) hosts: Vec<Host>,
    pub(crate) model: Model,
    pub(crate) counts: Counts,
    checkers: Vec<Box<dyn Checker>>,
    queue: Queue<Happening>,
    print: Fingerprint,
    pulse: Pulse,
    tapped: Vec<Parcel>,
    tap: usize,
}

impl World {
    /// An empty world.
    pub(crate) fn new(seed: u64, matrix: Matrix, sins: Sins, pulse: Pulse) -> Self {
        let mut rng = Generator::from_seed(seed);
        let net = Net::new(matrix, sins, &mut rng);
        Self {
            now: BEGINNING,
            rng,
            net,
            hosts: Vec::new(),
            model: Model::default(),
            counts: Counts::default(),
            checkers: Vec::new(),
            queue: Queue::new(),
            print: Fingerprint::new(),
            pulse,
            tapped: Vec::new(),
            tap: 0,
        }
    }

    /// Listens in on the next `count` datagrams. Gives those heard since the last call.
    pub(crate) fn tap(&mut self, count: usize) -> Vec<Parcel> {
        self.tap = count;
        std::mem::take(&mut self.tapped)
    }

    /// From now on `checker` sees everything.
    pub(crate) fn watch(&mut self, checker: Box<dyn Checker>) {
        self.checkers.push(checker);
    }

    /// The checkers, to hear what they found.
    pub(crate) fn take_checkers(&mut self) -> Vec<Box<dyn Checker>> {
        std::mem::take(&mut self.checkers)
    }

    /// The network of a secret and a generation.
    pub(crate) fn network(secret: u8, generation: u32) -> Arc<Network> {
        Arc::new(NetworkSecret::from_bytes([secret; 32]).network(generation))
    }

    /// A place for one more node. Nothing runs there until [`Act::Boot`].
    pub(crate) fn place(&mut self, network: Arc<Network>, member: bool, config: Config) -> usize {
        let sins = &self.net.sins;
        let drift = self.rng.below(2 * sins.drift as usize + 1);
        let drift = i64::try_from(drift).unwrap_or(0) - i64::from(sins.drift);
        let stops = happens(&mut self.rng, sins.stopped);
        let from = BEGINNING + self.rng.jitter(Duration::from_secs(540));
        let clock = NodeClock {
            offset: self.rng.jitter(CLOCK_OFFSET_MAX),
            drift_ppm: i32::try_from(drift).unwrap_or(0),
            stopped: stops.then(|| (from, from + Duration::from_secs(60))),
        };
        let host = self.hosts.len();
        if happens(&mut self.rng, sins.starved) {
            let first = self.rng.jitter(sins.starved_every);
            self.at(BEGINNING + first, Act::Starve(host));
        }
        self.hosts.push(Host::new(network, member, config, clock));
        host
    }

    /// The id a node has or would have.
    pub(crate) fn id(&self, host: usize) -> NodeId {
        NodeId::of(self.net.addr(host))
    }

    /// `act` will happen at `at`.
    pub(crate) fn at(&mut self, at: Moment, act: Act) {
        self.queue
            .push(at.max(self.now), Happening::Act(Box::new(act)));
    }

    /// Lets everything happen that happens within `span`.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((at, what)) = self.queue.pop_by(end) {
            self.now = at;
            self.counts.happenings += 1;
            if self.counts.happenings.is_multiple_of(PULSE_EVERY) {
                (self.pulse)(at, self.counts.happenings);
            }
            self.happen(what);
        }
        self.now = end;
    }

    /// A phase begins: operations and measurements from now on belong to it.
    pub(crate) fn phase(&mut self, name: &'static str) {
        self.model.phase(name);
        self.tell(&Seen::Phase { name });
    }

    /// Shows the checkers every live member.
    pub(crate) fn sample(&mut self) {
        let (now, mut checkers) = (self.now, std::mem::take(&mut self.checkers));
        for (host, Host { node, member, .. }) in self.hosts.iter().enumerate() {
            let Some(node) = node.as_deref().filter(|_| *member) else {
                continue;
            };
            for checker in &mut checkers {
                checker.saw(now, &Seen::Sampled { host, node }, &mut self.model);
            }
        }
        self.checkers = checkers;
    }

    /// Everything that happened, in one line.
    pub(crate) fn fingerprint(&self) -> String {
        self.print.text()
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Datagram(parcel) => self.arrive(parcel),
            Happening::Served(parcel) => self.handle(&parcel),
            Happening::Wake(host, boots) => self.wake(host, boots),
            Happening::Act(act) => self.act(*act),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Ask(host, wish, patience) => self.ask(host, wish, patience),
            Act::Kill(host) => self.kill(host),
            Act::Boot(host) => self.boot(host),
            Act::Inject(parcel) => {
                let to = self.net.addr(parcel.to);
                self.transmit(parcel.from, to, parcel.bytes);
            }
            Act::Starve(host) => {
                let sins = &self.net.sins;
                let (length, every) = (sins.starved_for, sins.starved_every);
                self.hosts[host].starved_until = self.now + length;
                let next = self.now + every / 2 + self.rng.jitter(every);
                self.at(next, Act::Starve(host));
            }
        }
    }

    fn ask(&mut self, host: usize, wish: Wish, patience: Duration) {
        let now = self.now;
        let Some(mut node) = self.hosts[host].node.take() else {
            return;
        };
        let own = self.hosts[host].clock.shows(now);
        let ticket = Ticket(self.model.asked(now, host, &wish));
        self.print.add(b'?', now, host, &ticket.0.to_be_bytes());
        self.tell(&Seen::Asked { host, ticket });
        let deadline = own + patience;
        node.handle_command(
            own,
            Command {
                ticket,
                deadline,
                wish,
            },
        );
        self.drain(host, node, None);
    }

    fn kill(&mut self, host: usize) {
        let id = self.id(host);
        let place = &mut self.hosts[host];
        let Some(node) = place.node.take() else {
            return;
        };
        place.config.remembered = node.known_peers();
        (place.wished, place.queued) = (Moment::NEVER, Moment::NEVER);
        if place.member {
            self.model.died(host, id);
        }
        self.print.add(b'-', self.now, host, &[]);
        self.tell(&Seen::Died { host });
    }

    fn boot(&mut self, host: usize) {
        self.kill(host);
        let (addr, id, now) = (self.net.addr(host), self.id(host), self.now);
        let rng = self.rng.child();
        let place = &mut self.hosts[host];
        place.boots += 1;
        let own = place.clock.shows(now);
        let network = Arc::clone(&place.network);
        let node = open(place.config.clone(), network, addr, rng, own);
        if place.member {
            self.model.born(host, id);
        }
        self.print.add(b'+', now, host, &[]);
        self.drain(host, node, None);
    }

    fn wake(&mut self, host: usize, boots: u32) {
        let now = self.now;
        let place = &mut self.hosts[host];
        if place.boots != boots || place.node.is_none() {
            return;
        }
        if place.starved_until > now {
            let until = place.starved_until;
            place.queued = until;
            return self.queue.push(until, Happening::Wake(host, boots));
        }
        if place.queued > now {
            return;
        }
        place.queued = Moment::NEVER;
        if place.wished > now {
            return self.plan_wake(host);
        }
        place.wished = Moment::NEVER;
        let own = place.clock.shows(now);
        if let Some(mut node) = place.node.take() {
            self.print.add(b'!', now, host, &[]);
            node.handle_timeout(own);
            self.drain(host, node, None);
        }
    }

    /// Queues a wake-up unless one comes early enough; a wish that moved away costs nothing.
    fn plan_wake(&mut self, host: usize) {
        let place = &mut self.hosts[host];
        if place.wished < place.queued {
            place.queued = place.wished;
            let wake = Happening::Wake(host, place.boots);
            self.queue.push(place.wished, wake);
        }
    }

    /// Carries out what an engine wants and puts it back in its place.
    fn drain(&mut self, host: usize, mut node: Box<dyn Index>, cause: Option<&Parcel>) {
        while let Some(output) = node.poll_output() {
            match output {
                Output::Transmit { to, bytes } => {
                    let seen = Seen::Sent {
                        host,
                        to: self.net.node_at(to),
                        bytes: &bytes,
                        cause,
                    };
                    self.tell(&seen);
                    self.transmit(host, to, bytes);
                }
                Output::Answer { ticket, answer } => {
                    self.print
                        .add(b'=', self.now, host, &ticket.0.to_be_bytes());
                    self.model.answered(self.now, ticket.0, &answer);
                    self.tell(&Seen::Answered {
                        host,
                        ticket,
                        answer: &answer,
                    });
                }
                Output::Event(event) => self.tell(&Seen::Event {
                    host,
                    event: &event,
                }),
                Output::Wake(at, _) => {
                    let place = &mut self.hosts[host];
                    place.wished = place.clock.reaches(at).max(self.now);
                    self.plan_wake(host);
                }
            }
        }
        self.hosts[host].node = Some(node);
    }

    fn transmit(&mut self, from: usize, to: SocketAddr, mut bytes: Vec<u8>) {
        let known = self.net.node_at(to).filter(|to| *to < self.hosts.len());
        let Some(to) = known else {
            self.counts.lost[Loss::Nowhere as usize] += 1;
            return;
        };
        let passage = match self.net.passage(&mut self.rng, self.now, from, to) {
            Ok(passage) => passage,
            Err(loss) => {
                self.counts.lost[loss as usize] += 1;
                return;
            }
        };
        if let (Some(bit), false) = (passage.flipped, bytes.is_empty()) {
            let byte = bit / 8 % bytes.len();
            bytes[byte] ^= 1 << (bit % 8);
        }
        if let Some(again) = passage.again {
            let bytes = bytes.clone();
            let copy = Happening::Datagram(Box::new(Parcel { from, to, bytes }));
            self.queue.push(self.now + again, copy);
        }
        let parcel = Happening::Datagram(Box::new(Parcel { from, to, bytes }));
        self.queue.push(self.now + passage.after, parcel);
    }

    fn tell(&mut self, seen: &Seen<'_>) {
        for checker in &mut self.checkers {
            checker.saw(self.now, seen, &mut self.model);
        }
    }
}
