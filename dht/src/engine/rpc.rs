//! Requests under way: which transaction belongs to which, when to send again, when to give up.
//!
//! Every attempt has a transaction id of its own, so that the receiver's replay filter does not
//! swallow a retransmission and so that a round-trip sample is unambiguous. An answer to any
//! attempt ends the call; answers to its other attempts still tell that the peer lives and how far
//! it is. What a call is for is the caller's (`P`).
//!
//! A peer that is asked for more than it can do gets no answer out in time, and asking everything
//! again makes that worse. So of all calls to one peer only the oldest is worth another attempt;
//! those behind it wait on their first, and are the oldest in turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use common::clock::Moment;
use common::ids::{NodeId, TxId};

use super::message::Ask;
use super::routing::Entry;

/// Times that one call is given grace because this node itself was late.
const GRACES_MAX: u8 = 3;

/// Attempts of calls that are over are remembered for so long, and so many of them at most: a reply
/// that comes later, or to a forgotten one, is to nothing this node asked.
const GONE_FOR: Duration = Duration::from_secs(10);
const GONE_MAX: usize = 64;

/// Which call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CallId(u64);

/// A request under way.
#[derive(Clone, Debug)]
pub struct Call<P> {
    /// To whom.
    pub to: Entry,
    /// At which level.
    pub level: u8,
    /// What is asked.
    pub ask: Ask,
    /// For what.
    pub purpose: P,
    /// When the first attempt was sent.
    pub began: Moment,
    /// Attempts sent or passed over.
    pub attempts: u8,
    /// Attempts in all.
    pub attempts_max: u8,
    graces: u8,
    due: Moment,
    hedge: Option<Moment>,
    sent: Vec<TxId>,
}

/// What a due call needs.
#[derive(Debug)]
pub enum Due<P> {
    /// Its answer is later than most: others may be asked beside it.
    Late(CallId),
    /// Another attempt: send it and say so with [`Calls::sent`], or [`pass`](Calls::pass) it over.
    Retry(CallId),
    /// It has failed and is gone.
    Failed(Call<P>),
}

/// All requests under way.
#[derive(Clone, Debug)]
pub struct Calls<P> {
    /// Boxed, as a map makes room for eleven at once and mostly there is one.
    calls: BTreeMap<CallId, Box<Call<P>>>,
    transactions: BTreeMap<TxId, (CallId, Moment)>,
    due: BTreeSet<(Moment, CallId)>,
    /// All calls by peer, in the order in which they began.
    of_peer: BTreeSet<(NodeId, CallId)>,
    /// Attempts of calls that are over, the longest over first.
    gone: VecDeque<Gone>,
    next: u64,
}

/// An attempt that may still be answered, though nobody waits for it.
#[derive(Clone, Copy, Debug)]
struct Gone {
    tx: TxId,
    to: Entry,
    sent: Moment,
    over: Moment,
}

impl<P> Calls<P> {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            calls: BTreeMap::new(),
            transactions: BTreeMap::new(),
            due: BTreeSet::new(),
            of_peer: BTreeSet::new(),
            gone: VecDeque::new(),
            next: 0,
        }
    }

    /// Calls under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// A new call, nothing sent yet: send an attempt and say so with [`sent`](Self::sent).
    pub fn start(
        &mut self,
        now: Moment,
        (to, level, ask): (Entry, u8, Ask),
        purpose: P,
        attempts_max: u8,
    ) -> CallId {
        let id = CallId(self.next);
        self.next += 1;
        let (began, due) = (now, now);
        let (attempts, graces, sent) = (0, 0, Vec::new());
        let call = Call {
            to,
            level,
            ask,
            purpose,
            began,
            attempts,
            attempts_max,
            graces,
            due,
            hedge: None,
            sent,
        };
        self.calls.insert(id, Box::new(call));
        self.due.insert((due, id));
        self.of_peer.insert((to.id, id));
        id
    }

    /// The call with this id.
    #[must_use]
    pub fn at(&self, id: CallId) -> Option<&Call<P>> {
        self.calls.get(&id).map(Box::as_ref)
    }

    /// An attempt was sent as transaction `tx` and is worth waiting for until `timeout` from now;
    /// after `late` it counts as late.
    pub fn sent(
        &mut self,
        now: Moment,
        id: CallId,
        tx: TxId,
        (timeout, late): (Duration, Option<Duration>),
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        self.due.remove(&(call.hedge.unwrap_or(call.due), id));
        call.attempts += 1;
        call.due = now + timeout;
        call.hedge = late.filter(|late| *late < timeout).map(|late| now + late);
        call.sent.push(tx);
        self.due.insert((call.hedge.unwrap_or(call.due), id));
        self.transactions.insert(tx, (id, now));
    }

    /// Whether none that is under way to the same peer began before `id`.
    #[must_use]
    pub fn is_oldest(&self, id: CallId) -> bool {
        let Some(call) = self.calls.get(&id) else {
            return false;
        };
        let first = (call.to.id, CallId(0));
        self.of_peer.range(first..).next() == Some(&(call.to.id, id))
    }

    /// No attempt is made in the place of one that is due: `id` goes on waiting, for `timeout`.
    pub fn pass(&mut self, now: Moment, id: CallId, timeout: Duration) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        self.due
            .remove(&(call.hedge.take().unwrap_or(call.due), id));
        call.attempts += 1;
        call.due = now + timeout;
        self.due.insert((call.due, id));
    }

    /// Nobody waits for `id` any more. What comes all the same is evidence of life.
    pub fn abandon(&mut self, now: Moment, id: CallId) {
        self.remove(id, now);
    }

    /// Whether `tx` is an attempt under way to `from`.
    #[must_use]
    pub fn expects(&self, tx: TxId, from: std::net::SocketAddr) -> bool {
        let call = self
            .transactions
            .get(&tx)
            .and_then(|(id, _)| self.calls.get(id));
        call.is_some_and(|call| call.to.addr == from) || self.gone_at(tx, from).is_some()
    }

    /// A reply to an attempt whose call is over: to whom it went, and when. It is evidence of life
    /// and a measured round trip all the same.
    pub fn answered_late(
        &mut self,
        tx: TxId,
        from: std::net::SocketAddr,
    ) -> Option<(Entry, Moment)> {
        let at = self.gone_at(tx, from)?;
        self.gone.remove(at).map(|gone| (gone.to, gone.sent))
    }

    fn gone_at(&self, tx: TxId, from: std::net::SocketAddr) -> Option<usize> {
        let is_it = |gone: &Gone| gone.tx == tx && gone.to.addr == from;
        self.gone.iter().position(is_it)
    }

    /// The call answered by transaction `tx` from `from`, which ends with that, and when that
    /// attempt was sent.
    pub fn answered(
        &mut self,
        now: Moment,
        tx: TxId,
        from: std::net::SocketAddr,
    ) -> Option<(Call<P>, Moment)> {
        let &(id, sent) = self.transactions.get(&tx)?;
        if self.calls.get(&id)?.to.addr != from {
            return None;
        }
        self.transactions.remove(&tx);
        self.remove(id, now).map(|call| (call, sent))
    }

    /// One call whose time is over; ask until `None`.
    pub fn due(&mut self, now: Moment) -> Option<Due<P>> {
        let &(at, id) = self.due.first()?;
        if at > now {
            return None;
        }
        let call = self.calls.get_mut(&id)?;
        if call.hedge.take().is_some() {
            self.due.remove(&(at, id));
            self.due.insert((call.due, id));
            return Some(Due::Late(id));
        }
        if call.attempts < call.attempts_max {
            return Some(Due::Retry(id));
        }
        self.remove(id, now).map(Due::Failed)
    }

    /// This node was late itself: every call due by `now` gets `grace` more, uncounted, so that
    /// answers waiting in the socket are read before anyone is blamed. Says how many got it.
    pub fn forgive(&mut self, now: Moment, grace: Duration) -> u64 {
        let late: Vec<_> = self
            .due
            .range(..=(now, CallId(u64::MAX)))
            .map(|(_, id)| *id)
            .collect();
        let mut forgiven = 0;
        for id in late {
            let Some(call) = self.calls.get_mut(&id) else {
                continue;
            };
            if call.graces >= GRACES_MAX {
                continue;
            }
            self.due
                .remove(&(call.hedge.take().unwrap_or(call.due), id));
            call.graces += 1;
            call.due = now + grace;
            self.due.insert((call.due, id));
            forgiven += 1;
        }
        forgiven
    }

    /// When the next call is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    fn remove(&mut self, id: CallId, now: Moment) -> Option<Call<P>> {
        let call = self.calls.remove(&id)?;
        self.due.remove(&(call.hedge.unwrap_or(call.due), id));
        self.of_peer.remove(&(call.to.id, id));
        while let Some(oldest) = self.gone.front() {
            let room = self.gone.len() + call.sent.len() <= GONE_MAX;
            if room && now.since(oldest.over) < GONE_FOR {
                break;
            }
            self.gone.pop_front();
        }
        for tx in &call.sent {
            if let Some((_, sent)) = self.transactions.remove(tx) {
                let (tx, to, over) = (*tx, call.to, now);
                self.gone.push_back(Gone { tx, to, sent, over });
            }
        }
        debug_assert!(self.transactions.len() <= 8 * (self.calls.len() + 1));
        Some(*call)
    }
}

impl<P> Default for Calls<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn started() -> (Calls<()>, CallId, Entry) {
        let addr = "192.0.2.1:7400".parse().unwrap();
        let to = Entry {
            id: NodeId::of(addr),
            addr,
        };
        let mut calls = Calls::new();
        let ask = Ask::Ping {
            services: Vec::new(),
        };
        let id = calls.start(at(0), (to, 0, ask), (), 2);
        calls.sent(at(0), id, TxId(1), (TIMEOUT, None));
        (calls, id, to)
    }

    #[test]
    fn an_answer_to_any_attempt_ends_the_call() {
        let (mut calls, id, to) = started();
        assert!(matches!(calls.due(at(100)), Some(Due::Retry(due)) if due == id));
        calls.sent(at(100), id, TxId(2), (TIMEOUT, None));
        assert!(calls.due(at(150)).is_none());
        let (call, sent) = calls.answered(at(150), TxId(1), to.addr).unwrap();
        assert_eq!((call.attempts, sent), (2, at(0)));
        assert!(calls.answered(at(160), TxId(2), to.addr).is_none());
        assert!(calls.is_empty() && calls.next_due().is_none());
    }

    #[test]
    fn an_answer_from_elsewhere_is_no_answer() {
        let (mut calls, _, _) = started();
        assert!(
            calls
                .answered(at(9), TxId(1), "192.0.2.2:7400".parse().unwrap())
                .is_none()
        );
        assert_eq!(calls.len(), 1);
    }

    #[test]
    fn an_answer_that_nobody_waits_for_counts_once_and_for_a_while() {
        let (mut calls, id, to) = started();
        calls.sent(at(100), id, TxId(2), (TIMEOUT, None));
        assert!(calls.answered(at(150), TxId(1), to.addr).is_some());
        assert!(calls.answered_late(TxId(1), to.addr).is_none(), "answered");
        assert!(calls.expects(TxId(2), to.addr));
        let late = calls.answered_late(TxId(2), to.addr).unwrap();
        assert_eq!(late, (to, at(100)));
        assert!(calls.answered_late(TxId(2), to.addr).is_none());
    }

    #[test]
    fn attempts_of_calls_that_are_over_are_bounded_and_forgotten() {
        let (mut calls, _, to) = started();
        assert!(calls.answered(at(50), TxId(1), to.addr).is_some());
        let fail = |calls: &mut Calls<()>, tx: u64, now: Moment| {
            let ask = Ask::Ping {
                services: Vec::new(),
            };
            let id = calls.start(now, (to, 0, ask), (), 1);
            calls.sent(now, id, TxId(tx), (TIMEOUT, None));
            while calls.due(now + TIMEOUT).is_some() {}
        };
        for tx in 0..1_000 {
            fail(&mut calls, 100 + tx, at(1_000));
        }
        assert_eq!(calls.gone.len(), GONE_MAX);
        assert!(!calls.expects(TxId(100), to.addr));
        assert!(calls.expects(TxId(1_099), to.addr));
        fail(&mut calls, 9_999, at(1_000) + 2 * GONE_FOR);
        assert_eq!(calls.gone.len(), 1);
    }

    #[test]
    fn fails_after_the_last_attempt() {
        let (mut calls, id, _) = started();
        calls.sent(at(100), id, TxId(2), (TIMEOUT, None));
        assert!(matches!(calls.due(at(200)), Some(Due::Failed(_))));
        assert!(calls.due(at(900)).is_none());
    }

    #[test]
    fn is_late_once_before_it_is_due() {
        let (mut calls, id, to) = started();
        let late = Some(Duration::from_millis(40));
        calls.sent(at(100), id, TxId(2), (TIMEOUT, late));
        assert!(calls.due(at(139)).is_none());
        assert!(matches!(calls.due(at(140)), Some(Due::Late(_))));
        assert!(calls.due(at(199)).is_none());
        assert_eq!(calls.next_due(), Some(at(200)));
        assert!(calls.answered(at(199), TxId(2), to.addr).is_some());
        assert_eq!(calls.next_due(), None);
    }

    #[test]
    fn only_the_oldest_call_to_a_peer_is_worth_another_attempt() {
        let (mut calls, first, to) = started();
        let ask = Ask::Ping {
            services: Vec::new(),
        };
        let second = calls.start(at(10), (to, 0, ask), (), 2);
        calls.sent(at(10), second, TxId(2), (TIMEOUT, None));
        assert!(calls.is_oldest(first) && !calls.is_oldest(second));
        assert!(matches!(calls.due(at(110)), Some(Due::Retry(due)) if due == first));
        calls.sent(at(110), first, TxId(3), (TIMEOUT, None));
        assert!(matches!(calls.due(at(110)), Some(Due::Retry(due)) if due == second));
        calls.pass(at(110), second, TIMEOUT);
        assert!(calls.answered(at(120), TxId(3), to.addr).is_some());
        assert!(calls.is_oldest(second));
        assert!(calls.answered(at(130), TxId(2), to.addr).is_some());
        assert!(calls.is_empty() && calls.next_due().is_none());
    }

    #[test]
    fn an_abandoned_call_is_answered_late() {
        let (mut calls, id, to) = started();
        calls.abandon(at(50), id);
        assert!(calls.is_empty() && calls.next_due().is_none());
        assert!(calls.answered_late(TxId(1), to.addr).is_some());
    }

    #[test]
    fn own_lateness_is_forgiven_a_bounded_number_of_times() {
        let (mut calls, _, _) = started();
        for n in 1..=u64::from(GRACES_MAX) {
            assert_eq!(calls.forgive(at(n * 1_000), TIMEOUT), 1);
            assert!(calls.due(at(n * 1_000)).is_none());
        }
        assert_eq!(calls.forgive(at(9_000), TIMEOUT), 0);
        assert!(calls.due(at(9_000)).is_some());
    }
}
