//! Where a fill gets its bytes from, and where next when that fails: the order of resort.
//!
//! Own memory, own disk and a fetch under way here have been tried before a pursuit begins (that is
//! [`flow`](super::flow)). What remains, in order: a peer that has it, the origin, a stale copy
//! here, a stale copy at a peer, a clear error. After the first byte the order is: resume at
//! another peer, take the fetch over or resume at who does, resume at the origin, give up.
//!
//! A pure machine: the shell carries an [`Act`] out and reports what became of it as [`News`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::reason::FailReason;

/// Attempts to go on after a body broke; each asks a source not asked since.
pub const RESUMES_MAX: u32 = 4;

/// How long the index may take to say who goes on with a fetch whose source died: readers stand
/// still meanwhile.
pub const TAKE_OVER_WITHIN: Duration = Duration::from_secs(1);

/// What the shell does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Ask the index who has it, and claim it if nobody does.
    AskIndex,
    /// Claim what the last source left behind, or hear who goes on with it: the source died under
    /// all who drew from it, and the origin should be asked by one.
    TakeOver,
    /// See which of the two can be reached: the first, unless it is slow to answer a connect and the
    /// second is not. Pointers outlive those who left them, and a machine that is gone does not say so.
    Reach(SocketAddr, SocketAddr),
    /// Fetch from this peer; a stale copy will do only if `stale`.
    Peer {
        /// Its peer port.
        peer: SocketAddr,
        /// Whether a stale copy is welcome, because nothing else is left.
        stale: bool,
    },
    /// Fetch from the origin, conditionally if there is a copy to validate.
    Origin,
    /// Answer with the stale copy held here, for this failure.
    StaleHere(FailReason),
    /// Answer with an error.
    Fail(FailReason),
}

/// What became of an act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// The index named these peers, in the order to ask them.
    Located(Vec<SocketAddr>),
    /// The index knows nobody; the claim is ours.
    Granted,
    /// The index did not answer in time, or there is none.
    NoIndex,
    /// This one of two peers can be reached; or neither.
    Reached(Option<SocketAddr>),
    /// The peer gave nothing. It may have said who does.
    PeerFailed {
        /// Whom it named instead.
        instead: Option<SocketAddr>,
    },
    /// The origin could not be reached, or answered with a failure of its own.
    OriginFailed(FailReason),
    /// The origin confirmed something that is not what is here: it has to be asked for the thing
    /// itself.
    Unconfirmed,
    /// Bytes were flowing and broke off.
    BodyBroke(FailReason),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Waiting for the index.
    Locating,
    /// Asking a peer for a fresh copy.
    Peers,
    /// Asking a peer for the rest, or the index who has it.
    Rest,
    /// Asking those who go on with it for the rest.
    Successors,
    /// Asking the origin.
    Origin,
    /// Asking a peer for a stale copy, since the origin failed for this.
    StalePeers(FailReason),
    /// Nothing is left.
    Over,
}

/// One fill's search for its bytes.
#[derive(Clone, Debug)]
pub struct Pursuit {
    phase: Phase,
    /// Peers not yet asked in this phase.
    queue: VecDeque<SocketAddr>,
    /// Peers asked and found wanting.
    asked: Vec<SocketAddr>,
    /// Whether those at the head of the queue were tried for one that can be reached.
    reached: bool,
    /// Whether a stale copy is held here that may be used.
    stale_here: bool,
    /// How often a body has broken off so far.
    resumes: u32,
    /// How often the origin has been asked to go on where it broke off itself.
    again: u32,
}

impl Pursuit {
    /// A pursuit, with a stale copy in hand or not. Begins with [`Act::AskIndex`] if there is an
    /// index and the object may be shared, else with [`Act::Origin`].
    #[must_use]
    pub fn begin(ask_index: bool, stale_here: bool) -> (Self, Act) {
        let phase = if ask_index {
            Phase::Locating
        } else {
            Phase::Origin
        };
        let act = if ask_index {
            Act::AskIndex
        } else {
            Act::Origin
        };
        let (queue, asked) = (VecDeque::new(), Vec::new());
        (
            Self {
                phase,
                queue,
                asked,
                reached: false,
                stale_here,
                resumes: 0,
                again: 0,
            },
            act,
        )
    }

    /// The next act after `news`.
    pub fn next(&mut self, news: News) -> Act {
        match news {
            // Locating ⇒ (Peers | Origin);  Rest ⇒ (Successors | Origin)
            News::Located(peers) => {
                self.queue = peers.into();
                self.queue.retain(|peer| !self.asked.contains(peer));
                self.reached = false;
                self.phase = match self.phase {
                    Phase::Rest => Phase::Successors,
                    _ => Phase::Peers,
                };
                self.next_peer()
            }
            News::Granted | News::NoIndex | News::Unconfirmed => self.ask_origin(),
            News::Reached(who) => {
                self.reached(who);
                self.next_peer()
            }
            // Peers ⇒ (Peers | Origin);  Rest ⇒ Rest;  Successors ⇒ (Successors | Origin);
            // StalePeers ⇒ (StalePeers | Over)
            News::PeerFailed { instead } => {
                if let Some(peer) = instead.filter(|peer| !self.asked.contains(peer)) {
                    self.queue.push_front(peer);
                }
                self.next_peer()
            }
            // Origin ⇒ (StalePeers | Over)
            News::OriginFailed(reason) if self.stale_here => {
                self.phase = Phase::Over;
                Act::StaleHere(reason)
            }
            News::OriginFailed(reason) => {
                self.phase = Phase::StalePeers(reason);
                self.queue = std::mem::take(&mut self.asked).into();
                self.next_peer()
            }
            News::BodyBroke(reason) => self.resume(reason),
        }
    }

    /// Puts the one that can be reached first; who cannot is not asked.
    fn reached(&mut self, who: Option<SocketAddr>) {
        self.reached = true;
        let Some(who) = who else {
            let unreachable = self.queue.len().min(2);
            return self.asked.extend(self.queue.drain(..unreachable));
        };
        if let Some(at) = self.queue.iter().position(|peer| *peer == who) {
            self.queue.swap(0, at);
        }
    }

    fn next_peer(&mut self) -> Act {
        // Once per list: what is left after that is tried one by one.
        if let (false, Some(first), Some(second)) =
            (self.reached, self.queue.front(), self.queue.get(1))
        {
            return Act::Reach(*first, *second);
        }
        // The queue is ranked and short; what a refusing peer adds is bounded by `asked`.
        let room = self.asked.len() < super::peers::TRIED_MAX * 2;
        match (self.queue.pop_front().filter(|_| room), self.phase) {
            (Some(peer), Phase::StalePeers(_)) => {
                self.asked.push(peer);
                Act::Peer { peer, stale: true }
            }
            (Some(peer), _) => {
                self.asked.push(peer);
                Act::Peer { peer, stale: false }
            }
            (None, Phase::StalePeers(reason)) => {
                self.phase = Phase::Over;
                Act::Fail(reason)
            }
            (None, Phase::Rest) => Act::TakeOver,
            (None, _) => self.ask_origin(),
        }
    }

    const fn ask_origin(&mut self) -> Act {
        self.phase = Phase::Origin;
        Act::Origin
    }

    /// A source broke off: another peer, then who takes it over, then the origin, a bounded number of
    /// times.
    fn resume(&mut self, reason: FailReason) -> Act {
        self.resumes += 1;
        if self.resumes > RESUMES_MAX {
            self.phase = Phase::Over;
            return Act::Fail(reason);
        }
        match self.phase {
            // (Peers | Rest) ⇒ Rest
            Phase::Peers | Phase::Rest => {
                self.phase = Phase::Rest;
                self.next_peer()
            }
            // The one whose turn it was died as well: whose turn is it now?
            Phase::Successors => {
                self.phase = Phase::Rest;
                self.queue.clear();
                Act::TakeOver
            }
            // The origin itself broke: once more, it may have been the connection.
            Phase::Origin if self.again == 0 => {
                self.again += 1;
                Act::Origin
            }
            Phase::Locating | Phase::Origin | Phase::StalePeers(_) | Phase::Over => {
                self.phase = Phase::Over;
                Act::Fail(reason)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 8081))
    }

    fn fresh(last: u8) -> Act {
        Act::Peer {
            peer: addr(last),
            stale: false,
        }
    }

    fn reach() -> Act {
        Act::Reach(addr(1), addr(2))
    }

    const REFUSED: News = News::PeerFailed { instead: None };
    const DOWN: FailReason = FailReason::ConnectRefused;

    /// Feeds `news` in order and returns the acts.
    fn play(ask_index: bool, stale_here: bool, news: &[News]) -> Vec<Act> {
        let (mut pursuit, first) = Pursuit::begin(ask_index, stale_here);
        let mut acts = vec![first];
        acts.extend(news.iter().map(|item| pursuit.next(item.clone())));
        acts
    }

    #[test]
    fn asks_the_origin_when_the_claim_is_granted_or_the_index_silent() {
        for news in [News::Granted, News::NoIndex] {
            assert_eq!(play(true, false, &[news]), [Act::AskIndex, Act::Origin]);
        }
        assert_eq!(play(false, false, &[]), [Act::Origin]);
    }

    #[test]
    fn asks_each_peer_once_before_the_origin() {
        let located = News::Located(vec![addr(1), addr(2)]);
        let reached = News::Reached(Some(addr(1)));
        let acts = play(true, false, &[located, reached, REFUSED, REFUSED]);
        assert_eq!(
            acts,
            [Act::AskIndex, reach(), fresh(1), fresh(2), Act::Origin]
        );
    }

    #[test]
    fn asks_first_who_can_be_reached_and_never_who_cannot() {
        let located = News::Located(vec![addr(1), addr(2), addr(3)]);
        let second = News::Reached(Some(addr(2)));
        let acts = play(true, false, &[located.clone(), second, REFUSED, REFUSED]);
        assert_eq!(acts, [Act::AskIndex, reach(), fresh(2), fresh(1), fresh(3)]);
        let acts = play(true, false, &[located, News::Reached(None), REFUSED]);
        assert_eq!(acts, [Act::AskIndex, reach(), fresh(3), Act::Origin]);
    }

    #[test]
    fn follows_a_peer_that_names_another_but_never_in_a_circle() {
        let located = News::Located(vec![addr(1)]);
        let see = |last| News::PeerFailed {
            instead: Some(addr(last)),
        };
        let acts = play(true, false, &[located, see(2), see(1)]);
        assert_eq!(acts, [Act::AskIndex, fresh(1), fresh(2), Act::Origin]);
    }

    #[test]
    fn falls_back_to_a_stale_copy_here_then_at_a_peer_then_an_error() {
        let failed = News::OriginFailed(DOWN);
        let acts = play(true, true, &[News::Granted, failed.clone()]);
        assert_eq!(acts, [Act::AskIndex, Act::Origin, Act::StaleHere(DOWN)]);

        let located = News::Located(vec![addr(1)]);
        let acts = play(true, false, &[located, REFUSED, failed.clone(), REFUSED]);
        let stale = Act::Peer {
            peer: addr(1),
            stale: true,
        };
        assert_eq!(
            acts,
            [Act::AskIndex, fresh(1), Act::Origin, stale, Act::Fail(DOWN)]
        );

        let acts = play(true, false, &[News::Granted, failed]);
        assert_eq!(acts, [Act::AskIndex, Act::Origin, Act::Fail(DOWN)]);
    }

    #[test]
    fn a_broken_body_is_resumed_elsewhere_a_bounded_number_of_times() {
        let broke = News::BodyBroke(FailReason::Truncated);
        let located = News::Located(vec![addr(1), addr(2)]);
        let acts = play(
            true,
            false,
            &[
                located,
                News::Reached(Some(addr(1))),
                broke.clone(),
                broke.clone(),
                News::NoIndex,
                broke.clone(),
                broke.clone(),
            ],
        );
        let over = Act::Fail(FailReason::Truncated);
        let (origin, take_over) = (Act::Origin, Act::TakeOver);
        assert_eq!(
            acts,
            [
                Act::AskIndex,
                reach(),
                fresh(1),
                fresh(2),
                take_over,
                origin,
                origin,
                over
            ]
        );
        let acts = play(false, false, &[broke.clone(), broke]);
        assert_eq!(acts, [origin, origin, over]);
    }

    #[test]
    fn the_rest_comes_from_who_takes_over_and_never_from_who_died() {
        let broke = News::BodyBroke(FailReason::Broken);
        let located = |peers: &[u8]| News::Located(peers.iter().map(|last| addr(*last)).collect());
        let news = [
            located(&[1]),
            broke.clone(),
            located(&[1, 3]),
            broke.clone(),
            located(&[1, 3, 4]),
            REFUSED,
        ];
        let acts = play(true, false, &news);
        let take_over = Act::TakeOver;
        assert_eq!(
            acts,
            [
                Act::AskIndex,
                fresh(1),
                take_over,
                fresh(3),
                take_over,
                fresh(4),
                Act::Origin
            ]
        );
        let acts = play(true, false, &[located(&[1]), broke, located(&[1])]);
        assert_eq!(acts.last(), Some(&Act::Origin), "nobody else: it is ours");
    }

    #[test]
    fn a_chain_of_referrals_ends_at_the_origin() {
        let (mut pursuit, _) = Pursuit::begin(true, false);
        let mut act = pursuit.next(News::Located(vec![addr(1)]));
        let mut hops: u8 = 1;
        while matches!(act, Act::Peer { .. }) {
            hops += 1;
            assert!(hops < 20, "no end to the referrals");
            let instead = Some(addr(hops));
            act = pursuit.next(News::PeerFailed { instead });
        }
        assert_eq!(act, Act::Origin);
    }
}
