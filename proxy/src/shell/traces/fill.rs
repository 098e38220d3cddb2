//! What a fetch did, act by act: the spans of one fill, kept at its end if they are worth it.

use std::time::Duration;

use common::clock::Moment;
use common::trace::ring::{Sketch, judge};
use common::trace::{Context as TraceContext, Span, SpanId, What, clip};

use super::{Traces, Track, peer};
use crate::engine::http::key::PrimaryKey;
use crate::engine::pursuit::{Act, News};
use crate::engine::reason::FailReason;

/// See the module.
#[derive(Debug)]
pub(crate) struct Story {
    track: Option<Track>,
    sketch: Sketch,
    /// The act under way.
    open: Option<Open>,
    began: Moment,
    head_after: Option<Duration>,
    gave_up: Option<FailReason>,
}

#[derive(Debug)]
struct Open {
    id: SpanId,
    what: What,
    target: String,
    began: Moment,
    head: Option<Moment>,
}

impl Story {
    pub(crate) fn new(track: Option<Track>, began: Moment) -> Self {
        Self {
            track,
            sketch: Sketch::default(),
            open: None,
            began,
            head_after: None,
            gave_up: None,
        }
    }

    /// An act begins.
    pub(crate) fn begin(&mut self, traces: &Traces, now: Moment, act: Act, key: &PrimaryKey) {
        self.open = None;
        if self.track.is_none() {
            return;
        }
        let (what, target) = match act {
            Act::AskIndex => (What::Index, "who has it".to_owned()),
            Act::TakeOver => (What::Index, "who goes on with it".to_owned()),
            Act::Peer { peer: addr, .. } => (What::Peer, peer(addr)),
            Act::Origin => (What::Origin, clip(key.origin())),
            Act::Reach(..) | Act::StaleHere(_) | Act::Fail(_) => return,
        };
        self.open = Some(Open {
            id: traces.span(),
            what,
            target,
            began: now,
            head: None,
        });
    }

    /// The head of the answer is here.
    pub(crate) fn headed(&mut self, now: Moment) {
        if let Some(open) = &mut self.open {
            open.head.get_or_insert(now);
        }
        self.head_after.get_or_insert(now.since(self.began));
    }

    /// The fill gives up.
    pub(crate) fn failed(&mut self, reason: FailReason) {
        self.gave_up.get_or_insert(reason);
    }

    /// What the act under way is to tell others, if it is part of a trace.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        let (track, open) = (self.track.as_ref()?, self.open.as_ref()?);
        Some(track.context(open.id))
    }

    /// The same for the index.
    pub(crate) fn context_for_index(&self) -> Option<TraceContext> {
        let (track, open) = (self.track.as_ref()?, self.open.as_ref()?);
        track.context_for_index(open.id)
    }

    /// The act is over, with this news, or with the whole fill.
    pub(crate) fn end(&mut self, traces: &Traces, now: Moment, news: Option<&News>) {
        let (Some(track), Some(open)) = (self.track, self.open.take()) else {
            return;
        };
        let (outcome, failed) = outcome(news, self.gave_up);
        let span = |id, parent, what, took, outcome, failed| Span {
            trace: track.trace,
            id,
            parent: Some(parent),
            what,
            target: open.target.clone(),
            began: open.began,
            took,
            outcome,
            failed,
        };
        let took = now.since(open.began);
        self.sketch.push(span(
            open.id,
            track.request,
            open.what,
            took,
            outcome,
            failed,
        ));
        if let Some(head) = open.head {
            let took = head.since(open.began);
            let first = span(traces.span(), open.id, What::FirstByte, took, "head", false);
            self.sketch.push(first);
        }
    }

    /// The fill is over: its spans are kept, or forgotten.
    pub(crate) fn close(&mut self, traces: &Traces, now: Moment) {
        let Some(track) = self.track.take() else {
            return;
        };
        let took = self.head_after.unwrap_or_else(|| now.since(self.began));
        let failed = self.gave_up.is_some();
        if let Some(keep) = judge(track.asked, failed, took, track.number) {
            let sketch = std::mem::take(&mut self.sketch);
            traces.keep(keep, sketch.into_spans());
        }
    }
}

/// What came of an act, in a word, and whether that is a failure.
const fn outcome(news: Option<&News>, gave_up: Option<FailReason>) -> (&'static str, bool) {
    match (news, gave_up) {
        (None, Some(reason)) => (reason.as_str(), true),
        (None, None) => ("whole", false),
        (Some(News::Located(_)), _) => ("found", false),
        (Some(News::Granted), _) => ("granted", false),
        (Some(News::NoIndex), _) => ("no_answer", true),
        (Some(News::Reached(_)), _) => ("reached", false),
        (Some(News::PeerFailed { .. }), _) => ("nothing", true),
        (Some(News::OriginFailed(reason) | News::BodyBroke(reason)), _) => (reason.as_str(), true),
        (Some(News::Unconfirmed), _) => ("unconfirmed", false),
    }
}
