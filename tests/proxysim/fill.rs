//! The model of the task behind a fill: carries the pursuit's acts out, as the proxy's shell does.

mod comes;
mod ends;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, IF_RANGE, RANGE};
use proxy::engine::announce::LEASE;
use proxy::engine::drawing::Drawing;
use proxy::engine::flow::{Miss, Plan as Errand};
use proxy::engine::http::control::RequestDirectives;
use proxy::engine::http::store::NoStoreReason;
use proxy::engine::http::{conditional, range};
use proxy::engine::pointer::Progress;
use proxy::engine::pursuit::{Act, News, Pursuit};
use proxy::engine::reason::FailReason;
use proxy::engine::splice::{Intake, Splice};

use crate::index::Call;
use crate::world::{
    BodyNo, ClientNo, FillNo, From, Happening, Line, LineNo, NodeNo, Object, Parcel, World,
};

/// How long a fetch goes on without a head and without anybody who waits for it.
const ALONE_MOST: Duration = Duration::from_secs(1);

const ORIGIN_HEAD: Duration = Duration::from_secs(15);
const PEER_HEAD: Duration = Duration::from_secs(27);
const NEXT_PIECE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(3);

/// What a fill waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    Nothing,
    Index,
    Line,
}

/// A fill's answer.
#[derive(Clone)]
pub(crate) struct Headed {
    pub(crate) object: Arc<Object>,
    pub(crate) shared: Result<(), NoStoreReason>,
    /// It is the stale copy that was here, since the origin failed.
    pub(crate) stale: bool,
}

/// See the module.
pub(crate) struct Fill {
    pub(crate) node: NodeNo,
    pub(crate) life: u32,
    pub(crate) key: usize,
    pub(crate) errand: Errand<BodyNo>,
    pub(crate) request: HeaderMap,
    pub(crate) drawing: Drawing,
    pub(crate) head: Option<Headed>,
    pub(crate) failed: Option<FailReason>,
    pub(crate) seats: u32,
    /// Clients that wait for its head, and lines of peers that wait for it to choose.
    pub(crate) clients: Vec<ClientNo>,
    pub(crate) waiting: Vec<LineNo>,
    /// Counts its acts: answers to an earlier one are late.
    pub(crate) step: u32,
    pub(crate) wait: Wait,
    pub(crate) line: Option<LineNo>,
    pub(crate) over: bool,
    pursuit: Option<Pursuit>,
    splice: Option<Splice>,
    intake: Option<Intake>,
    conditional: bool,
    /// The peer whose doing the whole answer is, so far.
    blamed: Option<SocketAddr>,
    /// The peer that sent bytes last.
    fed_by: Option<SocketAddr>,
    heard: u64,
    background: bool,
}

impl World {
    /// A fill that a lookup gave out begins. Its number is the next one.
    pub(crate) fn begin(
        &mut self,
        (node, key): (NodeNo, usize),
        errand: Errand<BodyNo>,
        request: &HeaderMap,
        background: bool,
    ) -> FillNo {
        let number = self.fills.len();
        self.fills.push(Fill {
            node,
            life: self.nodes[node].life,
            key,
            conditional: errand.shared,
            errand,
            request: request.clone(),
            drawing: Drawing::Seeking,
            head: None,
            failed: None,
            // In the background the task holds a seat itself.
            seats: u32::from(background),
            clients: Vec::new(),
            waiting: Vec::new(),
            step: 0,
            wait: Wait::Nothing,
            line: None,
            over: false,
            pursuit: None,
            splice: None,
            intake: None,
            blamed: None,
            fed_by: None,
            heard: 0,
            background,
        });
        let fill = &self.fills[number];
        let must = matches!(fill.errand.miss, Miss::Stale(why) if why.is_request())
            || RequestDirectives::of(&fill.request).no_cache;
        let ask_index = fill.errand.shared && !must;
        let (pursuit, act) = Pursuit::begin(ask_index, self.may_stand_in(number));
        self.fills[number].pursuit = Some(pursuit);
        self.act(number, act);
        number
    }

    pub(crate) fn news(&mut self, fill: FillNo, news: News) {
        self.say(|_| format!("f{fill} hears {news:?}"));
        self.fills[fill].wait = Wait::Nothing;
        if let Some(pursuit) = &mut self.fills[fill].pursuit {
            let act = pursuit.next(news);
            self.act(fill, act);
        }
    }

    pub(super) fn act(&mut self, fill: FillNo, act: Act) {
        let node = self.fills[fill].node;
        self.say(|world| format!("f{fill} of n{node} for /{}: {act:?}", world.fills[fill].key));
        self.fills[fill].step += 1;
        match act {
            Act::AskIndex => {
                self.draw(fill, Drawing::Seeking);
                self.ask_index(fill, Call::Claim);
            }
            Act::TakeOver => {
                self.tally.taken_over += 1;
                self.draw(fill, Drawing::Seeking);
                match self.fills[fill].fed_by {
                    Some(source) => self.ask_index(fill, Call::TakeOver(source)),
                    None => self.news(fill, News::NoIndex),
                }
            }
            Act::Reach(first, second) => self.reach(fill, [first, second]),
            Act::Peer { peer, stale } => self.ask_peer(fill, peer, stale),
            Act::Origin => self.ask_origin(fill),
            Act::StaleHere(_) => self.stale_here(fill),
            Act::Fail(reason) => self.fail(fill, reason),
        }
    }

    pub(super) fn draw(&mut self, fill: FillNo, from: Drawing) {
        self.fills[fill].drawing = from;
        self.notify(fill);
    }

    pub(super) fn may_stand_in(&self, fill: FillNo) -> bool {
        let fill = &self.fills[fill];
        let Some(stale) = fill.errand.stale.as_ref().filter(|_| fill.splice.is_none()) else {
            return false;
        };
        self.nodes[fill.node]
            .flow
            .may_stand_in(self.now, stale, &fill.request)
    }

    // ---- asking

    pub(super) fn line(&mut self, to: FillNo, from: From) -> LineNo {
        let sins = self.plan.sins;
        let latency = self.millis(1, 60);
        let reach = [10, 1_000, 50_000][self.rng.below(3)];
        let fate =
            |world: &mut Self, share| world.chance(share).then(|| world.rng.below(reach) as u64);
        let (breaks_at, stalls_at) = (fate(self, sins.breaks), fate(self, sins.stalls));
        let line = Line {
            to,
            from,
            behind: None,
            stale: false,
            latency,
            breaks_at,
            stalls_at,
            sent: 0,
            last: self.now,
            over: false,
            cut: false,
            pumping: false,
        };
        self.lines.push(line);
        let number = self.lines.len() - 1;
        self.fills[to].line = Some(number);
        self.fills[to].wait = Wait::Line;
        number
    }

    pub(super) fn be_patient(&mut self, fill: FillNo, within: Duration) {
        self.fills[fill].heard += 1;
        let (step, heard) = (self.fills[fill].step, self.fills[fill].heard);
        self.after(within, Happening::Impatient(fill, step, heard));
    }

    /// Connects are raced in no time here; what follows them takes its own.
    pub(super) fn reach(&mut self, fill: FillNo, two: [SocketAddr; 2]) {
        self.draw(fill, Drawing::Seeking);
        let (node, now) = (self.fills[fill].node, self.now);
        let is_up = |addr: &SocketAddr| self.nodes.iter().any(|peer| peer.addr == *addr && peer.up);
        let reached = two.into_iter().find(is_up);
        if reached.is_none() {
            for addr in two {
                let flow = &mut self.nodes[node].flow;
                flow.peer_failed(now, addr, FailReason::ConnectTimeout);
            }
        }
        self.news(fill, News::Reached(reached));
    }

    pub(super) fn ask_peer(&mut self, fill: FillNo, addr: SocketAddr, stale: bool) {
        self.tally.peer += 1;
        self.draw(fill, Drawing::Peer(addr));
        let offset = self.offset(fill);
        let found = self.nodes.iter().position(|node| node.addr == addr);
        let Some(peer) = found else {
            return self.violate(format!("f{fill} asks {addr}, which is nobody"));
        };
        let life = self.nodes[peer].life;
        let line = self.line(fill, From::Peer(peer, life, None));
        self.be_patient(fill, PEER_HEAD);
        let latency = self.lines[line].latency;
        if self.nodes[peer].up {
            let asked = Happening::PeerAsked {
                line,
                peer,
                offset,
                stale,
            };
            return self.after(latency, asked);
        }
        let (span, reason) = if self.nodes[peer].silent {
            (CONNECT, FailReason::ConnectTimeout)
        } else {
            (latency, FailReason::ConnectRefused)
        };
        self.after(
            span,
            Happening::Arrives(line, Box::new(Parcel::No(reason, None))),
        );
    }

    pub(super) fn offset(&self, fill: FillNo) -> u64 {
        let fill = &self.fills[fill];
        match (&fill.splice, &fill.head) {
            (Some(splice), Some(head)) => splice.offset(&head.object.headers()),
            _ => 0,
        }
    }

    pub(super) fn ask_origin(&mut self, fill: FillNo) {
        let (node, key, now) = (self.fills[fill].node, self.fills[fill].key, self.now);
        let name = self.keys[key].clone();
        if let Err((_, reason)) = self.nodes[node].flow.pass_gate(now, &name) {
            let news = self.failure(fill, reason);
            return self.news(fill, news);
        }
        self.draw(fill, Drawing::Origin);
        if self.fills[fill].errand.shared && !self.nodes[node].flow.ledger().has(&name) {
            self.announce(node, key, Progress::Fetching, LEASE);
        }
        let line = self.line(fill, From::Origin);
        self.be_patient(fill, ORIGIN_HEAD);
        let latency = self.lines[line].latency;
        self.after(latency, Happening::OriginAsked(line));
    }

    /// The fields that select what the origin sends.
    pub(crate) fn origin_request(&self, fill: FillNo) -> HeaderMap {
        let fill = &self.fills[fill];
        let mut headers = HeaderMap::new();
        if let (Some(splice), Some(head)) = (&fill.splice, &fill.head) {
            let validator = conditional::resume_validator(&head.object.headers());
            if let Some(validator) = validator.filter(|_| splice.received() > 0) {
                headers.insert(RANGE, range::from_offset(splice.received()));
                headers.insert(IF_RANGE, validator);
            }
        } else if let Some(stale) = fill.errand.stale.as_ref().filter(|_| fill.conditional) {
            conditional::add_validators(&stale.headers(), &mut headers);
        }
        headers
    }

    pub(super) fn origin_failed(&mut self, fill: FillNo, reason: FailReason) {
        let (node, now) = (self.fills[fill].node, self.now);
        let name = self.keys[self.fills[fill].key].clone();
        self.nodes[node].flow.origin_failed(now, &name, reason);
        let news = self.failure(fill, reason);
        self.news(fill, news);
    }

    pub(super) fn failure(&self, fill: FillNo, reason: FailReason) -> News {
        match self.fills[fill].splice {
            Some(_) => News::BodyBroke(reason),
            None => News::OriginFailed(reason),
        }
    }
}

/// The fields of a client's request.
pub(crate) fn request(no_cache: bool) -> HeaderMap {
    if no_cache {
        return crate::origin::fields(&[(CACHE_CONTROL, "no-cache")]);
    }
    HeaderMap::new()
}
