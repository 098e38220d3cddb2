//! Looking after own values: whether they are where they belong, and putting again what is not.
//!
//! When is `keep`'s business. One request to the place closest to the key settles a doubt: the
//! reply says whether the value is held there, and names nodes that are closer by now.

use common::clock::Moment;
use common::ids::{Key, NodeId};

use super::exchange::Purpose;
use super::keep::Found;
use super::lookup::Goal;
use super::message::{Ask, Contact, Say};
use super::node::Node;
use super::routing::Entry;
use super::work::Owner;

impl Node {
    /// Settles doubts and puts again what is lost, as much as is due.
    pub(super) fn tend(&mut self, now: Moment) {
        for (key, place, until) in self.keep.take_checks(now, &mut self.rng) {
            if place.id == self.own.id {
                self.check_self(now, key);
                continue;
            }
            let ttl = until.since(now);
            self.stats.checks += 1;
            // One that cannot be looked for now is looked for at the next occasion.
            self.ask(now, place, 0, Ask::Offer { key, ttl }, Purpose::Check(key))
                .ok();
        }
        for (key, own) in self.keep.take_due(now) {
            let goal = Goal::Put {
                value: own.value,
                ttl: own.until.since(now),
            };
            self.begin_own(now, key, goal, Owner::Heal(key), false);
        }
    }

    fn check_self(&mut self, now: Moment, key: Key) {
        let own = self.own.id;
        let found = match self.store.until(now, key, own) {
            None => Found::Missing,
            Some(_) => {
                let near = self.table.closest(&key, 1);
                let closer = near
                    .first()
                    .filter(|entry| entry.id.distance(&key) < own.distance(&key));
                closer.map_or(Found::There, |entry| Found::Closer(*entry))
            }
        };
        self.keep.checked(now, key, own, found, &mut self.rng);
    }

    /// The place asked about the own value under `key` has answered, or not.
    pub(super) fn checked(&mut self, now: Moment, key: Key, place: NodeId, say: Option<&Say>) {
        let found = match say {
            None => Found::Silent,
            Some(Say::Values {
                own: true,
                contacts,
                ..
            }) => {
                let closer = self.closer(now, &key, place, contacts);
                closer.map_or(Found::There, Found::Closer)
            }
            Some(_) => Found::Missing,
        };
        self.keep.checked(now, key, place, found, &mut self.rng);
    }

    /// The closest node to `key` of those mentioned, if closer than `place` and not known to be
    /// dead.
    fn closer(&self, now: Moment, key: &Key, place: NodeId, contacts: &[Contact]) -> Option<Entry> {
        let counts = |contact: &&Contact| {
            let peer = self.peers.at(NodeId::of(contact.addr));
            peer.is_none_or(|peer| peer.mention_counts(now, contact.age))
        };
        let entries = contacts.iter().filter(counts).map(|contact| Entry {
            id: NodeId::of(contact.addr),
            addr: contact.addr,
        });
        let all = entries.chain([self.own]);
        let closest = all.min_by_key(|entry| entry.id.distance(key))?;
        (closest.id.distance(key) < place.distance(key)).then_some(closest)
    }
}
