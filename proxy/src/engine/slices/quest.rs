//! Where the bytes of one slice come from, and where next when that fails.
//!
//! Own memory, own disk and a fetch under way here have been tried before a quest begins. What remains, in
//! order: peers that the index names for its extent, the origin. A source that breaks off is followed by the
//! next one, which gives the rest; the origin is asked once more, since it may have been the connection.
//!
//! There is no stale copy to fall back on, and none is needed: a slice is of one version for ever, and
//! whether that version may be shown is decided for its manifest.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::engine::peers::TRIED_MAX;
use crate::engine::reason::FailReason;

/// What the shell does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Ask the index who has it, and claim its extent if nobody does.
    AskIndex,
    /// Fetch it from this peer.
    Peer(SocketAddr),
    /// Fetch it from the origin.
    Origin,
    /// There is no way to get it.
    Fail(FailReason),
}

/// What became of an act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// These have it, or may: in the order to ask them.
    Located(Vec<SocketAddr>),
    /// The peer gave nothing, or broke off.
    PeerFailed,
    /// The origin failed, or broke off, for this.
    OriginFailed(FailReason),
}

/// The search for one slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quest {
    peers: VecDeque<SocketAddr>,
    /// Times the origin has failed.
    failed: u32,
}

impl Quest {
    /// A search, and what it begins with.
    #[must_use]
    pub const fn begin(ask_index: bool) -> (Self, Act) {
        let quest = Self {
            peers: VecDeque::new(),
            failed: 0,
        };
        let act = if ask_index {
            Act::AskIndex
        } else {
            Act::Origin
        };
        (quest, act)
    }

    /// The next act after `news`.
    pub fn next(&mut self, news: News) -> Act {
        match news {
            News::Located(peers) => {
                self.peers = peers.into_iter().take(TRIED_MAX).collect();
                self.ask_next()
            }
            News::PeerFailed => self.ask_next(),
            News::OriginFailed(reason) => {
                self.failed += 1;
                match reason {
                    FailReason::Truncated | FailReason::Broken | FailReason::BodyTimeout
                        if self.failed == 1 =>
                    {
                        Act::Origin
                    }
                    reason => Act::Fail(reason),
                }
            }
        }
    }

    fn ask_next(&mut self) -> Act {
        self.peers.pop_front().map_or(Act::Origin, Act::Peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 1))
    }

    #[test]
    fn asks_a_bounded_number_of_peers_and_then_the_origin() {
        let (mut quest, first) = Quest::begin(true);
        assert_eq!(first, Act::AskIndex);
        let mut acts = vec![quest.next(News::Located((1..9).map(addr).collect()))];
        while matches!(acts.last(), Some(Act::Peer(_))) {
            acts.push(quest.next(News::PeerFailed));
        }
        let peers: Vec<_> = (1..4).map(|last| Act::Peer(addr(last))).collect();
        assert_eq!(acts, [peers, vec![Act::Origin]].concat());
        assert_eq!(Quest::begin(false).1, Act::Origin);
    }

    #[test]
    fn a_broken_line_is_tried_again_and_a_refusal_is_not() {
        let (mut quest, _) = Quest::begin(false);
        let broke = News::OriginFailed(FailReason::Truncated);
        assert_eq!(quest.next(broke.clone()), Act::Origin);
        assert_eq!(quest.next(broke), Act::Fail(FailReason::Truncated));
        for reason in [
            FailReason::Changed,
            FailReason::RangeIgnored,
            FailReason::ConnectRefused,
        ] {
            let (mut quest, _) = Quest::begin(false);
            assert_eq!(quest.next(News::OriginFailed(reason)), Act::Fail(reason));
        }
    }
}
