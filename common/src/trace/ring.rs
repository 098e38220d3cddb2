//! The ring: the last spans worth keeping, bounded for each reason to keep them. Pure.
//!
//! Failures in thousands push out older failures and nothing else: what an operator asked for, and the
//! sample of what is usual, have rings of their own.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Keep, Span, SpanId, TraceId};
use crate::clock::Moment;

/// Spans kept for each reason: at 400 bytes each 800 KiB, four times.
pub const SPANS_MAX: usize = 2_000;

/// Spans of one trace on one node; more are counted and dropped. A miss has ten, and thirty with hops.
pub const TRACE_MAX: usize = 128;

/// One in so many requests is kept whatever comes of it.
pub const SAMPLE: u64 = 1_000;

/// A request that takes longer until its first byte is slow.
pub const SLOW: Duration = Duration::from_secs(1);

/// Whether a request is kept, and why. `number` counts the requests of this node.
#[must_use]
pub const fn judge(asked: bool, failed: bool, took: Duration, number: u64) -> Option<Keep> {
    if asked {
        Some(Keep::Asked)
    } else if failed {
        Some(Keep::Failed)
    } else if took.as_nanos() > SLOW.as_nanos() {
        Some(Keep::Slow)
    } else if is_sampled(number) {
        Some(Keep::Sampled)
    } else {
        None
    }
}

/// Whether the request of this number is in the sample.
#[must_use]
pub const fn is_sampled(number: u64) -> bool {
    number.is_multiple_of(SAMPLE)
}

/// See the module.
#[derive(Debug)]
pub struct Ring {
    kept: [VecDeque<Span>; Keep::ALL.len()],
    max: usize,
    /// Spans that had to go for newer ones.
    pushed_out: u64,
    /// Spans that were too many of their trace.
    too_many: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self::new(SPANS_MAX)
    }
}

/// A trace in brief.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Brief<'a> {
    keep: Keep,
    first: &'a Span,
    spans: usize,
    failed: bool,
}

impl Ring {
    /// A ring of `max` spans for each reason, at least one.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            kept: Default::default(),
            max: max.max(1),
            pushed_out: 0,
            too_many: 0,
        }
    }

    /// Keeps `spans`, of one trace.
    pub fn add(&mut self, keep: Keep, spans: impl IntoIterator<Item = Span>) {
        let ring = &mut self.kept[keep as usize];
        for (at, span) in spans.into_iter().enumerate() {
            if at >= TRACE_MAX {
                self.too_many += 1;
                continue;
            }
            if ring.len() >= self.max {
                ring.pop_front();
                self.pushed_out += 1;
            }
            ring.push_back(span);
        }
    }

    /// The spans of a trace, in order of their beginning.
    #[must_use]
    pub fn of(&self, trace: TraceId) -> Vec<&Span> {
        let all = self.kept.iter().flatten();
        let mut found: Vec<_> = all.filter(|span| span.trace == trace).collect();
        found.sort_by_key(|span| span.began);
        found
    }

    /// Spans kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.iter().map(VecDeque::len).sum()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Spans that had to go, and spans beyond the bound of their trace.
    #[must_use]
    pub const fn lost(&self) -> (u64, u64) {
        (self.pushed_out, self.too_many)
    }

    /// The last traces kept, at most `most` for each reason, the newest first.
    fn latest(&self, most: usize) -> Vec<Brief<'_>> {
        let mut all = Vec::new();
        for (keep, ring) in Keep::ALL.into_iter().zip(&self.kept) {
            let mut briefs: Vec<Brief<'_>> = Vec::new();
            for span in ring.iter().rev() {
                let known = briefs.iter_mut().find(|one| one.first.trace == span.trace);
                if let Some(brief) = known {
                    brief.spans += 1;
                    brief.failed |= span.failed;
                    if span.began < brief.first.began || span.parent.is_none() {
                        brief.first = span;
                    }
                } else if briefs.len() < most {
                    briefs.push(Brief {
                        keep,
                        first: span,
                        spans: 1,
                        failed: span.failed,
                    });
                } else {
                    break;
                }
            }
            all.extend(briefs);
        }
        all
    }

    /// The admin page for `query`: the spans of the trace `id=`, or the last traces.
    #[must_use]
    pub fn page(&self, node: &str, query: &str, now: Moment) -> Value {
        let id = query.split('&').find_map(|pair| pair.strip_prefix("id="));
        let Some(id) = id else {
            let brief = |one: &Brief<'_>| {
                json!({ "kept": one.keep, "spans": one.spans, "any_failed": one.failed,
                    "first": one.first.to_json(now) })
            };
            let traces: Vec<_> = self.latest(20).iter().map(brief).collect();
            let (pushed_out, too_many) = self.lost();
            return json!({
                "schema": 1, "node": node, "spans": self.len(), "pushed_out": pushed_out,
                "too_many": too_many, "traces": traces,
            });
        };
        let spans = id.parse().map(|trace| self.of(trace)).unwrap_or_default();
        let spans: Vec<_> = spans.iter().map(|span| span.to_json(now)).collect();
        json!({ "schema": 1, "node": node, "trace": id, "spans": spans })
    }
}

/// The spans of one request on one node while they come together.
#[derive(Clone, Default, Debug)]
pub struct Sketch {
    spans: Vec<Span>,
    /// More than [`TRACE_MAX`]: dropped.
    pub dropped: u64,
}

impl Sketch {
    /// Another span.
    pub fn push(&mut self, span: Span) {
        if self.spans.len() < TRACE_MAX {
            self.spans.push(span);
        } else {
            self.dropped += 1;
        }
    }

    /// Whether one of them failed.
    #[must_use]
    pub fn any_failed(&self) -> bool {
        self.spans.iter().any(|span| span.failed)
    }

    /// The span called `id`.
    #[must_use]
    pub fn at(&self, id: SpanId) -> Option<&Span> {
        self.spans.iter().find(|span| span.id == id)
    }

    /// All of them.
    #[must_use]
    pub fn into_spans(self) -> Vec<Span> {
        self.spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Ids, What};

    fn span(ids: &mut Ids, trace: TraceId, at: u64) -> Span {
        Span {
            trace,
            id: ids.span(),
            parent: None,
            what: What::Request,
            target: "http://a.example/".to_owned(),
            began: Moment::from_millis(at),
            took: Duration::from_millis(3),
            outcome: "hit",
            failed: false,
        }
    }

    #[test]
    fn the_first_reason_in_order_of_weight_is_the_one() {
        let (quick, slow) = (Duration::ZERO, SLOW + Duration::from_nanos(1));
        for (asked, failed, took, number, keep) in [
            (true, true, slow, 0, Some(Keep::Asked)),
            (false, true, slow, 0, Some(Keep::Failed)),
            (false, false, slow, 0, Some(Keep::Slow)),
            (false, false, SLOW, SAMPLE, Some(Keep::Sampled)),
            (false, false, quick, SAMPLE - 1, None),
            (false, false, quick, SAMPLE + 1, None),
        ] {
            assert_eq!(judge(asked, failed, took, number), keep);
        }
    }

    #[test]
    fn failures_in_thousands_push_out_failures_alone() {
        let mut ids = Ids::new([1; 8]);
        let mut ring = Ring::new(10);
        let (asked, _) = ids.trace();
        let wanted = span(&mut ids, asked, 1);
        ring.add(Keep::Asked, [wanted]);
        let mut first = None;
        for at in 0..11 {
            let (trace, _) = ids.trace();
            first = first.or(Some(trace));
            let one = span(&mut ids, trace, at);
            ring.add(Keep::Failed, [one]);
        }
        assert_eq!((ring.len(), ring.lost()), (11, (1, 0)));
        assert!(ring.of(first.unwrap()).is_empty());
        assert_eq!(ring.of(asked).len(), 1);
    }

    #[test]
    fn a_trace_has_no_more_spans_than_its_bound() {
        let mut ids = Ids::new([1; 8]);
        let (trace, _) = ids.trace();
        let spans: Vec<_> = (0..=TRACE_MAX)
            .map(|at| span(&mut ids, trace, at as u64))
            .collect();
        let mut sketch = Sketch::default();
        spans.iter().cloned().for_each(|span| sketch.push(span));
        assert_eq!(sketch.dropped, 1);
        assert_eq!(sketch.into_spans().len(), TRACE_MAX);
        let mut ring = Ring::default();
        ring.add(Keep::Slow, spans);
        assert_eq!((ring.of(trace).len(), ring.lost()), (TRACE_MAX, (0, 1)));
    }

    #[test]
    fn the_page_lists_the_last_traces_or_shows_one() {
        let mut ids = Ids::new([1; 8]);
        let mut ring = Ring::default();
        let (trace, _) = ids.trace();
        let spans = [span(&mut ids, trace, 5), span(&mut ids, trace, 4)];
        ring.add(Keep::Slow, spans);
        let now = Moment::from_millis(9);
        let list = ring.page("n", "", now);
        assert_eq!(list["traces"][0]["spans"], 2);
        assert_eq!(list["traces"][0]["kept"], "slow");
        let one = ring.page("n", &format!("id={trace}"), now);
        assert_eq!(one["spans"][0]["began_us"], 4_000);
        assert_eq!(one["spans"][0]["ago_us"], 5_000);
        assert_eq!(ring.page("n", "id=x", now)["spans"], json!([]));
    }
}
