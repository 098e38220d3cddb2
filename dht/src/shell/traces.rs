//! The ring of spans: what the engine tells of traced commands, kept for whoever asks.

use std::sync::{Mutex, PoisonError};

use common::clock::{Clock as _, Moment, SystemClock};
use common::rng::Generator;
use common::trace::ring::Ring;
use common::trace::{Ids, Keep, Span, What};
use serde_json::Value;

use crate::engine::Event;
use crate::engine::message::Kind;
use crate::engine::traced::{Answered, Hop};

/// See the module.
#[derive(Debug)]
pub(super) struct Traces(Mutex<(Ring, Ids)>);

impl Traces {
    /// No traces yet.
    pub(super) fn new(rng: &mut Generator) -> Self {
        Self(Mutex::new((Ring::default(), Ids::new(rng.bytes()))))
    }

    /// Keeps what `event` tells of a trace; whether it was such an event.
    pub(super) fn took(&self, event: &Event, clock: SystemClock) -> bool {
        match event {
            Event::Hop(hop) => self.hopped(hop, clock.moment()),
            Event::Answered(answered) => self.answered(answered, clock.moment()),
            _ => return false,
        }
        true
    }

    fn hopped(&self, hop: &Hop, now: Moment) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ring, ids) = &mut *held;
        let span = Span {
            trace: hop.context.trace,
            id: hop.id.unwrap_or_else(|| ids.span()),
            parent: Some(hop.context.parent),
            what: What::Hop,
            target: format!("{} at level {}", hop.to, hop.level),
            began: hop.began,
            took: now.since(hop.began),
            outcome: hop.reply.map_or("silence", Kind::as_str),
            failed: hop.reply.is_none(),
        };
        ring.add(hop.context.keep.unwrap_or(Keep::Sampled), [span]);
    }

    fn answered(&self, answered: &Answered, now: Moment) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ring, ids) = &mut *held;
        let span = Span {
            trace: answered.context.trace,
            id: ids.span(),
            parent: Some(answered.context.parent),
            what: What::Answer,
            target: format!("{} of {}", answered.asked.as_str(), answered.from),
            began: now,
            took: std::time::Duration::ZERO,
            outcome: answered.reply.as_str(),
            failed: answered.reply == Kind::Refused,
        };
        ring.add(answered.context.keep.unwrap_or(Keep::Sampled), [span]);
    }

    /// The admin page.
    pub(super) fn page(&self, node: &str, query: &str, now: Moment) -> Value {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.0.page(node, query, now)
    }
}
