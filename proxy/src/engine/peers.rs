//! Which of the proxies that the index named is asked first, and which not at all.
//!
//! A peer that gave bytes which were not what they were said to be is blamed and not asked again
//! for ten minutes; one that could not be reached for ten seconds.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::expiring::ExpiringMap;

use super::pointer::{Pointer, Progress};
use super::policy::may_be_peer;
use super::reason::FailReason;

/// Peers remembered as bad; when full, the one nearest to pardon is pardoned.
pub const BLAMED_MAX: usize = 1_024;

/// Peers tried for one fill before the origin is asked: each failure costs a connect.
pub const TRIED_MAX: usize = 3;

/// How long a peer that lied is not asked.
const LIAR: Duration = Duration::from_secs(600);

/// How long a peer that could not be reached is not asked.
const UNREACHABLE: Duration = Duration::from_secs(10);

/// Peers with a grudge held against them.
#[derive(Clone, Debug)]
pub struct Blame {
    blamed: ExpiringMap<SocketAddr, FailReason>,
}

impl Default for Blame {
    fn default() -> Self {
        Self {
            blamed: ExpiringMap::new(BLAMED_MAX),
        }
    }
}

impl Blame {
    /// Remembers that `peer` failed for `reason`. A peer that merely has no copy is not to blame.
    pub fn failed(&mut self, now: Moment, peer: SocketAddr, reason: FailReason) {
        let span = match reason {
            FailReason::Digest | FailReason::Malformed => LIAR,
            FailReason::ConnectRefused
            | FailReason::ConnectTimeout
            | FailReason::ConnectError
            | FailReason::HeaderTimeout
            | FailReason::BodyTimeout => UNREACHABLE,
            _ => return,
        };
        while self.blamed.expire(now).is_some() {}
        self.blamed.insert(peer, reason, now + span);
    }

    /// Why `peer` is not asked at the moment, if it is not.
    #[must_use]
    pub fn against(&self, now: Moment, peer: &SocketAddr) -> Option<FailReason> {
        self.blamed.at(peer, now).copied()
    }

    /// Peers blamed now, for the state page.
    pub fn iter(&self, now: Moment) -> impl Iterator<Item = (&SocketAddr, &FailReason)> {
        self.blamed.iter(now)
    }
}

/// The order in which to ask the proxies behind `pointers`: complete copies before ones under way,
/// in the order the index gave (near first), each peer once, never `own` nor a blamed one.
#[must_use]
pub fn rank(
    now: Moment,
    own: Option<SocketAddr>,
    pointers: &[Pointer],
    blame: &Blame,
) -> Vec<SocketAddr> {
    let mut ranked: Vec<SocketAddr> = Vec::new();
    let complete = |p: &&Pointer| matches!(p.progress, Progress::Complete { .. });
    let first = pointers.iter().filter(complete);
    let second = pointers.iter().filter(|p| !complete(p));
    for pointer in first.chain(second) {
        let peer = pointer.peer;
        let usable = may_be_peer(peer.ip()) && own != Some(peer);
        if usable && !ranked.contains(&peer) && blame.against(now, &peer).is_none() {
            ranked.push(peer);
        }
    }
    ranked.truncate(TRIED_MAX);
    ranked
}

/// The word for an answer from a peer that the index found at `level` (0 is the world, higher is
/// nearer), or that another peer named.
#[must_use]
pub const fn word_of(level: Option<u8>) -> &'static str {
    match level {
        Some(0) => "peer-L0",
        Some(1) => "peer-L1",
        Some(2) => "peer-L2",
        Some(3) => "peer-L3",
        Some(4) => "peer-L4",
        Some(5) => "peer-L5",
        Some(6) => "peer-L6",
        Some(7) => "peer-L7",
        Some(_) | None => "peer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 8081))
    }

    fn pointer(last: u8, complete: bool) -> Pointer {
        let whole = Progress::Complete {
            length: 1,
            digest: [0; 32],
        };
        let progress = if complete { whole } else { Progress::Fetching };
        Pointer {
            peer: addr(last),
            progress,
        }
    }

    #[test]
    fn asks_whole_copies_first_and_neither_itself_nor_a_liar() {
        let mut blame = Blame::default();
        let now = Moment::ZERO;
        blame.failed(now, addr(4), FailReason::Digest);
        blame.failed(now, addr(2), FailReason::PeerRefused);
        let pointers = [
            pointer(1, false),
            pointer(2, true),
            pointer(3, true),
            pointer(4, true),
            pointer(2, true),
        ];
        assert_eq!(
            rank(now, Some(addr(3)), &pointers, &blame),
            [addr(2), addr(1)]
        );
        let later = now + Duration::from_secs(601);
        assert_eq!(
            rank(later, None, &pointers, &blame),
            [addr(2), addr(3), addr(4)]
        );
    }

    #[test]
    fn remembers_a_bounded_number_of_grudges() {
        let mut blame = Blame::default();
        for n in 0..2_000u16 {
            let peer = SocketAddr::from(([10, 0, 0, 1], n));
            blame.failed(Moment::ZERO, peer, FailReason::ConnectRefused);
        }
        assert_eq!(blame.iter(Moment::ZERO).count(), BLAMED_MAX);
    }
}
