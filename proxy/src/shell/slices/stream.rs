//! The task that cuts a body into slices while it passes: that of the first answer with a large object.
//!
//! It goes no further than somebody wants it to: a slice is taken off the line only while a reader waits for
//! it, and who reads ahead does so by a few. So a slow reader slows its origin, and when nobody is left the
//! line is closed; what is missing then is asked for by range.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Large;
use super::keep::Arrival;
use crate::engine::drawing::Drawing;
use crate::engine::flow::FillId;
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::server_timing::Timing;
use crate::engine::reason::FailReason;
use crate::engine::slices::cut::{Cut, Piece};
use crate::engine::splice::{Intake, Promise, Splice};
use crate::shell::body::Writer;
use crate::shell::fill::{Fill, Headed, Response, Source, Stage};
use crate::shell::share::Slot;
use crate::shell::upstream::{Upstream, UpstreamBody};

/// How long a line is kept on which nobody wants the next slice: a reader that stands still for longer has it
/// asked for by range when it goes on.
const UNWANTED_MOST: Duration = Duration::from_secs(3);

/// See the module.
pub(crate) struct Stream {
    large: Large,
    cut: Cut,
    body: UpstreamBody,
    head: http::HeaderMap,
    arrival: Arrival,
    /// Those that whoever looks for them joins: the next ones to come.
    open: VecDeque<Open>,
    /// Somebody waits for one of them.
    taken: Arc<Notify>,
    /// The slice after them.
    next: u64,
    /// What was read of the body and belongs to a slice after the one before it.
    rest: Bytes,
    /// Its place among the fetches of its site.
    _slot: Slot,
}

/// A slice that is on its way.
struct Open {
    n: u64,
    key: PrimaryKey,
    fill: Arc<Fill>,
    id: FillId,
}

/// A slice that is being written.
struct Writing {
    slice: Arc<Response>,
    writer: Writer,
    splice: Splice,
    intake: Intake,
}

impl Stream {
    /// The body of `upstream`, which is `bytes` of `large`. From here on those who look for its first slices
    /// wait for it.
    pub(crate) fn open(
        large: Large,
        upstream: Box<Upstream>,
        bytes: &Range<u64>,
        slot: Slot,
    ) -> Self {
        let cut = Cut::new(bytes, large.total());
        let mut stream = Self {
            next: cut.slices().start,
            cut,
            arrival: Arrival::of(&upstream),
            head: upstream.head.headers,
            body: upstream.body,
            large,
            open: VecDeque::new(),
            taken: Arc::default(),
            rest: Bytes::new(),
            _slot: slot,
        };
        stream.register();
        stream
    }

    /// Sees to it that the next slices are found under way. The stream ends before the first one that is
    /// here, or that somebody else brings.
    fn register(&mut self) {
        let ctx = &self.large.ctx;
        // As many as a reader looks for, and the one that it looks for when the first of them is over.
        let ahead = usize::try_from(ctx.extents.config.ahead).unwrap_or(usize::MAX);
        while self.open.len() < ahead.saturating_add(3) && self.next < self.cut.slices().end {
            let fill = Fill::heard_by(Arc::clone(&self.taken));
            let key = self.large.manifest.slice(self.next);
            fill.draw(Drawing::Origin);
            let Some(id) = ctx.flow().slice_passes(&key, Arc::clone(&fill)) else {
                self.next = self.cut.slices().end;
                return;
            };
            self.open.push_back(Open {
                n: self.next,
                key,
                fill,
                id,
            });
            self.next += 1;
        }
    }

    /// Cuts until the end, or until nobody wants more.
    pub(crate) async fn run(mut self) {
        while !self.open.is_empty() {
            // Who joins one at the last moment finds it given up, and looks again.
            if timeout(UNWANTED_MOST, self.wanted()).await.is_err() {
                return;
            }
            self.register();
            if let Err(reason) = self.take_one().await {
                let url = &self.large.manifest.key;
                tracing::debug!(%url, reason = reason.as_str(), "a body that was being cut broke off");
                self.large.ctx.metrics.fetch_failed(reason);
                return;
            }
        }
    }

    /// Waits until somebody waits for any of those that are open: what lies before it on the line is taken with
    /// it.
    async fn wanted(&self) {
        while self.open.iter().all(|open| open.fill.is_unwatched()) {
            self.taken.notified().await;
        }
    }

    /// Takes the first of those that are open off the line.
    async fn take_one(&mut self) -> Result<(), FailReason> {
        let Some(open) = self.open.front() else {
            return Ok(());
        };
        let (n, id, fill) = (open.n, open.id, Arc::clone(&open.fill));
        let (slice, writer) = self.large.empty_slice(n, &self.head, self.arrival);
        let splice = Splice::new(slice.body.length(), true);
        self.large.ctx.flow().headed(&slice.key, id, &slice);
        fill.reach(Stage::Headed(Headed {
            object: Arc::clone(&slice),
            source: Source::Origin,
            shared: Ok(()),
            drawing: Drawing::Origin,
            timing: Timing::default(),
        }));
        let mut writing = Writing {
            slice,
            writer,
            splice,
            intake: Splice::first(Promise::None),
        };
        match self.fill(n, &mut writing).await {
            Ok(()) => {
                let Writing {
                    slice,
                    mut writer,
                    mut splice,
                    intake,
                } = writing;
                let last = splice.end(intake, None)?;
                writer.prepare(&last).await;
                self.large.keep(&slice, id, writer, (last, splice.digest()));
                self.pop();
                Ok(())
            }
            Err(reason) => {
                self.large.ctx.flow().ended(&writing.slice.key, id);
                writing.writer.break_off(reason);
                Err(reason)
            }
        }
    }

    /// Writes slice `n` until its last byte has come.
    async fn fill(&mut self, n: u64, writing: &mut Writing) -> Result<(), FailReason> {
        loop {
            let Some(piece) = self.piece().await? else {
                return Err(FailReason::Truncated);
            };
            // Slices come in order, and none that is open was passed over.
            if piece.slice != n {
                continue;
            }
            let shown = writing.splice.take(&mut writing.intake, piece.bytes)?;
            writing.writer.push(shown).await;
            if piece.last {
                return Ok(());
            }
        }
    }

    /// The next bytes of a slice; `None` at the end.
    async fn piece(&mut self) -> Result<Option<Piece>, FailReason> {
        loop {
            if let Some(piece) = self.cut.take(&mut self.rest) {
                return Ok(Some(piece));
            }
            match self.body.next().await? {
                Some(bytes) => {
                    let len = bytes.len() as u64;
                    self.large.ctx.metrics.fetched("origin", len);
                    self.rest = bytes;
                }
                None => return Ok(None),
            }
        }
    }

    /// The first of those that are open is over.
    fn pop(&mut self) {
        if let Some(open) = self.open.pop_front() {
            self.large.ctx.flow().over(&open.key, open.id);
            open.fill.give_up();
        }
    }
}

/// However the task ends: who waits for a slice of it looks for another way.
impl Drop for Stream {
    fn drop(&mut self) {
        while !self.open.is_empty() {
            self.pop();
        }
    }
}
