//! What is known of a URL, for the operator who asks why.

use common::clock::Moment;

use super::Flow;
use crate::engine::http::fresh::Heat;
use crate::engine::http::key::PrimaryKey;
use crate::engine::reason::FailReason;
use crate::engine::shelf::record;
use crate::engine::why::{Copy, Explained, Whys};

impl<B, F> Flow<B, F> {
    /// What is known of `key`. Counts for nothing.
    #[must_use]
    pub fn explain(&self, now: Moment, key: &PrimaryKey) -> Explained {
        let heat = self.heat.of(now, key.host());
        let copies = self.store.kept(key).map(|object| {
            let lifetime = object.lifetime(heat);
            Copy {
                status: object.status.as_u16(),
                age: object.age(now),
                lifetime: lifetime.duration,
                source: lifetime.source,
                fresh_for: object.remaining(now, heat),
            }
        });
        let mut failing = self.gates.failing(now);
        let origin = failing.find(|(origin, ..)| *origin == key.origin());
        Explained {
            copies: copies.collect(),
            on_disk: self
                .shelf
                .freshest(record::name_of(key), now)
                .map(|(_, left)| left),
            fetching: self.fills.get(key).map_or(0, Vec::len),
            announced: self.ledger.has(key),
            hot: heat == Heat::Hot,
            unshareable: self.unshareable.at(key, now).copied(),
            origin: origin.map(|(_, left, reason)| (left, reason)),
            last: self.whys.of(key),
        }
    }

    /// What was decided about URLs last.
    pub const fn whys(&mut self) -> &mut Whys {
        &mut self.whys
    }

    /// A fetch of `key` from a peer failed for `reason`, for whoever asks why.
    pub fn note_failure(&mut self, now: Moment, key: &PrimaryKey, reason: FailReason) {
        self.whys.failed(now, key, reason);
    }
}
