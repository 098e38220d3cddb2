//! Several proxies, an index, an origin, the lines between them and the clients before them, in
//! virtual time: what there is, and what happens next.
//!
//! The proxies' decisions are the real ones: [`Flow`], `Pursuit`, `Splice`, `Drawing` and what
//! they are made of. What the proxy's shell does with tasks and sockets is modelled here as steps
//! (`fill`, `peer`, `client`), with real bytes. Not modelled: HTTP's syntax, variants, disks,
//! and the pace of readers, which have tests of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use common::clock::{Moment, WallTime};
use common::rng::Generator;
use http::{HeaderMap, StatusCode};
use proxy::engine::flow::Flow;
use proxy::engine::http::fresh::FreshPolicy;
use proxy::engine::http::key::{PrimaryKey, Scheme};
use proxy::engine::pointer::Digest;
use proxy::engine::reason::FailReason;
use proxy::engine::store::Budget;

use crate::client::Client;
use crate::fill::Fill;
use crate::index::{Index, Op, OpNo, Said};
use crate::origin::Origin;
use crate::plan::Plan;

/// The calendar when a run begins.
const WALL: WallTime = WallTime::from_unix(1_800_000_000);

/// Between two looks of a proxy at what it has to renew.
const TICK: Duration = Duration::from_secs(1);

/// Nothing goes wrong any more after [`crate::plan::FAULTS_END`]; by this much later all is over.
const REST: Duration = Duration::from_secs(400);

/// More happenings than any schedule has that comes to an end.
const HAPPENINGS_MAX: u64 = 400_000;

pub(crate) type NodeNo = usize;
pub(crate) type FillNo = usize;
pub(crate) type BodyNo = usize;
pub(crate) type LineNo = usize;
pub(crate) type ClientNo = usize;

/// A response with the model's handle to its body.
pub(crate) type Object = proxy::engine::store::object::Object<BodyNo>;

/// One proxy.
pub(crate) struct Node {
    pub(crate) addr: SocketAddr,
    pub(crate) up: bool,
    /// It went without a word: who asks it gets no answer at all.
    pub(crate) silent: bool,
    /// How often it has died: what belongs to an earlier life is gone.
    pub(crate) life: u32,
    pub(crate) flow: Flow<BodyNo, FillNo>,
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Growing,
    Whole(Digest),
    Broken(FailReason),
}

/// The bytes of a fill, and who follows them.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) announced: Option<u64>,
    pub(crate) end: End,
    pub(crate) followers: Vec<Follower>,
}

/// Who follows a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Follower {
    Line(LineNo),
    Client(ClientNo),
}

/// What comes over a line to who asked.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    /// An answer's head: where its bytes begin, and the length of the whole.
    Head {
        status: StatusCode,
        headers: HeaderMap,
        offset: u64,
        length: Option<u64>,
        digest: Option<Digest>,
    },
    Piece(Bytes),
    /// A clean end, with a digest after the body.
    End(Option<Digest>),
    Break(FailReason),
    /// A peer has nothing, and may name another.
    No(FailReason, Option<SocketAddr>),
}

/// Who sends over a line.
#[derive(Clone, Debug)]
pub(crate) enum From {
    Origin,
    /// A peer, asked but not yet decided, or sending this body from there on.
    Peer(NodeNo, u32, Option<(BodyNo, u64)>),
}

/// One exchange of a fill with a source.
pub(crate) struct Line {
    pub(crate) to: FillNo,
    pub(crate) from: From,
    /// The fill of the peer that it waits for or draws from.
    pub(crate) behind: Option<FillNo>,
    /// A stale copy is welcome.
    pub(crate) stale: bool,
    pub(crate) latency: Duration,
    /// Bytes after which it breaks, or falls silent.
    pub(crate) breaks_at: Option<u64>,
    pub(crate) stalls_at: Option<u64>,
    pub(crate) sent: u64,
    pub(crate) last: Moment,
    /// Nothing more is sent.
    pub(crate) over: bool,
    /// Nothing that is under way arrives any more, save the news of its end.
    pub(crate) cut: bool,
    pub(crate) pumping: bool,
}

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Asks(ClientNo),
    Leaves(ClientNo),
    Arrives(LineNo, Box<Parcel>),
    /// A peer's request reaches its peer port.
    PeerAsked {
        line: LineNo,
        peer: NodeNo,
        offset: u64,
        stale: bool,
    },
    /// The origin gets a request.
    OriginAsked(LineNo),
    Pump(Follower),
    /// Nothing came over a fill's line since then.
    Impatient(FillNo, u32, u64),
    /// A fill waits for the index no longer.
    IndexLate(FillNo, u32),
    IndexGets(OpNo),
    IndexSays(OpNo, Said),
    OpOver(OpNo, bool),
    Lonely(FillNo),
    Tick(NodeNo),
    Dies(NodeNo, bool),
    Returns(NodeNo),
    IndexDown(bool),
    OriginTurns(crate::origin::Mood),
    Changes(usize),
}

/// What is counted.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) happenings: u64,
    pub(crate) asked: u64,
    pub(crate) whole: u64,
    pub(crate) broken: u64,
    pub(crate) refused: u64,
    pub(crate) left: u64,
    pub(crate) origin: u64,
    pub(crate) peer: u64,
    pub(crate) resumed: u64,
    pub(crate) taken_over: u64,
    pub(crate) deaths: u64,
}

impl Tally {
    /// Adds another's numbers.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.happenings += other.happenings;
        self.asked += other.asked;
        self.whole += other.whole;
        self.broken += other.broken;
        self.refused += other.refused;
        self.left += other.left;
        self.origin += other.origin;
        self.peer += other.peer;
        self.resumed += other.resumed;
        self.taken_over += other.taken_over;
        self.deaths += other.deaths;
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) now: Moment,
    turn: u64,
    queue: BTreeMap<(Moment, u64), Happening>,
    pub(crate) rng: Generator,
    pub(crate) plan: Plan,
    pub(crate) keys: Vec<PrimaryKey>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) fills: Vec<Fill>,
    pub(crate) bodies: Vec<Body>,
    pub(crate) lines: Vec<Line>,
    pub(crate) clients: Vec<Client>,
    pub(crate) ops: Vec<Op>,
    pub(crate) index: Index,
    pub(crate) origin: Origin,
    pub(crate) tally: Tally,
    /// What happened, if it is to be told.
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) violations: Vec<String>,
}

impl World {
    /// The world of a seed, before anything has happened.
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        let mut rng = Generator::from_seed(seed);
        let plan = Plan::draw(&mut rng.child());
        let key = |n| PrimaryKey::new(Scheme::Http, "example.com", 80, &format!("/{n}"));
        let origin = Origin::draw(&plan, &mut rng.child());
        let mut world = Self {
            now: Moment::ZERO,
            turn: 0,
            queue: BTreeMap::new(),
            keys: (0..plan.keys).map(key).collect(),
            nodes: Vec::new(),
            fills: Vec::new(),
            bodies: Vec::new(),
            lines: Vec::new(),
            clients: Vec::new(),
            ops: Vec::new(),
            index: Index::default(),
            origin,
            tally: Tally::default(),
            trace: traced.then(Vec::new),
            violations: Vec::new(),
            rng,
            plan,
        };
        for n in 0..world.plan.nodes {
            let addr = SocketAddr::from(([127, 0, 0, 1], 9_000 + u16::try_from(n).unwrap_or(0)));
            let flow = world.empty_flow();
            let (up, life) = (true, 0);
            world.nodes.push(Node {
                addr,
                up,
                silent: false,
                life,
                flow,
            });
            world.after(TICK, Happening::Tick(n));
        }
        world.say(|world| format!("{:?}", world.plan));
        for (at, what) in world.plan.happenings.clone() {
            world.push(at, what);
        }
        for client in world.plan.clients.clone() {
            let number = world.clients.len();
            world.push(client.asks, Happening::Asks(number));
            if let Some(leaves) = client.leaves {
                world.push(leaves, Happening::Leaves(number));
            }
            world.clients.push(Client::new(client));
        }
        world
    }

    pub(crate) fn empty_flow(&self) -> Flow<BodyNo, FillNo> {
        let memory = self.plan.memory;
        let rng = Generator::from_seed(memory);
        Flow::new(Budget { memory, disk: 0 }, FreshPolicy::default(), rng)
    }

    /// Lets everything happen, and checks what is left.
    pub(crate) fn run(&mut self) {
        let end = Moment::ZERO + crate::plan::FAULTS_END + REST;
        while let Some((&(at, turn), _)) = self.queue.first_key_value() {
            if at > end {
                break;
            }
            let Some(what) = self.queue.remove(&(at, turn)) else {
                break;
            };
            self.now = at;
            self.tally.happenings += 1;
            if self.tally.happenings > HAPPENINGS_MAX {
                self.violate("it goes on for ever".to_owned());
                return;
            }
            self.happen(what);
        }
        self.check_the_end();
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Asks(client) => self.client_asks(client),
            Happening::Leaves(client) => self.client_leaves(client),
            Happening::Arrives(line, parcel) => self.arrives(line, *parcel),
            Happening::PeerAsked {
                line,
                peer,
                offset,
                stale,
            } => self.peer_asked(line, peer, offset, stale),
            Happening::OriginAsked(line) => self.origin_asked(line),
            Happening::Pump(follower) => self.pump(follower),
            Happening::Impatient(fill, step, heard) => self.impatient(fill, step, heard),
            Happening::IndexLate(fill, step) => self.index_late(fill, step),
            Happening::IndexGets(op) => self.index_gets(op),
            Happening::IndexSays(op, said) => self.index_says(op, &said),
            Happening::OpOver(op, arrived) => self.op_over(op, arrived),
            Happening::Lonely(fill) => self.lonely(fill),
            Happening::Tick(node) => {
                self.tick(node);
                self.after(TICK, Happening::Tick(node));
            }
            Happening::Dies(node, silently) => self.dies(node, silently),
            Happening::Returns(node) => self.returns(node),
            Happening::IndexDown(down) => {
                self.say(|_| format!("the index is {}", if down { "gone" } else { "back" }));
                self.index.turn(down);
            }
            Happening::OriginTurns(mood) => self.origin_turns(mood),
            Happening::Changes(key) => {
                self.say(|_| format!("/{key} changes"));
                self.origin.change(key);
            }
        }
    }

    // ---- time and chance

    pub(crate) fn push(&mut self, at: Moment, what: Happening) {
        self.turn += 1;
        self.queue.insert((at, self.turn), what);
    }

    pub(crate) fn after(&mut self, span: Duration, what: Happening) {
        self.push(self.now + span, what);
    }

    pub(crate) fn wall(&self) -> WallTime {
        let seconds = self.now.since(Moment::ZERO).as_secs();
        WallTime::from_unix(WALL.unix() + i64::try_from(seconds).unwrap_or(0))
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.rng.below(100) < percent
    }

    pub(crate) fn millis(&mut self, least: usize, most: usize) -> Duration {
        millis(&mut self.rng, least, most)
    }

    // ---- what is told

    pub(crate) fn say(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let at = self.now.since(Moment::ZERO).as_secs_f64();
            let line = format!("{at:>9.3} {}", line(self));
            self.trace.get_or_insert_default().push(line);
        }
    }

    pub(crate) fn violate(&mut self, what: String) {
        self.say(|_| format!("VIOLATION: {what}"));
        let at = self.now.since(Moment::ZERO).as_secs_f64();
        self.violations.push(format!("at {at:.3}: {what}"));
    }

    // ---- lines

    /// Sends over a line, in order, unless it is cut.
    pub(crate) fn send(&mut self, line: LineNo, parcel: Parcel) {
        let (now, latency) = (self.now, self.lines[line].latency);
        let at = self.lines[line].last.max(now + latency);
        self.lines[line].last = at;
        if matches!(parcel, Parcel::End(_) | Parcel::Break(_) | Parcel::No(..)) {
            self.lines[line].over = true;
        }
        self.push(at, Happening::Arrives(line, Box::new(parcel)));
    }

    /// Sends bytes over a line as far as it carries them. Whether it still does.
    pub(crate) fn send_bytes(&mut self, number: LineNo, bytes: &Bytes) -> bool {
        let line = &mut self.lines[number];
        let limit = line.breaks_at.into_iter().chain(line.stalls_at).min();
        let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(line.sent));
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        line.sent += fits as u64;
        if fits > 0 {
            self.send(number, Parcel::Piece(bytes.slice(..fits)));
        }
        let line = &mut self.lines[number];
        if limit.is_none_or(|limit| line.sent < limit) {
            return true;
        }
        line.over = true;
        if line.breaks_at == limit {
            self.send(number, Parcel::Break(FailReason::Broken));
        }
        false
    }

    /// A reader of a body takes what there is.
    fn pump(&mut self, follower: Follower) {
        match follower {
            Follower::Client(client) => self.pump_client(client),
            Follower::Line(line) => self.pump_line(line),
        }
    }

    /// Everybody who follows a body looks at it, sooner or later.
    pub(crate) fn wake_followers(&mut self, body: BodyNo) {
        for follower in self.bodies[body].followers.clone() {
            self.wake(follower);
        }
    }

    pub(crate) fn wake(&mut self, follower: Follower) {
        let pumping = match follower {
            Follower::Line(line) => &mut self.lines[line].pumping,
            Follower::Client(client) => &mut self.clients[client].pumping,
        };
        if !std::mem::replace(pumping, true) {
            let soon = self.millis(0, 20);
            self.after(soon, Happening::Pump(follower));
        }
    }

    pub(crate) fn unfollow(&mut self, body: BodyNo, follower: Follower) {
        self.bodies[body]
            .followers
            .retain(|other| *other != follower);
    }
}

/// A span between two numbers of milliseconds.
pub(crate) fn millis(rng: &mut Generator, least: usize, most: usize) -> Duration {
    let millis = least + rng.below(most + 1 - least);
    Duration::from_millis(millis as u64)
}
