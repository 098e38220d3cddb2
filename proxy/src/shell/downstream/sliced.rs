//! A page that is kept in slices: its head from the manifest, its body from wherever each slice is.
//!
//! The first slice is looked for before the head goes out: where it cannot be had there is still time for a
//! clear answer, and the head can say where it came from.

use std::ops::Range;

use http::Response;
use http::header::HeaderValue;

use super::Client;
use super::told::Told;
use crate::engine::http::cache_status::{ForwardReason, Handling};
use crate::engine::http::rewrite::Front;
use crate::engine::reason::FailReason;
use crate::engine::slices::slice_of;
use crate::engine::steps::deliver::Content;
use crate::shell::metrics::Outcome;
use crate::shell::multipart::Parts;
use crate::shell::outgoing::Outgoing;
use crate::shell::slices::{Found, From, Large, Sliced};

/// What is said of a manifest, beside its slices.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// How the request for it was handled.
    pub(super) outcome: Outcome,
    pub(super) reason: &'static str,
    pub(super) handling: Handling,
    pub(super) detail: Option<&'static str>,
    pub(super) before: Vec<HeaderValue>,
    pub(super) validated: bool,
}

impl Client {
    /// The answer with `large`.
    ///
    /// # Errors
    /// Its first slice cannot be had.
    pub(super) async fn sliced(
        &self,
        large: &Large,
        front: Front,
        mut said: Said,
    ) -> Result<Response<Outgoing>, FailReason> {
        let total = large.total();
        let first = match self.wanted(large, front, &said) {
            Some(range) => Some(large.obtain(slice_of(range.start)).await?),
            None => None,
        };
        if let Some(found) = &first {
            said.tell_of(found);
        }
        self.ctx.metrics.request(said.outcome);
        self.note(said.outcome, said.reason);
        let known = large.known();
        let now = self.ctx.now();
        let heat = self.ctx.flow().heat(now, &known.key);
        let told = said.told(now, heat);
        let answer = self.delivery(front, &told, Some(total), true).answer(known);
        let body = match answer.content {
            Content::Empty => Outgoing::empty(),
            Content::Whole => Outgoing::of(Sliced::new(large.clone(), 0..total, first)),
            Content::Part(part) => Outgoing::of(Sliced::new(large.clone(), part, first)),
            Content::Parts(parts) => Outgoing::of(Parts::sliced(large.clone(), parts)),
        };
        Ok(self.respond(&known.key, answer.status, answer.headers, body))
    }

    /// The bytes that this client gets first, if any.
    fn wanted(&self, large: &Large, front: Front, said: &Said) -> Option<Range<u64>> {
        let known = large.known();
        let now = self.ctx.now();
        let heat = self.ctx.flow().heat(now, &known.key);
        let told = said.told(now, heat);
        let delivery = self.delivery(front, &told, Some(large.total()), true);
        match delivery.answer(known).content {
            Content::Empty => None,
            Content::Whole => Some(0..large.total()),
            Content::Part(part) => Some(part),
            Content::Parts(parts) => parts.parts.first().map(|part| part.range.clone()),
        }
    }
}

impl Said {
    /// The manifest was kept here; why it is stale, if it is.
    pub(super) fn of_hit(stale: Option<&'static str>) -> Self {
        Self {
            outcome: if stale.is_some() {
                Outcome::Stale
            } else {
                Outcome::Hit
            },
            reason: stale.unwrap_or_default(),
            handling: Handling::Hit,
            detail: stale,
            before: Vec::new(),
            validated: false,
        }
    }

    fn told(&self, now: common::clock::Moment, heat: crate::engine::http::fresh::Heat) -> Told<'_> {
        Told {
            handling: self.handling,
            detail: self.detail,
            before: &self.before,
            validated: self.validated,
            now,
            heat,
        }
    }

    /// Where the first slice came from, if the manifest itself was here.
    fn tell_of(&mut self, found: &Found) {
        if self.handling != Handling::Hit || self.detail.is_some() {
            return;
        }
        let (outcome, detail) = match found.from {
            From::Here => {
                self.detail = Some("slices");
                return;
            }
            From::Peer(word) => (Outcome::Peer, word),
            From::Origin => (Outcome::Origin, "origin"),
        };
        self.outcome = if found.collapsed {
            Outcome::Collapsed
        } else {
            outcome
        };
        self.detail = Some(detail);
        self.handling = Handling::Forwarded {
            why: ForwardReason::Partial,
            status: None,
            stored: true,
            collapsed: found.collapsed,
        };
    }
}
