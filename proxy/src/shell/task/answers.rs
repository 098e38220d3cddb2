//! What becomes of an answer: shown, shared or not, kept, or given up.
//!
//! Nothing is kept before its last byte is here and right, and what is kept is kept in one step with
//! the fill's end.

use std::net::SocketAddr;
use std::sync::Arc;

use common::clock::WallTime;
use http::Method;

use super::{Step, Task};
use crate::engine::drawing::Drawing;
use crate::engine::http::control::Directives;
use crate::engine::http::store::{self, Exchange, NoStoreReason};
use crate::engine::http::{conditional, fresh};
use crate::engine::lenient::Unclear;
use crate::engine::purge::Fate;
use crate::engine::pursuit::News;
use crate::engine::reason::FailReason;
use crate::engine::splice::{Intake, Promise, Splice};
use crate::engine::store::object::{Object, Received};
use crate::shell::body::SharedBody;
use crate::shell::fill::{Failure, Headed, Response, Source, Stage};
use crate::shell::transfer::{Incoming, Transfer};
use crate::shell::upstream::{Head, Upstream};
use crate::shell::{index, peer};

impl Task {
    /// Takes an answer: its head, unless one is being shown already, and its body. A peer's answer
    /// begins at `offset`.
    pub(super) async fn receive(
        &mut self,
        upstream: Box<Upstream>,
        source: Source,
        offset: u64,
        announced: Option<u64>,
        promise: Promise,
    ) -> Result<(), FailReason> {
        let head = &upstream.head;
        let from_peer = matches!(source, Source::Peer(..));
        let intake = match &self.transfer {
            Some(known) if from_peer => known.join(head, offset, announced, promise)?,
            Some(known) => known.join_origin(head)?,
            None => {
                self.show_head(&upstream, source, announced)?;
                Splice::first(promise)
            }
        };
        self.take_body(upstream, intake, from_peer).await
    }

    /// Takes the body of an answer, which joins on as `intake` says.
    pub(super) async fn take_body(
        &mut self,
        mut upstream: Box<Upstream>,
        intake: Intake,
        from_peer: bool,
    ) -> Result<(), FailReason> {
        let Some(transfer) = &mut self.transfer else {
            return Err(FailReason::Malformed);
        };
        let label = if from_peer { "peer" } else { "origin" };
        let (ctx, fill) = (&self.ctx, &self.fill);
        let (key, id) = (&self.asker.key, self.plan.id);
        let unwanted = || ctx.ended_unwatched(fill, key, id);
        let from = Incoming {
            label,
            body: &mut upstream.body,
            intake,
        };
        transfer.take(ctx, from, fill, unwanted).await
    }

    /// Publishes an answer's head: from here on readers follow its body.
    fn show_head(
        &mut self,
        upstream: &Upstream,
        source: Source,
        announced: Option<u64>,
    ) -> Result<(), FailReason> {
        let (ctx, key) = (&self.ctx, &self.asker.key);
        let received = received(upstream);
        let directives = Directives::of(&upstream.head.headers);
        let shared = self.may_share(&upstream.head, upstream.wall, &directives);
        let keep = self.plan.shared && shared.is_ok();
        let bodiless = self.asker.method == Method::HEAD;
        let announced = announced.filter(|_| !bodiless);
        let spill = keep.then(|| ctx.spill.clone());
        // What may not go to disk would have to be in memory, at its client's pace.
        if spill.is_none() && !bodiless && announced != Some(0) && ctx.room.is_short() {
            return Err(FailReason::NoMemory);
        }
        let (body, writer) = SharedBody::new(announced, spill, &ctx.room);
        let mut headers = store::stored_headers(received.headers, &directives, upstream.wall);
        peer::strip(&mut headers);
        let policy = ctx.flow().policy().clone();
        let request = &self.asker.headers;
        let object = Object::new(key.clone(), &received, &headers, request, &policy, body);
        let object = Arc::new(object);
        if self.plan.shared {
            self.share_or_not(&object, shared);
        }
        let splice = Splice::new(announced, keep);
        self.transfer = Some(Transfer::new(Arc::clone(&object), writer, splice));
        let drawing = self.drawing;
        self.fill.reach(Stage::Headed(Headed {
            object,
            source,
            shared,
            drawing,
            timing: self.timing(),
        }));
        Ok(())
    }

    pub(super) fn may_share(
        &self,
        head: &Head,
        wall: WallTime,
        directives: &Directives,
    ) -> Result<(), NoStoreReason> {
        let ctx = &self.ctx;
        let (heat, policy) = {
            let flow = ctx.flow();
            (flow.heat(ctx.now(), &self.asker.key), flow.policy().clone())
        };
        let lifetime = fresh::lifetime(&head.headers, head.status, directives, wall, &policy, heat);
        let exchange = Exchange {
            method: &self.asker.method,
            request: &self.asker.headers,
            status: head.status,
            response: &head.headers,
        };
        store::may_store(&exchange, directives, lifetime)?;
        if head.doubtful {
            return Err(NoStoreReason::Doubtful);
        }
        Ok(())
    }

    /// Lets others join, or sees to it that nobody does.
    pub(super) fn share_or_not(&self, object: &Arc<Response>, shared: Result<(), NoStoreReason>) {
        let (ctx, key) = (&self.ctx, &self.asker.key);
        let now = ctx.now();
        let Err(reason) = shared else {
            return ctx.flow().headed(key, self.plan.id, object);
        };
        let had_pointer = {
            let mut flow = ctx.flow();
            let error = object.status.is_client_error() || object.status.is_server_error();
            if !error {
                flow.not_shareable(now, key, reason);
            }
            flow.ended(key, self.plan.id);
            flow.ledger().gone(key)
        };
        if had_pointer {
            index::withdraw(ctx, key);
        }
    }

    /// Whether a peer's answer was purged here, of which that peer has not heard yet.
    pub(super) fn was_purged(&self, upstream: &Upstream, stale: bool) -> bool {
        let fate = self.ctx.flow().fate(&self.asker.key, &received(upstream));
        fate == Fate::Gone || (fate == Fate::Stale && !stale)
    }

    /// The origin confirmed the copy that is here.
    pub(super) fn not_modified(&mut self, upstream: Box<Upstream>) -> Step {
        let Some(stale) = self.plan.stale.clone().filter(|_| self.conditional) else {
            return self.origin_failed(FailReason::Unclear(Unclear::NotModified));
        };
        if conditional::confirms(&upstream.head.headers, &stale.headers()).is_err() {
            tokio::spawn(upstream.body.discard());
            // It confirms something else: ask again for the thing itself.
            self.conditional = false;
            return Step::News(News::Unconfirmed);
        }
        if self.forget_purged() {
            tokio::spawn(upstream.body.discard());
            return Step::News(News::Unconfirmed);
        }
        let object = self.confirm(&stale, &upstream);
        tokio::spawn(upstream.body.discard());
        let shared = self.may_go_on_sharing(&object);
        if shared.is_ok() {
            self.keep(&object, || {});
            self.ctx.flow().beginnings().remove(&self.asker.key);
        } else {
            self.ctx.flow().forget(&self.asker.key);
            self.share_or_not(&object, shared);
        }
        self.fill.reach(Stage::Headed(Headed {
            object,
            source: Source::Revalidated,
            shared,
            drawing: Drawing::Origin,
            timing: self.timing(),
        }));
        Step::Over
    }

    /// What was here when this fetch began is of no use any more if it was purged since. Whether it was.
    pub(super) fn forget_purged(&mut self) -> bool {
        let stale = self.plan.stale.as_ref();
        let purged = stale.is_some_and(|stale| self.ctx.flow().is_purged(stale));
        if purged {
            self.plan.stale = None;
            self.conditional = false;
        }
        purged
    }

    /// What is here after `upstream` said that it is still right.
    fn confirm(&self, stored: &Response, upstream: &Upstream) -> Arc<Response> {
        let mut headers = stored.headers();
        conditional::merge(&mut headers, &upstream.head.headers, upstream.wall);
        let policy = self.ctx.flow().policy().clone();
        stored.confirmed(&received(upstream), &headers, &self.asker.headers, &policy)
    }

    /// What the answer to a HEAD says of the copy here: still right, or to be validated before it is
    /// used again (RFC 9111 §4.3.5).
    pub(super) fn freshen_by_head(&self, upstream: &Upstream) {
        // A GET may have replaced it meanwhile, or a purge removed it.
        let Some(stored) = &self.plan.stale else {
            return;
        };
        if !self.ctx.flow().is_kept(stored) {
            return;
        }
        let (head, length) = (&upstream.head.headers, stored.body.length());
        let object = if conditional::head_confirms(head, &stored.headers(), length) {
            self.confirm(stored, upstream)
        } else {
            stored.outdated()
        };
        if self.may_go_on_sharing(&object).is_ok() {
            self.keep(&object, || {});
        } else {
            self.ctx.flow().forget(&self.asker.key);
        }
    }

    /// Whether what a 304 says still allows to keep what it confirms. How this client asked does not
    /// matter: the copy was there before.
    pub(super) fn may_go_on_sharing(&self, object: &Response) -> Result<(), NoStoreReason> {
        let ctx = &self.ctx;
        let heat = ctx.flow().heat(ctx.now(), &self.asker.key);
        let headers = object.headers();
        let exchange = Exchange {
            method: &Method::GET,
            request: &self.asker.headers,
            status: object.status,
            response: &headers,
        };
        match store::may_store(&exchange, &Directives::of(&headers), object.lifetime(heat)) {
            Err(reason) if reason.is_lasting() => Err(reason),
            _ => Ok(()),
        }
    }

    // ---- ends

    /// After a body: keep it, or go on elsewhere.
    pub(super) fn conclude(
        &mut self,
        taken: Result<(), FailReason>,
        peer: Option<SocketAddr>,
    ) -> Step {
        let Err(reason) = taken else {
            return self.whole();
        };
        let (ctx, key) = (&self.ctx, &self.asker.key);
        tracing::debug!(url = %key, reason = reason.as_str(), "a body broke off");
        ctx.metrics.fetch_failed(reason);
        if let Some(peer) = peer {
            ctx.flow().peer_failed(ctx.now(), peer, reason);
        }
        if matches!(
            reason,
            FailReason::Abandoned | FailReason::Digest | FailReason::NoMemory
        ) {
            // Nobody waits; what readers have been given is not what it should be; or it is not the
            // source that lacks something.
            return self.fail(reason);
        }
        Step::News(News::BodyBroke(reason))
    }

    fn whole(&mut self) -> Step {
        if let Some(transfer) = self.transfer.take() {
            let object = Arc::clone(&transfer.object);
            if self.plan.shared && self.fill.is_shared() {
                self.keep(&object, || transfer.finish());
                self.ctx.flow().beginnings().remove(&self.asker.key);
            } else {
                transfer.finish();
            }
            object.body.compact();
        }
        Step::Over
    }

    /// Stores a whole object and tells the index. `finish` shows its last byte: in the same step, so
    /// that whoever asks again after it finds the copy and not the fill.
    pub(super) fn keep(&self, object: &Arc<Response>, finish: impl FnOnce()) {
        let (ctx, key) = (&self.ctx, &self.asker.key);
        let (life, gone, shelving, weight) = {
            let mut flow = ctx.flow();
            finish();
            flow.ended(key, self.plan.id);
            let Some(weight) = object.body.weight() else {
                return;
            };
            if let Some(stale) = &self.plan.stale {
                flow.superseded(stale, object);
            }
            let now = ctx.now();
            let (life, gone) = flow.keep(now, Arc::clone(object), weight);
            (life, gone, flow.shelve(now, object, weight), weight)
        };
        ctx.shelve(object, shelving, weight);
        match (life, index::progress_of(&object.body)) {
            (Some(life), Some(progress)) => index::announce(ctx, key, progress, life),
            _ if ctx.flow().ledger().gone(key) => index::withdraw(ctx, key),
            _ => {}
        }
        for key in gone {
            index::withdraw(ctx, &key);
        }
    }

    pub(super) fn stale_here(&mut self, reason: FailReason) -> Step {
        let Some(object) = self.plan.stale.clone() else {
            return self.fail_plainly(reason);
        };
        let source = Source::Stale(reason);
        self.withdraw_claim();
        self.fill.reach(Stage::Headed(Headed {
            object,
            source,
            shared: Ok(()),
            drawing: Drawing::Origin,
            timing: self.timing(),
        }));
        Step::Over
    }

    pub(super) fn fail(&mut self, reason: FailReason) -> Step {
        self.story.failed(reason);
        if let Some(transfer) = self.transfer.take() {
            // Deregistered first: who comes now starts anew, or where this one broke off.
            self.ctx.flow().ended(&self.asker.key, self.plan.id);
            let broken = transfer.break_off(reason);
            self.keep_beginning(broken, reason);
            self.withdraw_claim();
            return Step::Over;
        }
        self.fail_plainly(reason)
    }

    fn fail_plainly(&mut self, reason: FailReason) -> Step {
        self.withdraw_claim();
        // Deregistered first: who comes now starts anew and does not get this old failure.
        self.ctx.flow().ended(&self.asker.key, self.plan.id);
        let trail = Arc::new(std::mem::take(&mut self.trail));
        self.fill.reach(Stage::Failed(Failure { reason, trail }));
        Step::Over
    }

    /// A claim must not outlive a fetch that failed: others would wait for nobody.
    fn withdraw_claim(&self) {
        let (ctx, key) = (&self.ctx, &self.asker.key);
        if self.plan.shared && ctx.flow().ledger().gone(key) {
            index::withdraw(ctx, key);
        }
    }
}

pub(super) const fn received(upstream: &Upstream) -> Received<'_> {
    Received {
        status: upstream.head.status,
        headers: &upstream.head.headers,
        at: upstream.at,
        wall: upstream.wall,
        delay: upstream.delay,
    }
}
