//! Handing on: when members come or go, the heaviest owner of a key that stays gives what it holds
//! to those who own the key from now on.
//!
//! The publisher puts again as well, but it may be gone itself. Changes are collected for a moment,
//! then the store is gone through once, a bounded number of keys and requests at a time, so that
//! neither a mass death nor a full store makes a flood.

use std::collections::BTreeSet;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};

use super::exchange::Purpose;
use super::node::Member;
use super::owners::owners;
use crate::engine::message::Ask;

/// Changes are collected for this long, and half as long at least.
const COLLECT: Duration = Duration::from_secs(1);

/// Changes told apart in one sweep; what more would have moved is put again by its publisher.
const CHANGES_MAX: usize = 64;

/// Keys looked at, and values handed on, at one moment; and the time to the next.
const LOOKED: usize = 128;
const HANDED: usize = 8;
const PAUSE: Duration = Duration::from_millis(250);

/// What ends within this time is not worth handing on.
const ENDING: Duration = Duration::from_secs(2);

/// Who came and who went since the store was last gone through.
#[derive(Clone, Debug, Default)]
struct Changes {
    came: BTreeSet<NodeId>,
    gone: BTreeSet<NodeId>,
}

impl Changes {
    fn len(&self) -> usize {
        self.came.len() + self.gone.len()
    }
}

/// The changes not yet acted on, and the sweep under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Hands {
    changes: Changes,
    sweep: Option<(Changes, Option<Key>)>,
    due: Option<Moment>,
}

impl Hands {
    /// When there is something to do.
    pub(super) const fn due(&self) -> Option<Moment> {
        self.due
    }
}

impl Member {
    /// `id` is here from now on, and holds nothing.
    pub(super) fn hand_to(&mut self, now: Moment, id: NodeId) {
        if self.hands.changes.len() < CHANGES_MAX {
            self.hands.changes.gone.remove(&id);
            self.hands.changes.came.insert(id);
        }
        self.hand_soon(now);
    }

    /// `id` is not here any more.
    pub(super) fn hand_after(&mut self, now: Moment, id: NodeId) {
        if self.hands.changes.len() < CHANGES_MAX {
            self.hands.changes.came.remove(&id);
            self.hands.changes.gone.insert(id);
        }
        self.hand_soon(now);
    }

    fn hand_soon(&mut self, now: Moment) {
        if self.store.is_empty() {
            self.hands = Hands::default();
        } else if self.hands.due.is_none() {
            let jitter = self.rng.jitter(COLLECT / 2);
            self.hands.due = Some(now + COLLECT / 2 + jitter);
        }
    }

    /// The next step of the sweep through the store.
    pub(super) fn hand_on(&mut self, now: Moment) {
        if self.hands.due.is_none_or(|due| due > now) {
            return;
        }
        let begun = self.hands.sweep.take();
        let (changes, mut cursor) =
            begun.unwrap_or_else(|| (std::mem::take(&mut self.hands.changes), None));
        let keys: Vec<_> = self.store.keys_after(cursor).take(LOOKED).collect();
        let mut over = keys.len() < LOOKED;
        let mut handed = 0;
        for key in keys {
            if handed >= HANDED {
                over = false;
                break;
            }
            cursor = Some(key);
            handed += self.hand_key(now, key, &changes);
        }
        self.hands.due = Some(now + PAUSE);
        if !over {
            self.hands.sweep = Some((changes, cursor));
        } else if self.hands.changes.len() == 0 {
            self.hands.due = None;
        } else {
            self.hands.due = Some(now + COLLECT);
        }
    }

    /// Hands on what is under `key`. Says how many requests that took.
    fn hand_key(&mut self, now: Moment, key: Key, changes: &Changes) -> usize {
        let replicas = self.config.full.replicas.max(1);
        let living = || self.roster.iter_living().map(|(id, _)| id);
        let own = std::iter::once(self.own.id);
        let after = owners(&key, living().chain(own.clone()), replicas);
        let stayed = living().filter(|id| !changes.came.contains(id));
        let then = stayed.chain(own).chain(changes.gone.iter().copied());
        let before = owners(&key, then, replicas);
        let giver = before.iter().find(|id| !changes.gone.contains(id));
        if giver != Some(&self.own.id) {
            return 0;
        }
        let heirs = after.into_iter().filter(|id| !before.contains(id));
        let heirs: Vec<_> = heirs
            .filter_map(|id| Some(self.roster.at(id)?.entry(id)))
            .collect();
        if heirs.is_empty() {
            return 0;
        }
        let mut values = self.store.values(now, key, None);
        values.retain(|value| value.ttl > ENDING);
        for heir in &heirs {
            for value in &values {
                let ask = Ask::Hand {
                    key,
                    publisher: value.publisher,
                    value: value.bytes.clone(),
                    ttl: value.ttl,
                };
                self.stats.handed += 1;
                self.ask(now, *heir, ask, Purpose::Hand);
            }
        }
        heirs.len() * values.len()
    }
}
