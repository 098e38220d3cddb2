//! The oracle: who put what where clients can know of it, who is alive, and what came of each wish.
//!
//! It is the index as a client may imagine it, one table without nodes, messages or time lags, and
//! so simple that it can be believed. Checkers compare what the engines did with what it holds.
//! It knows less than one could: a put that was never acknowledged may have succeeded, so what it
//! left behind is allowed but never demanded.

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};
use dht::engine::{Answer, Wish};

/// A value may be seen this long after its end: it was on its way, and durations on the wire are
/// counted from when they were sent.
const AFTERGLOW: Duration = Duration::from_secs(5);

/// Node clocks may be off by a thirtieth, so a value may live that much longer.
const DRIFT_SHARE: u32 = 30;

/// A value that ends sooner than this after it is asked for need not be found.
const TWILIGHT: Duration = Duration::from_secs(2);

/// What a client wished.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum What {
    /// Values.
    Get,
    /// To put one.
    Put,
    /// To claim a key.
    Claim,
    /// To take a value back.
    Withdraw,
    /// Something that needs no oracle.
    Other,
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Values were found.
    Found,
    /// There were none.
    Nothing,
    /// The value was stored at so many nodes.
    Stored(usize),
    /// The claim was granted.
    Granted,
    /// Somebody else has the key.
    Taken,
    /// Done, whatever it was.
    Done,
    /// Refused, for this reason.
    Refused(&'static str),
}

/// One wish and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    /// Where.
    pub(crate) host: usize,
    /// What.
    pub(crate) what: What,
    /// Of which key.
    pub(crate) key: Key,
    /// In which phase, by number.
    pub(crate) phase: usize,
    /// When.
    pub(crate) asked: Moment,
    /// When the first value came.
    pub(crate) first: Option<Moment>,
    /// When the final answer came.
    pub(crate) done: Option<Moment>,
    /// The final answer.
    pub(crate) end: Option<End>,
    /// For a get: something acknowledged was to be found.
    pub(crate) expected: bool,
    /// For a get: some of that was put by a node that was still up.
    pub(crate) tended: bool,
    /// Values that nobody put there, or that had ended.
    pub(crate) wrong: u32,
    /// Requests sent on its behalf until it was done.
    pub(crate) requests: u32,
    /// Hops to the node that gave the first value, or to the farthest node that mattered.
    pub(crate) hops: u32,
    /// Whether the live node closest to the key was reached.
    pub(crate) reached: bool,
    /// Whether the three above are known.
    pub(crate) followed: bool,
    value: Vec<u8>,
}

/// A value that somebody tried to put.
#[derive(Clone, Debug)]
struct Held {
    publisher: usize,
    ttl: Duration,
    until: Moment,
    acknowledged: bool,
    withdrawn: Option<Moment>,
}

/// The oracle.
#[derive(Clone, Default, Debug)]
pub(crate) struct Model {
    /// Every wish so far; a ticket is its index.
    pub(crate) ops: Vec<Op>,
    /// Names of the phases so far.
    pub(crate) phases: Vec<&'static str>,
    held: BTreeMap<Key, BTreeMap<Vec<u8>, Vec<Held>>>,
    alive: BTreeMap<NodeId, usize>,
    up: Vec<bool>,
    /// Of each key that was looked up since somebody came or went, the closest live member.
    nearest: BTreeMap<Key, Option<usize>>,
}

impl Model {
    /// A phase begins.
    pub(crate) fn phase(&mut self, name: &'static str) {
        self.phases.push(name);
    }

    /// Wishes of one kind in the phases of that name; in all phases if none is named.
    pub(crate) fn of(&self, what: What, phase: Option<&str>) -> impl Iterator<Item = &Op> {
        self.ops.iter().filter(move |op| {
            let named = self.phases.get(op.phase.wrapping_sub(1));
            op.what == what && phase.is_none_or(|phase| named == Some(&phase))
        })
    }

    /// The live member closest to a key.
    pub(crate) fn closest(&self, key: &Key) -> Option<usize> {
        let nearest = self.alive.iter().min_by_key(|(id, _)| id.distance(key));
        nearest.map(|(_, host)| *host)
    }

    /// The same, remembered until somebody comes or goes.
    pub(crate) fn closest_again(&mut self, key: &Key) -> Option<usize> {
        if let Some(nearest) = self.nearest.get(key) {
            return *nearest;
        }
        let nearest = self.closest(key);
        self.nearest.insert(*key, nearest);
        nearest
    }

    /// Live members.
    pub(crate) fn alive(&self) -> usize {
        self.alive.len()
    }

    /// Whether a member is up.
    pub(crate) fn is_up(&self, host: usize) -> bool {
        self.up.get(host).copied().unwrap_or(false)
    }

    pub(crate) fn born(&mut self, host: usize, id: NodeId) {
        self.alive.insert(id, host);
        self.set_up(host, true);
    }

    pub(crate) fn died(&mut self, host: usize, id: NodeId) {
        self.alive.remove(&id);
        self.set_up(host, false);
        for op in self
            .ops
            .iter_mut()
            .filter(|op| op.host == host && op.done.is_none())
        {
            // Nobody is left to be answered.
            op.what = What::Other;
        }
    }

    fn set_up(&mut self, host: usize, up: bool) {
        if self.up.len() <= host {
            self.up.resize(host + 1, false);
        }
        self.up[host] = up;
        self.nearest.clear();
    }

    /// A wish begins; says its ticket.
    pub(crate) fn asked(&mut self, now: Moment, host: usize, wish: &Wish) -> u64 {
        let (what, key, value, ttl) = match wish {
            Wish::Get { key, .. } => (What::Get, *key, Vec::new(), Duration::ZERO),
            Wish::Put { key, value, ttl } => (What::Put, *key, value.clone(), *ttl),
            Wish::Claim { key, value, ttl } => (What::Claim, *key, value.clone(), *ttl),
            Wish::Withdraw { key } => (What::Withdraw, *key, Vec::new(), Duration::ZERO),
            _ => (What::Other, Key::ZERO, Vec::new(), Duration::ZERO),
        };
        let (expected, tended) = self.expects(now, key);
        if !value.is_empty() {
            self.try_hold(now, host, key, value.clone(), ttl);
        }
        let ticket = self.ops.len() as u64;
        self.ops.push(Op {
            host,
            what,
            key,
            phase: self.phases.len(),
            asked: now,
            first: None,
            done: None,
            end: None,
            expected: what == What::Get && expected,
            tended: what == What::Get && tended,
            wrong: 0,
            requests: 0,
            hops: 0,
            reached: false,
            followed: false,
            value,
        });
        ticket
    }

    /// An answer, final or not.
    pub(crate) fn answered(&mut self, now: Moment, ticket: u64, answer: &Answer) {
        let Some(at) = usize::try_from(ticket)
            .ok()
            .filter(|at| *at < self.ops.len())
        else {
            return;
        };
        let key = self.ops[at].key;
        let (values, end) = match answer {
            Answer::Values { values, last } => (values.as_slice(), last.then_some(End::Nothing)),
            Answer::Taken { values } => (values.as_slice(), Some(End::Taken)),
            Answer::Stored { copies } => (&[][..], Some(End::Stored(*copies))),
            Answer::Granted => (&[][..], Some(End::Granted)),
            Answer::Refused(refusal) => (&[][..], Some(End::Refused(refusal.as_str()))),
            _ => (&[][..], Some(End::Done)),
        };
        let wrong = values.iter().filter(|v| !self.allows(now, &key, &v.bytes));
        let wrong = u32::try_from(wrong.count()).unwrap_or(u32::MAX);
        let op = &mut self.ops[at];
        op.wrong += wrong;
        if !values.is_empty() {
            op.first.get_or_insert(now);
        }
        let Some(end) = end else {
            return;
        };
        op.done = Some(now);
        let found = end == End::Nothing && op.first.is_some();
        op.end = Some(if found { End::Found } else { end });
        let (host, holds) = (
            op.host,
            matches!(op.end, Some(End::Stored(_) | End::Granted)),
        );
        let (withdraws, value) = (op.what == What::Withdraw, op.value.clone());
        let Some(all) = self.held.get_mut(&key) else {
            return;
        };
        let own = |held: &&mut Held| held.publisher == host;
        if holds {
            let same = all.get_mut(&value).into_iter().flatten();
            same.filter(own).for_each(|held| held.acknowledged = true);
        }
        if withdraws {
            for held in all.values_mut().flatten().filter(own) {
                held.withdrawn.get_or_insert(now);
            }
        }
    }

    fn try_hold(&mut self, now: Moment, host: usize, key: Key, value: Vec<u8>, ttl: Duration) {
        let until = now + ttl;
        let all = self.held.entry(key).or_default().entry(value).or_default();
        match all.iter_mut().find(|held| held.publisher == host) {
            Some(held) => (held.until, held.withdrawn) = (held.until.max(until), None),
            None => all.push(Held {
                publisher: host,
                ttl,
                until,
                acknowledged: false,
                withdrawn: None,
            }),
        }
    }

    /// Whether a get must find something, and whether somebody is there to look after it.
    fn expects(&self, now: Moment, key: Key) -> (bool, bool) {
        let held = self.held.get(&key).into_iter().flat_map(BTreeMap::values);
        let held = held.flatten();
        let mut due = held.filter(|held| {
            held.acknowledged && held.withdrawn.is_none() && held.until > now + TWILIGHT
        });
        let first = due.next();
        let tended = first.is_some_and(|held| self.is_up(held.publisher))
            || due.any(|held| self.is_up(held.publisher));
        (first.is_some(), tended)
    }

    /// Whether a get may find this.
    fn allows(&self, now: Moment, key: &Key, value: &[u8]) -> bool {
        let same = self.held.get(key).and_then(|all| all.get(value));
        same.into_iter().flatten().any(|held| {
            let until = held.until + AFTERGLOW;
            now <= until + held.ttl / DRIFT_SHARE
        })
    }
}

#[cfg(test)]
mod tests {
    use dht::value::Value;

    use super::*;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn put(key: Key) -> Wish {
        Wish::Put {
            key,
            value: b"here".to_vec(),
            ttl: Duration::from_secs(20),
        }
    }

    fn values(bytes: &[u8]) -> Answer {
        let value = Value {
            bytes: bytes.to_vec(),
            ttl: Duration::from_secs(1),
            publisher: NodeId::ZERO,
            level: 0,
        };
        Answer::Values {
            values: vec![value],
            last: true,
        }
    }

    #[test]
    fn demands_what_was_acknowledged_and_allows_what_was_tried() {
        let (mut model, key) = (Model::default(), Key::of(b"k"));
        let get = Wish::Get { key, want: 1 };
        let ticket = model.asked(at(0), 3, &put(key));
        let early = model.asked(at(1), 4, &get);
        model.answered(at(2), early, &values(b"here"));
        model.answered(at(3), ticket, &Answer::Stored { copies: 2 });
        let later = model.asked(at(4), 4, &get);
        model.answered(at(5), later, &values(b"elsewhere"));
        let after = model.asked(at(60_000), 4, &get);
        model.answered(at(60_001), after, &values(b"here"));
        let seen: Vec<_> = model
            .ops
            .iter()
            .skip(1)
            .map(|op| (op.expected, op.wrong))
            .collect();
        assert_eq!(seen, [(false, 0), (true, 1), (false, 1)]);
        assert_eq!(model.ops[1].end, Some(End::Found));
    }

    #[test]
    fn what_was_withdrawn_is_not_demanded() {
        let (mut model, key) = (Model::default(), Key::of(b"k"));
        let ticket = model.asked(at(0), 3, &put(key));
        model.answered(at(1), ticket, &Answer::Stored { copies: 2 });
        let ticket = model.asked(at(2), 3, &Wish::Withdraw { key });
        model.answered(at(3), ticket, &Answer::Withdrawn { copies: 2 });
        let get = model.asked(at(4), 4, &Wish::Get { key, want: 1 });
        assert!(!model.ops[usize::try_from(get).unwrap()].expected);
    }
}
