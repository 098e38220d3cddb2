//! The model of the task behind a fill: carries the pursuit's acts out, as the proxy's shell does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderMap, IF_RANGE, RANGE};
use http::{Method, StatusCode};
use proxy::engine::announce::LEASE;
use proxy::engine::drawing::Drawing;
use proxy::engine::flow::{Miss, Plan as Errand};
use proxy::engine::http::control::{Directives, RequestDirectives};
use proxy::engine::http::store::{self, Exchange, NoStoreReason};
use proxy::engine::http::{conditional, fresh, range};
use proxy::engine::lenient::Unclear;
use proxy::engine::pointer::{Digest, Progress};
use proxy::engine::pursuit::{Act, News, Pursuit};
use proxy::engine::reason::FailReason;
use proxy::engine::splice::{Described, Intake, Promise, Splice};
use proxy::engine::store::Weight;
use proxy::engine::store::object::Received;
use proxy::engine::words::Word;

use crate::index::Call;
use crate::world::{
    Body, BodyNo, ClientNo, End, FillNo, From, Happening, Line, LineNo, NodeNo, Object, Parcel,
    World,
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

    fn act(&mut self, fill: FillNo, act: Act) {
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

    fn draw(&mut self, fill: FillNo, from: Drawing) {
        self.fills[fill].drawing = from;
        self.notify(fill);
    }

    fn may_stand_in(&self, fill: FillNo) -> bool {
        let fill = &self.fills[fill];
        let Some(stale) = fill.errand.stale.as_ref().filter(|_| fill.splice.is_none()) else {
            return false;
        };
        self.nodes[fill.node]
            .flow
            .may_stand_in(self.now, stale, &fill.request)
    }

    // ---- asking

    fn line(&mut self, to: FillNo, from: From) -> LineNo {
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

    fn be_patient(&mut self, fill: FillNo, within: Duration) {
        self.fills[fill].heard += 1;
        let (step, heard) = (self.fills[fill].step, self.fills[fill].heard);
        self.after(within, Happening::Impatient(fill, step, heard));
    }

    /// Connects are raced in no time here; what follows them takes its own.
    fn reach(&mut self, fill: FillNo, two: [SocketAddr; 2]) {
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

    fn ask_peer(&mut self, fill: FillNo, addr: SocketAddr, stale: bool) {
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

    fn offset(&self, fill: FillNo) -> u64 {
        let fill = &self.fills[fill];
        match (&fill.splice, &fill.head) {
            (Some(splice), Some(head)) => splice.offset(&head.object.headers),
            _ => 0,
        }
    }

    fn ask_origin(&mut self, fill: FillNo) {
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
            let validator = conditional::resume_validator(&head.object.headers);
            if let Some(validator) = validator.filter(|_| splice.received() > 0) {
                headers.insert(RANGE, range::from_offset(splice.received()));
                headers.insert(IF_RANGE, validator);
            }
        } else if let Some(stale) = fill.errand.stale.as_ref().filter(|_| fill.conditional) {
            conditional::add_validators(&stale.headers, &mut headers);
        }
        headers
    }

    fn origin_failed(&mut self, fill: FillNo, reason: FailReason) {
        let (node, now) = (self.fills[fill].node, self.now);
        let name = self.keys[self.fills[fill].key].clone();
        self.nodes[node].flow.origin_failed(now, &name, reason);
        let news = self.failure(fill, reason);
        self.news(fill, news);
    }

    fn failure(&self, fill: FillNo, reason: FailReason) -> News {
        match self.fills[fill].splice {
            Some(_) => News::BodyBroke(reason),
            None => News::OriginFailed(reason),
        }
    }

    // ---- what comes

    pub(crate) fn arrives(&mut self, number: LineNo, parcel: Parcel) {
        let line = &self.lines[number];
        let fill = line.to;
        let ending = matches!(parcel, Parcel::Break(_) | Parcel::No(..));
        if self.fills[fill].over || self.fills[fill].line != Some(number) || (line.cut && !ending) {
            return;
        }
        self.be_patient(fill, NEXT_PIECE);
        match parcel {
            Parcel::Head {
                status,
                headers,
                offset,
                length,
                digest,
            } => {
                let promise = match (&self.lines[number].from, digest) {
                    (From::Origin, _) => Promise::None,
                    (From::Peer(..), Some(digest)) => Promise::Digest(digest),
                    (From::Peer(..), None) => Promise::Trailer,
                };
                self.head(fill, (status, &headers), (offset, length), promise);
            }
            Parcel::Piece(bytes) => self.piece(fill, bytes),
            Parcel::End(digest) => self.ended(fill, digest),
            Parcel::Break(reason) => self.broke(fill, reason, None),
            Parcel::No(reason, instead) => self.broke(fill, reason, instead),
        }
    }

    pub(crate) fn impatient(&mut self, fill: FillNo, step: u32, heard: u64) {
        let state = &self.fills[fill];
        if state.over || state.wait != Wait::Line || (state.step, state.heard) != (step, heard) {
            return;
        }
        let reason = match state.intake {
            Some(_) => FailReason::BodyTimeout,
            None => FailReason::HeaderTimeout,
        };
        self.broke(fill, reason, None);
    }

    /// An exchange came to nothing, or broke off in the middle.
    fn broke(&mut self, fill: FillNo, reason: FailReason, instead: Option<SocketAddr>) {
        if self.fills[fill].intake.is_some() {
            return self.conclude(fill, reason);
        }
        let from = self.hang_up(fill);
        let (node, now) = (self.fills[fill].node, self.now);
        if let Some(From::Peer(peer, ..)) = from {
            let (own, addr) = (self.nodes[node].addr, self.nodes[peer].addr);
            self.nodes[node].flow.peer_failed(now, addr, reason);
            let instead = instead.filter(|other| *other != own);
            return self.news(fill, News::PeerFailed { instead });
        }
        self.origin_failed(fill, reason);
    }

    /// The fill has done with its line.
    fn hang_up(&mut self, fill: FillNo) -> Option<From> {
        self.fills[fill].intake = None;
        let line = self.fills[fill].line.take()?;
        self.lines[line].cut = true;
        self.leave_peer(line);
        Some(self.lines[line].from.clone())
    }

    fn head(
        &mut self,
        fill: FillNo,
        (status, headers): (StatusCode, &HeaderMap),
        (offset, length): (u64, Option<u64>),
        promise: Promise,
    ) {
        let from_origin = promise == Promise::None;
        let first = self.fills[fill].splice.is_none();
        if !from_origin {
            self.fills[fill].fed_by = self.source_of(fill);
        }
        if from_origin {
            let name = self.keys[self.fills[fill].key].clone();
            self.nodes[self.fills[fill].node]
                .flow
                .origin_answered(&name);
            if first && status == StatusCode::NOT_MODIFIED {
                return self.not_modified(fill, headers);
            }
            if first && status == StatusCode::PARTIAL_CONTENT {
                self.hang_up(fill);
                return self.origin_failed(fill, FailReason::Unclear(Unclear::Part));
            }
            if status.is_server_error() && self.may_stand_in(fill) {
                self.hang_up(fill);
                let reason = FailReason::ServerError(status);
                return self.news(fill, News::OriginFailed(reason));
            }
        }
        let answer = Described { status, headers };
        let joined = match (&self.fills[fill].splice, &self.fills[fill].head) {
            (Some(splice), Some(head)) => {
                let (status, headers) = (head.object.status, &head.object.headers);
                let shown = Described { status, headers };
                if from_origin {
                    splice.join_origin(shown, answer, length)
                } else {
                    splice.join(shown, answer, offset, length, promise)
                }
            }
            _ => {
                self.fills[fill].blamed = self.source_of(fill).filter(|_| !from_origin);
                self.show_head(fill, answer, length);
                Ok(Splice::first(promise))
            }
        };
        match joined {
            Ok(intake) => self.fills[fill].intake = Some(intake),
            Err(reason) => self.conclude(fill, reason),
        }
    }

    fn source_of(&self, fill: FillNo) -> Option<SocketAddr> {
        match self.lines[self.fills[fill].line?].from {
            From::Peer(peer, ..) => Some(self.nodes[peer].addr),
            From::Origin => None,
        }
    }

    fn show_head(&mut self, number: FillNo, answer: Described<'_>, announced: Option<u64>) {
        let (node, key) = (self.fills[number].node, self.fills[number].key);
        let (status, directives) = (answer.status, Directives::of(answer.headers));
        let request = self.fills[number].request.clone();
        let flow = &self.nodes[node].flow;
        let (heat, policy) = (flow.heat(self.now, &self.keys[key]), flow.policy().clone());
        let wall = self.wall();
        let lifetime = fresh::lifetime(answer.headers, status, &directives, wall, &policy, heat);
        let exchange = Exchange {
            method: &Method::GET,
            request: &request,
            status,
            response: answer.headers,
        };
        let shared = store::may_store(&exchange, &directives, lifetime);
        let headers = store::stored_headers(answer.headers, &directives, wall);
        let body = self.bodies.len();
        self.bodies.push(Body {
            bytes: Vec::new(),
            announced,
            end: End::Growing,
            followers: Vec::new(),
        });
        let received = Received {
            status,
            headers: answer.headers,
            at: self.now,
            wall,
            delay: Duration::ZERO,
        };
        let name = self.keys[key].clone();
        let object = Object::new(name, &received, headers, &request, &policy, body);
        let object = Arc::new(object);
        if self.fills[number].errand.shared {
            self.share_or_not(number, &object, shared);
        }
        let keep = self.fills[number].errand.shared && shared.is_ok();
        self.fills[number].splice = Some(Splice::new(announced, keep));
        self.show(
            number,
            Headed {
                object,
                shared,
                stale: false,
            },
        );
    }

    fn show(&mut self, fill: FillNo, head: Headed) {
        self.fills[fill].head = Some(head);
        self.notify(fill);
    }

    fn share_or_not(
        &mut self,
        fill: FillNo,
        object: &Arc<Object>,
        shared: Result<(), NoStoreReason>,
    ) {
        let (node, key, id) = (
            self.fills[fill].node,
            self.fills[fill].key,
            self.fills[fill].errand.id,
        );
        let (now, name) = (self.now, self.keys[key].clone());
        let flow = &mut self.nodes[node].flow;
        let Err(reason) = shared else {
            return flow.headed(&name, id, object);
        };
        if !object.status.is_client_error() && !object.status.is_server_error() {
            flow.not_shareable(now, &name, reason);
        }
        flow.ended(&name, id);
        if flow.ledger().gone(&name) {
            self.tell(node, key, Word::Gone);
        }
    }

    fn not_modified(&mut self, fill: FillNo, headers: &HeaderMap) {
        self.hang_up(fill);
        let state = &self.fills[fill];
        let Some(stale) = state.errand.stale.clone().filter(|_| state.conditional) else {
            return self.origin_failed(fill, FailReason::Unclear(Unclear::NotModified));
        };
        if conditional::confirms(headers, &stale.headers).is_err() {
            self.fills[fill].conditional = false;
            return self.news(fill, News::Unconfirmed);
        }
        let mut merged = stale.headers.clone();
        conditional::merge(&mut merged, headers, self.wall());
        let received = Received {
            status: StatusCode::NOT_MODIFIED,
            headers,
            at: self.now,
            wall: self.wall(),
            delay: Duration::ZERO,
        };
        let policy = self.nodes[state.node].flow.policy().clone();
        let object = stale.confirmed(&received, merged, &state.request, &policy);
        self.keep(fill, &object);
        self.show(
            fill,
            Headed {
                object,
                shared: Ok(()),
                stale: false,
            },
        );
        self.over(fill);
    }

    fn piece(&mut self, fill: FillNo, bytes: Bytes) {
        let state = &mut self.fills[fill];
        let (Some(splice), Some(intake)) = (&mut state.splice, &mut state.intake) else {
            return;
        };
        match splice.take(intake, bytes) {
            Ok(shown) if shown.is_empty() => {}
            Ok(shown) => {
                self.append(fill, &shown);
                self.end_if_unwanted(fill);
            }
            Err(reason) => self.conclude(fill, reason),
        }
    }

    fn append(&mut self, fill: FillNo, bytes: &Bytes) {
        if let Some(head) = &self.fills[fill].head {
            let body = head.object.body;
            self.bodies[body].bytes.extend_from_slice(bytes);
            self.wake_followers(body);
        }
    }

    fn ended(&mut self, fill: FillNo, trailer: Option<Digest>) {
        let state = &mut self.fills[fill];
        let (Some(splice), Some(intake)) = (&mut state.splice, state.intake.take()) else {
            return;
        };
        match splice.end(intake, trailer) {
            Ok(last) => {
                self.append(fill, &last);
                self.whole(fill);
            }
            Err(reason) => self.conclude(fill, reason),
        }
    }

    // ---- ends

    fn conclude(&mut self, fill: FillNo, reason: FailReason) {
        self.hang_up(fill);
        let (node, now) = (self.fills[fill].node, self.now);
        if let Some(peer) = self.fills[fill].blamed.take() {
            self.nodes[node].flow.peer_failed(now, peer, reason);
        }
        let hopeless = [
            FailReason::Abandoned,
            FailReason::Digest,
            FailReason::NoMemory,
        ];
        if hopeless.contains(&reason) {
            return self.fail(fill, reason);
        }
        self.tally.resumed += 1;
        self.news(fill, News::BodyBroke(reason));
    }

    fn whole(&mut self, fill: FillNo) {
        let state = &mut self.fills[fill];
        if let (Some(splice), Some(head)) = (state.splice.take(), state.head.clone()) {
            let body = head.object.body;
            self.bodies[body].end = End::Whole(splice.digest());
            self.wake_followers(body);
            if self.fills[fill].errand.shared && head.shared.is_ok() {
                self.keep(fill, &head.object);
            }
        }
        self.over(fill);
    }

    fn keep(&mut self, fill: FillNo, object: &Arc<Object>) {
        self.check_kept(fill, object.body);
        let (node, key, now) = (self.fills[fill].node, self.fills[fill].key, self.now);
        let stale = self.fills[fill].errand.stale.clone();
        let memory = self.bodies[object.body].bytes.len() as u64;
        let flow = &mut self.nodes[node].flow;
        if let Some(stale) = &stale {
            flow.superseded(stale);
        }
        let (life, gone) = flow.keep(now, Arc::clone(object), Weight { memory, disk: 0 });
        match (life, self.progress_of(object.body)) {
            (Some(life), Some(progress)) => self.announce(node, key, progress, life),
            _ => self.withdraw_claim(node, key),
        }
        for name in gone {
            let key = self.number_of(&name);
            self.tell(node, key, Word::Gone);
        }
    }

    fn withdraw_claim(&mut self, node: NodeNo, key: usize) {
        let name = self.keys[key].clone();
        if self.nodes[node].flow.ledger().gone(&name) {
            self.tell(node, key, Word::Gone);
        }
    }

    fn stale_here(&mut self, fill: FillNo) {
        let (node, key) = (self.fills[fill].node, self.fills[fill].key);
        let Some(object) = self.fills[fill].errand.stale.clone() else {
            return self.violate(format!("f{fill} has no stale copy"));
        };
        self.withdraw_claim(node, key);
        self.show(
            fill,
            Headed {
                object,
                shared: Ok(()),
                stale: true,
            },
        );
        self.over(fill);
    }

    pub(crate) fn fail(&mut self, fill: FillNo, reason: FailReason) {
        self.hang_up(fill);
        let (node, key, id) = (
            self.fills[fill].node,
            self.fills[fill].key,
            self.fills[fill].errand.id,
        );
        let shared = self.fills[fill].errand.shared;
        let broken = self.fills[fill].splice.take();
        if let (Some(_), Some(head)) = (broken, &self.fills[fill].head) {
            let body = head.object.body;
            self.bodies[body].end = End::Broken(reason);
            self.wake_followers(body);
        } else {
            let name = self.keys[key].clone();
            self.nodes[node].flow.ended(&name, id);
            self.fills[fill].failed = Some(reason);
        }
        if shared {
            self.withdraw_claim(node, key);
        }
        self.over(fill);
    }

    fn over(&mut self, fill: FillNo) {
        self.hang_up(fill);
        let state = &mut self.fills[fill];
        state.over = true;
        state.wait = Wait::Nothing;
        if state.head.is_none() && state.failed.is_none() {
            state.failed = Some(FailReason::Abandoned);
        }
        if std::mem::take(&mut state.background) {
            state.seats -= 1;
        }
        let (node, key, id) = (state.node, state.key, state.errand.id);
        let name = self.keys[key].clone();
        self.nodes[node].flow.over(&name, id);
        self.say(|_| format!("f{fill} is over"));
        self.notify(fill);
    }

    // ---- seats

    pub(crate) fn stand_up(&mut self, fill: FillNo) {
        let state = &mut self.fills[fill];
        state.seats -= 1;
        if state.seats > 0 || state.over {
            return;
        }
        if state.head.is_some() {
            return self.end_if_unwanted(fill);
        }
        let span = if state.errand.shared {
            ALONE_MOST
        } else {
            Duration::ZERO
        };
        self.after(span, Happening::Lonely(fill));
    }

    /// A fill without a head was alone a while ago.
    pub(crate) fn lonely(&mut self, fill: FillNo) {
        let state = &self.fills[fill];
        if state.over || state.head.is_some() || state.seats > 0 {
            return;
        }
        self.fail(fill, FailReason::Abandoned);
    }

    fn end_if_unwanted(&mut self, fill: FillNo) {
        let state = &self.fills[fill];
        let worth = state.splice.as_ref().is_none_or(Splice::is_worth_finishing);
        // While it looks for another source nobody looks whether readers are left.
        if !worth && state.seats == 0 && state.intake.is_some() {
            let (node, key, id) = (state.node, state.key, state.errand.id);
            let name = self.keys[key].clone();
            self.nodes[node].flow.ended(&name, id);
            self.conclude(fill, FailReason::Abandoned);
        }
    }

    /// Tells all who wait for a fill that there is news.
    fn notify(&mut self, fill: FillNo) {
        for line in self.fills[fill].waiting.clone() {
            self.peer_looks(line);
        }
        if self.fills[fill].head.is_some() || self.fills[fill].failed.is_some() {
            for client in std::mem::take(&mut self.fills[fill].clients) {
                self.client_looks(client);
            }
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
