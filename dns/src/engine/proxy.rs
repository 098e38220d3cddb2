//! One proxy and the evidence about it.
//!
//! Two kinds of evidence count, both first-hand: pings of its index daemon, whose pong lists the
//! services of its machine, and HTTP requests for the check page through the proxy's real data
//! path. Leaving the set is quick, returning is slower.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;

use super::config::NearLevels;
use super::live::{Member, WEIGHT_MAX};
use super::reason::Fault;

/// Successes in a row, of each kind, that make a new proxy live. One, so that a network that starts
/// answers at once; a proxy that has failed before needs [`SUCCESSES_TO_RETURN`].
pub const SUCCESSES_TO_ENTER: u8 = 1;

/// Successes in a row, of each kind, that bring a proxy back.
pub const SUCCESSES_TO_RETURN: u8 = 2;

/// Pings missed in a row that take a proxy out: one datagram may be lost.
pub const PINGS_MISSED_MAX: u8 = 2;

/// Part of the smoothed round trip that one pong is.
const SMOOTHING: u32 = 8;

/// Part of a round trip by which it has to be below a threshold before it counts as inside.
const STICKINESS: u32 = 8;

/// Where a proxy stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Heard of, not yet seen alive.
    Unverified,
    /// Named in answers.
    Live {
        /// Since when.
        since: Moment,
    },
    /// Not named.
    Out {
        /// Why.
        fault: Fault,
        /// Since when.
        since: Moment,
    },
}

impl Standing {
    /// The word for logs, metrics and the state page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Live { .. } => "live",
            Self::Out { .. } => "out",
        }
    }
}

/// A change of standing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Whose.
    pub proxy: SocketAddr,
    /// From.
    pub from: Standing,
    /// To.
    pub to: Standing,
}

/// Outcomes in a row of one kind of check; at most one of the two is not zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Streak {
    /// Successes since the last failure or change of standing.
    pub successes: u8,
    /// Failures since the last success.
    pub failures: u8,
}

impl Streak {
    const fn succeed(&mut self) {
        self.successes = self.successes.saturating_add(1);
        self.failures = 0;
    }

    const fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
    }
}

/// One proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Where it serves HTTP; what identifies it.
    pub http: SocketAddr,
    /// Its index daemon; `None` for a proxy that only the configuration names.
    pub index: Option<SocketAddr>,
    /// Whether the configuration names it: then it is never forgotten.
    pub fixed: bool,
    /// Where it stands.
    pub standing: Standing,
    /// When the index last mentioned it.
    pub mentioned: Moment,
    /// When it last stopped being live.
    pub left: Option<Moment>,
    /// What the last failed check said, live or not.
    pub last_fault: Option<Fault>,
    /// Round-trip time of the last pong.
    pub ping_rtt: Option<Duration>,
    /// Smoothed round-trip time of its pongs.
    pub distance: Option<Duration>,
    /// How near that is to this server.
    pub level: u8,
    /// How much more it could do, in percent, as it said last; 0 is full.
    pub spare: u8,
    /// Time of the last page served.
    pub http_took: Option<Duration>,
    /// Pings in a row.
    pub pings: Streak,
    /// HTTP checks in a row.
    pub fetches: Streak,
}

impl Proxy {
    /// A proxy just heard of.
    #[must_use]
    pub const fn new(http: SocketAddr, index: Option<SocketAddr>, now: Moment) -> Self {
        Self {
            http,
            index,
            fixed: false,
            standing: Standing::Unverified,
            mentioned: now,
            left: None,
            last_fault: None,
            ping_rtt: None,
            distance: None,
            level: 0,
            spare: 100,
            http_took: None,
            pings: Streak {
                successes: 0,
                failures: 0,
            },
            fetches: Streak {
                successes: 0,
                failures: 0,
            },
        }
    }

    /// Whether answers may name it.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.standing, Standing::Live { .. })
    }

    /// Its index answered and lists it.
    pub fn pong(&mut self, rtt: Duration, levels: &NearLevels) {
        self.ping_rtt = Some(rtt);
        let distance = match self.distance {
            Some(known) => (known * (SMOOTHING - 1) + rtt) / SMOOTHING,
            None => rtt,
        };
        self.distance = Some(distance);
        // Outward at the threshold, inward well below it: what lies on it does not waver.
        let inward = levels.of(distance + distance / STICKINESS);
        self.level = levels.of(distance).min(self.level.max(inward));
        self.pings.succeed();
    }

    /// As answers are to name it.
    #[must_use]
    pub fn member(&self) -> Member {
        Member {
            address: self.http.ip(),
            level: self.level,
            weight: self.spare.div_ceil(100 / WEIGHT_MAX).min(WEIGHT_MAX),
        }
    }

    /// Its index did not answer. Live ⇒ (Live | Out).
    pub fn ping_missed(&mut self, now: Moment) -> Option<Change> {
        self.pings.fail();
        if self.pings.failures < PINGS_MISSED_MAX {
            return None;
        }
        self.take_out(Fault::PingMissed, now)
    }

    /// Its page was served, and said how much more it could do.
    pub const fn served(&mut self, took: Duration, spare: u8) {
        self.http_took = Some(took);
        self.spare = spare;
        self.fetches.succeed();
    }

    /// Its page was not served, or it asked to be left alone. Live ⇒ Out.
    pub fn refused(&mut self, fault: Fault, now: Moment) -> Option<Change> {
        self.fetches.fail();
        self.take_out(fault, now)
    }

    /// Its index answers but does not list it. Live ⇒ Out.
    pub fn unlisted(&mut self, now: Moment) -> Option<Change> {
        self.pings.fail();
        self.take_out(Fault::ServiceGone, now)
    }

    /// Forgets failures that did not take it out: they were seen by a starved process.
    pub const fn forgive(&mut self) {
        self.pings.failures = 0;
        self.fetches.failures = 0;
    }

    /// (Unverified | Out) ⇒ Live, if the evidence suffices. `pings_count` is false while the local
    /// index is gone and nobody can be pinged; then HTTP alone decides.
    pub fn settle(&mut self, pings_count: bool, now: Moment) -> Option<Change> {
        let needed = match self.standing {
            Standing::Live { .. } => return None,
            Standing::Unverified => SUCCESSES_TO_ENTER,
            Standing::Out { .. } => SUCCESSES_TO_RETURN,
        };
        let pinged = !pings_count || self.index.is_none() || self.pings.successes >= needed;
        if !pinged || self.fetches.successes < needed {
            return None;
        }
        Some(self.change(Standing::Live { since: now }))
    }

    fn take_out(&mut self, fault: Fault, now: Moment) -> Option<Change> {
        self.last_fault = Some(fault);
        if !self.is_live() {
            return None;
        }
        self.left = Some(now);
        // What came before does not count towards the return.
        self.pings.successes = 0;
        self.fetches.successes = 0;
        Some(self.change(Standing::Out { fault, since: now }))
    }

    const fn change(&mut self, to: Standing) -> Change {
        let from = self.standing;
        self.standing = to;
        Change {
            proxy: self.http,
            from,
            to,
        }
    }
}
