//! The task that fetches one slice: carries a [quest](crate::engine::slices::quest)'s acts out.
//!
//! Whole bodies have a task of their own ([`task`](crate::shell::task)): theirs begin with a head that decides
//! about sharing, validation and what stands in, all of which has been decided for a slice's manifest.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, IF_RANGE, RANGE};

use super::Large;
use super::keep::{Arrival, as_slice};
use crate::engine::drawing::Drawing;
use crate::engine::flow::FillId;
use crate::engine::http::key::{Portion, PrimaryKey};
use crate::engine::http::server_timing::Timing;
use crate::engine::http::{conditional, hop, range};
use crate::engine::peers;
use crate::engine::reason::FailReason;
use crate::engine::slices::quest::{Act, News, Quest};
use crate::engine::slices::{answer, bytes_of, extent};
use crate::engine::splice::{Intake, Promise, Splice};
use crate::shell::fill::{Asker, Failure, Fill, Headed, Source, Stage};
use crate::shell::task::given_up;
use crate::shell::transfer::{Incoming, Transfer, content_length};
use crate::shell::upstream::{Destination, Question, Upstream};
use crate::shell::{index, peer};

/// Starts fetching slice `n` for `fill`.
pub(super) fn start(large: Large, fill: Arc<Fill>, id: FillId, n: u64) {
    let asker = large.asker(n);
    let fetch = Fetch {
        large,
        fill,
        id,
        n,
        asker,
        drawing: Drawing::Seeking,
        transfer: None,
        levels: index::Levels::new(),
    };
    tokio::spawn(fetch.run());
}

struct Fetch {
    large: Large,
    fill: Arc<Fill>,
    id: FillId,
    n: u64,
    asker: Asker,
    /// Where the bytes come from at the moment.
    drawing: Drawing,
    transfer: Option<Transfer>,
    levels: index::Levels,
}

/// What an act led to.
enum Step {
    News(News),
    Over,
}

impl Fetch {
    async fn run(mut self) {
        let (mut quest, mut act) = Quest::begin(self.large.ctx.index.is_some());
        while let Step::News(news) = self.carry_out_if_wanted(act).await {
            act = quest.next(news);
        }
    }

    /// Carries an act out, unless everybody leaves before there is anything to show.
    async fn carry_out_if_wanted(&mut self, act: Act) -> Step {
        let (ctx, fill) = (Arc::clone(&self.large.ctx), Arc::clone(&self.fill));
        let (key, id) = (self.asker.key.clone(), self.id);
        tokio::select! {
            biased;
            step = self.carry_out(act) => return step,
            () = given_up(&ctx, &fill, &key, (id, false)) => {}
        }
        self.fail(FailReason::Abandoned)
    }

    /// From now on the bytes come from there; said before anybody is asked.
    fn draw(&mut self, from: Drawing) {
        self.drawing = from;
        self.fill.draw(from);
    }

    async fn carry_out(&mut self, act: Act) -> Step {
        match act {
            Act::AskIndex => Step::News(News::Located(self.locate().await)),
            Act::Peer(peer) => self.ask_peer(peer).await,
            Act::Origin => self.ask_origin().await,
            Act::Fail(reason) => self.fail(reason),
        }
    }

    /// Who has it, or may.
    async fn locate(&mut self) -> Vec<SocketAddr> {
        self.draw(Drawing::Seeking);
        let ctx = &self.large.ctx;
        let manifest = &self.large.manifest;
        let extent = Portion::Extent(extent::of(self.n));
        let extent = manifest.key.portion(&manifest.tag, extent);
        let cell = ctx.extents.located(ctx, &extent);
        let found = cell
            .get_or_init(|| index::locate_extent(ctx, &extent))
            .await;
        self.levels = found.1.clone();
        let giver = ctx.extents.giver(ctx, &manifest.key);
        extent::holders(self.n, &found.0, giver)
    }

    async fn ask_peer(&mut self, peer: SocketAddr) -> Step {
        self.draw(Drawing::Peer(peer));
        let offset = self.transfer.as_ref().map_or(0, Transfer::received);
        let ctx = Arc::clone(&self.large.ctx);
        ctx.metrics.fetch("peer");
        let wish = peer::Wish {
            trace: None,
            stale: true,
            offset,
        };
        let found = match peer::ask(&ctx, peer, &self.asker, wish).await {
            Ok(found) => found,
            Err(refusal) => return self.peer_failed(peer, refusal.reason),
        };
        let level = self.levels.iter().find(|(addr, _)| *addr == peer);
        let word = peers::word_of(level.map(|(_, level)| *level));
        let source = Source::Peer(word, found.members);
        let promise = peer::promise(&found.upstream.head.headers);
        let is_it = conditional::same_representation(
            &self.large.known.headers(),
            &found.upstream.head.headers,
        );
        let of = bytes_of(self.n, self.large.total());
        if !is_it || found.length != Some(of.end - of.start) {
            tokio::spawn(found.upstream.body.discard());
            return self.peer_failed(peer, FailReason::Malformed);
        }
        let whole = self.transfer.is_none();
        match self.receive(found.upstream, source, offset, promise).await {
            Ok(()) => {
                let key = &self.large.manifest.key;
                if ctx.extents.giver(&ctx, key) == Some(peer) {
                    ctx.extents.given(&ctx, key, peer);
                }
                self.whole()
            }
            // What was here before may be what is wrong: only a whole is one peer's doing.
            Err(reason) if !whole && reason == FailReason::Digest => self.fail(reason),
            Err(reason) if matches!(reason, FailReason::Digest | FailReason::Abandoned) => {
                self.peer_failed(peer, reason);
                self.fail(reason)
            }
            Err(reason) => self.peer_failed(peer, reason),
        }
    }

    fn peer_failed(&self, peer: SocketAddr, reason: FailReason) -> Step {
        let ctx = &self.large.ctx;
        ctx.metrics.fetch_failed(reason);
        ctx.flow().peer_failed(ctx.now(), peer, reason);
        Step::News(News::PeerFailed)
    }

    async fn ask_origin(&mut self) -> Step {
        let (ctx, key) = (Arc::clone(&self.large.ctx), self.asker.key.clone());
        // Held until the slice is here, or the attempt over.
        let _slot = match ctx.shares.slot(&key).await {
            Ok(slot) => slot,
            Err(reason) => return self.failed(reason),
        };
        let gate = ctx.flow().pass_gate(ctx.now(), &key);
        if let Err((_, reason)) = gate {
            return self.failed(reason);
        }
        self.draw(Drawing::Origin);
        match self.fetch_from_origin(&key).await {
            Ok(()) => self.whole(),
            Err(reason @ (FailReason::Abandoned | FailReason::NoMemory)) => self.fail(reason),
            Err(reason) => self.failed(reason),
        }
    }

    async fn fetch_from_origin(&mut self, key: &PrimaryKey) -> Result<(), FailReason> {
        let ctx = Arc::clone(&self.large.ctx);
        let offset = self.transfer.as_ref().map_or(0, Transfer::received);
        let of = bytes_of(self.n, self.large.total());
        let wanted = of.start + offset..of.end;
        let headers = self.origin_request(&wanted);
        ctx.metrics.fetch("origin");
        let question = Question {
            method: &self.asker.method,
            target: key.path_and_query(),
            headers: &headers,
            hints: None,
        };
        let to = Destination::Origin(key.clone());
        let mut upstream = ctx.client.send(&to, question).await?;
        ctx.flow().origin_answered(key);
        peer::strip(&mut upstream.head.headers);
        let (head, large) = (&upstream.head, &self.large);
        let known = &large.known.headers();
        let judged = answer::judge(&large.manifest, known, &wanted, head.status, &head.headers);
        if let Err(reason) = judged {
            // The rest of a whole is not waited for.
            if content_length(&head.headers).is_some_and(|length| length <= 65_536) {
                tokio::spawn(upstream.body.discard());
            }
            return Err(reason);
        }
        self.receive(upstream, Source::Origin, offset, Promise::None)
            .await
    }

    fn origin_request(&self, wanted: &std::ops::Range<u64>) -> HeaderMap {
        let (large, key) = (&self.large, &self.asker.key);
        // A key is made of checked names and digits only.
        let host = HeaderValue::from_str(key.authority()).unwrap_or(HeaderValue::from_static(""));
        let identity = &large.ctx.identity;
        let mut headers = hop::to_origin(&self.asker.headers, self.asker.version, host, identity);
        headers.insert(RANGE, range::exactly(wanted));
        headers.insert(IF_RANGE, large.manifest.validator.clone());
        headers
    }

    /// The origin failed.
    fn failed(&self, reason: FailReason) -> Step {
        let (ctx, key) = (&self.large.ctx, &self.asker.key);
        tracing::debug!(url = %key, reason = reason.as_str(), "a slice could not be fetched");
        ctx.metrics.fetch_failed(reason);
        let mut flow = ctx.flow();
        flow.origin_failed(ctx.now(), key, reason);
        match reason {
            FailReason::Changed => flow.has_changed(ctx.now(), &self.large.known),
            FailReason::RangeIgnored => flow.ignores_ranges(ctx.now(), &self.large.known),
            _ => {}
        }
        Step::News(News::OriginFailed(reason))
    }

    /// Takes an answer's body, which begins at `offset` of the slice; shows the slice's head first, unless
    /// that was done.
    async fn receive(
        &mut self,
        mut upstream: Box<Upstream>,
        source: Source,
        offset: u64,
        promise: Promise,
    ) -> Result<(), FailReason> {
        let label = match source {
            Source::Peer(..) => "peer",
            _ => "origin",
        };
        let intake = match &self.transfer {
            None => {
                self.show(&upstream, source);
                Splice::first(promise)
            }
            Some(transfer) => {
                upstream.head = as_slice(upstream.head);
                self.join(transfer, &upstream, offset, promise)?
            }
        };
        let (ctx, fill, id) = (&self.large.ctx, &self.fill, self.id);
        let key = &self.asker.key;
        let Some(transfer) = &mut self.transfer else {
            return Err(FailReason::Malformed);
        };
        let from = Incoming {
            label,
            body: &mut upstream.body,
            intake,
        };
        let unwanted = || ctx.ended_unwatched(fill, key, id);
        transfer.take(ctx, from, fill, unwanted).await
    }

    fn join(
        &self,
        transfer: &Transfer,
        upstream: &Upstream,
        offset: u64,
        promise: Promise,
    ) -> Result<Intake, FailReason> {
        let of = bytes_of(self.n, self.large.total());
        transfer.join(&upstream.head, offset, Some(of.end - of.start), promise)
    }

    /// From here on readers follow.
    fn show(&mut self, upstream: &Upstream, source: Source) {
        let (large, arrival) = (&self.large, Arrival::of(upstream));
        let (slice, writer) = large.empty_slice(self.n, &upstream.head.headers, arrival);
        let splice = Splice::new(slice.body.length(), true);
        self.transfer = Some(Transfer::new(Arc::clone(&slice), writer, splice));
        large.ctx.flow().headed(&slice.key, self.id, &slice);
        self.fill.reach(Stage::Headed(Headed {
            object: slice,
            source,
            shared: Ok(()),
            drawing: self.drawing,
            timing: Timing::default(),
        }));
    }

    fn whole(&mut self) -> Step {
        if let Some(transfer) = self.transfer.take() {
            let slice = Arc::clone(&transfer.object);
            let (writer, end) = transfer.into_parts();
            self.large.keep(&slice, self.id, writer, end);
        }
        Step::Over
    }

    fn fail(&mut self, reason: FailReason) -> Step {
        // Deregistered first: who comes now starts anew.
        self.large.ctx.flow().ended(&self.asker.key, self.id);
        match self.transfer.take() {
            Some(transfer) => drop(transfer.break_off(reason)),
            None => self.fill.reach(Stage::Failed(Failure::of(reason))),
        }
        Step::Over
    }
}

/// However the task ends: nobody waits for it.
impl Drop for Fetch {
    fn drop(&mut self) {
        self.large.ctx.flow().over(&self.asker.key, self.id);
        self.fill.give_up();
    }
}
