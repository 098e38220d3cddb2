//! The task behind a fill: carries the pursuit's acts out, one after another, and publishes what
//! comes of them.
//!
//! Nothing a source does reaches a reader as whole unless it was whole; nothing bad replaces
//! something good: a copy is stored only after its last byte, in one step with the fill's end.

mod answers;
mod beginning;
mod slices;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use http::header::{HeaderMap, HeaderValue, RANGE};
use http::{Method, StatusCode};
use tokio::time::sleep;

use self::slices::{Asking, Size};
use super::body::SharedBody;
use super::context::Context;
use super::fill::{Asker, Fill, Source};
use super::index;
use super::peer;
use super::traces::Story;
use super::transfer::{Beginning, Transfer, content_length};
use super::upstream::{Destination, Question, Upstream};
use crate::engine::announce::LEASE;
use crate::engine::drawing::Drawing;
use crate::engine::flow::{FillId, Miss, Plan};
use crate::engine::http::control::RequestDirectives;
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::server_timing::{Timing, Waited};
use crate::engine::http::{conditional, hop};
use crate::engine::lenient::part;
use crate::engine::peers;
use crate::engine::pointer::Progress;
use crate::engine::pursuit::{Act, News, Pursuit};
use crate::engine::reason::FailReason;
use crate::engine::splice::Promise;
use crate::engine::trail::{self, Trail};

/// How long a fetch goes on without a head and without anybody who waits for it.
const ALONE_MOST: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Task {
    ctx: Arc<Context>,
    fill: Arc<Fill>,
    plan: Plan<Arc<SharedBody>>,
    asker: Asker,
    /// Whether to send the stale copy's validators; not again after they led nowhere.
    conditional: bool,
    transfer: Option<Transfer>,
    /// What is asked of the origin of an object that may be large.
    asking: Asking,
    /// What broke off before and the origin is being asked to complete.
    beginning: Option<Beginning>,
    /// Where the bytes come from at the moment.
    drawing: Drawing,
    /// The peer that sent bytes last.
    fed_by: Option<SocketAddr>,
    /// At which level of the index each peer was found.
    levels: index::Levels,
    trail: Trail,
    /// What was waited for before the act under way, and for whom it waits since when.
    waited: Timing,
    waiting: (Option<Waited>, Moment),
    /// What it did, for whoever looks at its trace.
    story: Box<Story>,
}

/// What an act led to.
enum Step {
    /// Go on with this.
    News(News),
    /// The fill is over.
    Over,
}

impl Task {
    pub(crate) fn new(
        ctx: Arc<Context>,
        fill: Arc<Fill>,
        plan: Plan<Arc<SharedBody>>,
        asker: Asker,
    ) -> Self {
        // The answer to a HEAD tells of a copy here without being asked for a comparison.
        let conditional = plan.shared;
        let story = Box::new(Story::new(asker.track, ctx.now()));
        Self {
            story,
            ctx,
            fill,
            plan,
            asker,
            conditional,
            transfer: None,
            asking: Asking::Undecided,
            beginning: None,
            drawing: Drawing::Seeking,
            fed_by: None,
            levels: index::Levels::new(),
            trail: Trail::default(),
            waited: Timing::default(),
            waiting: (None, Moment::ZERO),
        }
    }

    /// Runs the fill to its end.
    pub(crate) async fn run(&mut self) {
        let stale_here = self.may_stand_in();
        let ask_index = self.plan.shared && self.ctx.index.is_some() && !self.must_reach_origin();
        let (mut pursuit, mut act) = Pursuit::begin(ask_index, stale_here);
        while let Step::News(news) = self.carry_out_if_wanted(act).await {
            act = pursuit.next(news);
        }
    }

    /// Carries an act out, unless everybody leaves before there is a head to show. From then on the
    /// transfer decides what is worth finishing.
    async fn carry_out_if_wanted(&mut self, act: Act) -> Step {
        let (ctx, fill) = (Arc::clone(&self.ctx), Arc::clone(&self.fill));
        let (key, plan) = (self.asker.key.clone(), (self.plan.id, self.plan.shared));
        tokio::select! {
            biased;
            step = self.carry_out(act) => return step,
            () = given_up(&ctx, &fill, &key, plan) => {}
        }
        self.fail(FailReason::Abandoned)
    }

    /// Whether the client insists on validation: another proxy's copy is a copy like ours (RFC 9111
    /// §5.2.1.4). Or another proxy's is known to be old.
    fn must_reach_origin(&self) -> bool {
        let by_request = matches!(self.plan.miss, Miss::Stale(why) if why.is_request());
        let (ctx, key) = (&self.ctx, &self.asker.key);
        by_request
            || RequestDirectives::of(&self.asker.headers).no_cache
            || ctx.flow().has_changed_lately(ctx.now(), key)
    }

    async fn carry_out(&mut self, act: Act) -> Step {
        self.waited = self.timing();
        let now = self.ctx.now();
        self.waiting = (waiting_for(act), now);
        self.story
            .begin(&self.ctx.traces, now, act, &self.asker.key);
        let step = self.perform(act).await;
        let news = match &step {
            Step::News(news) => Some(news),
            Step::Over => None,
        };
        self.story.end(&self.ctx.traces, self.ctx.now(), news);
        step
    }

    async fn perform(&mut self, act: Act) -> Step {
        match act {
            // Boxed, or every fetch would hold the room of whichever is largest.
            Act::AskIndex => Box::pin(self.ask_index()).await,
            Act::TakeOver => Box::pin(self.take_over()).await,
            Act::Reach(first, second) => Box::pin(self.reach(first, second)).await,
            Act::Peer { peer, stale } => Box::pin(self.ask_peer(peer, stale)).await,
            Act::Origin => self.ask_origin().await,
            Act::StaleHere(reason) => self.stale_here(reason),
            Act::Fail(reason) => self.fail(reason),
        }
    }

    /// What was waited for so far.
    fn timing(&self) -> Timing {
        let (whom, since) = self.waiting;
        whom.map_or(self.waited, |whom| {
            self.waited.and(whom, self.ctx.now().since(since))
        })
    }

    /// From now on the bytes come from there. Said before anybody is asked, so that no two proxies
    /// can end up waiting for each other.
    fn draw(&mut self, from: Drawing) {
        self.drawing = from;
        self.fill.draw(from);
    }

    // ---- sources

    async fn ask_index(&mut self) -> Step {
        self.draw(Drawing::Seeking);
        let trace = self.story.context_for_index();
        let (news, levels) = index::locate(&self.ctx, &self.asker.key, trace).await;
        self.levels.extend(levels);
        Step::News(news)
    }

    async fn take_over(&mut self) -> Step {
        self.draw(Drawing::Seeking);
        let Some(source) = self.fed_by else {
            return Step::News(News::NoIndex);
        };
        let (news, levels) = index::take_over(&self.ctx, &self.asker.key, source).await;
        self.levels.extend(levels);
        if let Some(step) = trail::Step::of_index(&news) {
            self.trail.push(step);
        }
        Step::News(news)
    }

    async fn reach(&mut self, first: SocketAddr, second: SocketAddr) -> Step {
        let reached = match self.ctx.client.reach(first, second).await {
            Ok(peer) => Some(peer),
            Err(failures) => {
                for (peer, reason) in [first, second].into_iter().zip(failures) {
                    self.peer_failed(peer, reason);
                }
                None
            }
        };
        Step::News(News::Reached(reached))
    }

    fn peer_failed(&mut self, peer: SocketAddr, reason: FailReason) {
        self.ctx.metrics.fetch_failed(reason);
        let (now, key) = (self.ctx.now(), &self.asker.key);
        let mut flow = self.ctx.flow();
        flow.peer_failed(now, peer, reason);
        flow.note_failure(now, key, reason);
        drop(flow);
        self.trail.push(trail::Step::Peer(reason));
    }

    async fn ask_peer(&mut self, peer: SocketAddr, stale: bool) -> Step {
        self.draw(Drawing::Peer(peer));
        let offset = self.transfer.as_ref().map_or(0, Transfer::offset);
        let trace = self.story.context();
        let wish = peer::Wish {
            stale,
            offset,
            trace,
        };
        self.ctx.metrics.fetch("peer");
        match peer::ask(&self.ctx, peer, &self.asker, wish).await {
            Ok(found) if self.was_purged(&found.upstream, stale) => {
                tokio::spawn(found.upstream.body.discard());
                self.trail.push(trail::Step::Peer(FailReason::PeerRefused));
                Step::News(News::PeerFailed { instead: None })
            }
            Ok(found) if found.sliced.is_some() => self.take_manifest(found, peer),
            Ok(found) => {
                self.story.headed(self.ctx.now());
                let promise = peer::promise(&found.upstream.head.headers);
                let level = self.levels.iter().find(|(addr, _)| *addr == peer);
                let word = peers::word_of(level.map(|(_, level)| *level));
                let source = Source::Peer(word, found.members);
                let (upstream, length) = (found.upstream, found.length);
                // What was here before may be what is wrong: only a whole is one peer's doing.
                let blamed = Some(peer).filter(|_| self.transfer.is_none());
                self.fed_by = Some(peer);
                let taken = self
                    .receive(upstream, source, offset, length, promise)
                    .await;
                self.conclude(taken, blamed)
            }
            Err(refusal) => {
                self.peer_failed(peer, refusal.reason);
                Step::News(News::PeerFailed {
                    instead: refusal.instead,
                })
            }
        }
    }

    async fn ask_origin(&mut self) -> Step {
        let key = self.asker.key.clone();
        // Held until the body is here, or the attempt over.
        let slot = match self.ctx.shares.slot(&key).await {
            Ok(slot) => slot,
            Err(reason) => {
                self.ctx.metrics.fetch_failed(reason);
                self.trail.push(trail::Step::Origin(reason));
                return Step::News(self.failure(reason));
            }
        };
        let gate = self.ctx.flow().pass_gate(self.ctx.now(), &key);
        if let Err((left, reason)) = gate {
            self.trail.push(trail::Step::Spared(reason, left));
            return Step::News(self.failure(reason));
        }
        self.draw(Drawing::Origin);
        self.say_that_we_fetch();
        self.forget_purged();
        self.look_for_beginning();
        self.decide_what_to_ask();
        let headers = self.origin_request();
        self.ctx.metrics.fetch("origin");
        let (client, method) = (Arc::clone(&self.ctx.client), self.asker.method.clone());
        let to = Destination::Origin(key.clone());
        let question = Question {
            method: &method,
            target: key.path_and_query(),
            headers: &headers,
            hints: self.asker.hints.as_ref(),
        };
        let mut upstream = match client.send(&to, question).await {
            Ok(upstream) => upstream,
            Err(reason) => return self.origin_failed(reason),
        };
        self.ctx.flow().origin_answered(&key);
        self.story.headed(self.ctx.now());
        peer::strip(&mut upstream.head.headers);
        if let Some(beginning) = self.beginning.take() {
            upstream = match Box::pin(self.go_on_from(beginning, upstream)).await {
                Ok(step) => return step,
                Err(other) => other,
            };
        }
        match self.size_up(&upstream) {
            Size::Large(large, bytes) => return self.cut(upstream, (large, bytes), slot),
            Size::NoUse => return self.ask_for_all(upstream),
            Size::Ordinary => {}
        }
        let taken = self.take_answer(upstream).await;
        drop(slot);
        taken
    }

    /// Takes the origin's answer, which is not one with a large object.
    async fn take_answer(&mut self, mut upstream: Box<Upstream>) -> Step {
        match upstream.head.status {
            StatusCode::NOT_MODIFIED if self.transfer.is_none() => self.not_modified(upstream),
            status if status.is_server_error() && self.may_stand_in() => {
                tokio::spawn(upstream.body.discard());
                Step::News(News::OriginFailed(FailReason::ServerError(status)))
            }
            StatusCode::PARTIAL_CONTENT if self.transfer.is_none() => {
                let head = &mut upstream.head;
                match part::as_whole(&mut head.status, &mut head.headers) {
                    Ok(length) => self.take_from_origin(upstream, Some(length)).await,
                    Err(why) => self.origin_failed(FailReason::Unclear(why)),
                }
            }
            status => {
                if self.asker.method == Method::HEAD && status == StatusCode::OK {
                    self.freshen_by_head(&upstream);
                }
                let announced = content_length(&upstream.head.headers);
                self.take_from_origin(upstream, announced).await
            }
        }
    }

    async fn take_from_origin(&mut self, upstream: Box<Upstream>, announced: Option<u64>) -> Step {
        let taken = self.receive(upstream, Source::Origin, 0, announced, Promise::None);
        let taken = taken.await;
        self.conclude(taken, None)
    }

    /// Those whom the index named had nothing, or nobody asked it: without a word of ours, everyone
    /// who finds the same dead pointers fetches as well.
    fn say_that_we_fetch(&self) {
        let (ctx, key) = (&self.ctx, &self.asker.key);
        if self.plan.shared && ctx.index.is_some() && !ctx.flow().ledger().has(key) {
            index::announce(ctx, key, Progress::Fetching, LEASE);
        }
    }

    fn origin_request(&self) -> HeaderMap {
        let key = &self.asker.key;
        // A key is made of checked names and digits only.
        let host = HeaderValue::from_str(key.authority()).unwrap_or(HeaderValue::from_static(""));
        let mut headers = hop::to_origin(
            &self.asker.headers,
            self.asker.version,
            host,
            &self.ctx.identity,
        );
        if let Some(transfer) = &self.transfer {
            transfer.ask_for_rest(&mut headers);
        } else if let Asking::Part(range) = &self.asking {
            headers.insert(RANGE, range.clone());
            if let Some(stale) = self.plan.stale.as_ref().filter(|_| self.conditional) {
                conditional::add_validators(&stale.headers(), &mut headers);
            }
        } else if let Some(Beginning { object, splice }) = &self.beginning {
            splice.ask_for_rest(&object.headers(), &mut headers);
        } else if let Some(stale) = self.plan.stale.as_ref().filter(|_| self.conditional) {
            conditional::add_validators(&stale.headers(), &mut headers);
        }
        headers
    }

    fn origin_failed(&mut self, reason: FailReason) -> Step {
        self.trail.push(trail::Step::Origin(reason));
        let (ctx, key) = (&self.ctx, &self.asker.key);
        tracing::debug!(url = %key, reason = reason.as_str(), "the origin failed");
        ctx.metrics.fetch_failed(reason);
        ctx.flow().origin_failed(ctx.now(), key, reason);
        Step::News(self.failure(reason))
    }

    /// What a failure of the origin means: the end of an attempt, or a break in the middle.
    const fn failure(&self, reason: FailReason) -> News {
        match self.transfer {
            Some(_) => News::BodyBroke(reason),
            None => News::OriginFailed(reason),
        }
    }

    /// Whether the copy here is a better answer than an error: not once another is being shown.
    fn may_stand_in(&self) -> bool {
        let Some(stale) = self.plan.stale.as_ref().filter(|_| self.transfer.is_none()) else {
            return false;
        };
        self.ctx
            .flow()
            .may_stand_in(self.ctx.now(), stale, &self.asker.headers)
    }
}

const fn waiting_for(act: Act) -> Option<Waited> {
    match act {
        Act::AskIndex | Act::TakeOver => Some(Waited::Index),
        Act::Reach(..) | Act::Peer { .. } => Some(Waited::Peers),
        Act::Origin => Some(Waited::Origin),
        Act::StaleHere(_) | Act::Fail(_) => None,
    }
}

/// Waits until a fill without a head has been alone for longer than is borne. Then nobody can join
/// it any more.
pub(super) async fn given_up(
    ctx: &Context,
    fill: &Fill,
    key: &PrimaryKey,
    (id, shared): (FillId, bool),
) {
    loop {
        fill.deserted().await;
        if shared {
            // Somebody who reloads, or the next of a crowd, finds it under way.
            sleep(ALONE_MOST).await;
        }
        if fill.is_headed() {
            return std::future::pending().await;
        }
        if ctx.ended_unwatched(fill, key, id) {
            return;
        }
    }
}

/// However a task ends, also by a panic: nobody waits for it or is turned away because of it.
impl Drop for Task {
    fn drop(&mut self) {
        self.story.close(&self.ctx.traces, self.ctx.now());
        self.ctx.flow().over(&self.asker.key, self.plan.id);
        self.fill.give_up();
    }
}
