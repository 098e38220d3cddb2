//! One checked proxy and the evidence about it.
//!
//! Two kinds of evidence count, both first-hand: pings of its index daemon, whose pong lists the
//! services of its machine, and HTTP requests for the check page through the proxy's real data
//! path. Leaving the set is quick; returning takes more, and each time longer for one that comes and
//! goes.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;

use super::config::NearLevels;
use super::live::{Member, WEIGHT_MAX};
use super::pace::{Pace, SLOW_MAX};
use super::reason::Fault;
use super::record::{Event, Record};
use super::share::Why;

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
/// A proxy that was live for so long before it failed does not come and go.
pub const STEADY_AFTER: Duration = Duration::from_secs(600);

/// How long a proxy that fails for the second time without a steady time between stays out at the
/// least; each further time twice as long, up to [`HOLD_MOST`].
pub const HOLD_FIRST: Duration = Duration::from_secs(10);

/// The longest that coming and going keeps a proxy out.
pub const HOLD_MOST: Duration = Duration::from_secs(320);

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
    /// Every word, in the order of the gauges.
    pub const WORDS: [&'static str; 3] = ["unverified", "live", "out"];

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
    /// Of one taken out for a failure: since the kind of check that failed last succeeded. No answer
    /// named it for longer after its death.
    pub unseen: Option<Duration>,
}

/// Outcomes in a row of one kind of check; at most one of the two is not zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Streak {
    /// Successes since the last failure or change of standing.
    pub successes: u8,
    /// Failures since the last success.
    pub failures: u8,
    /// When the last success was reported.
    pub good: Option<Moment>,
}

impl Streak {
    const fn succeed(&mut self, now: Moment) {
        self.successes = self.successes.saturating_add(1);
        self.failures = 0;
        self.good = Some(now);
    }

    const fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
    }
}

/// What coming and going costs a proxy. Outlives its seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hold {
    /// Failures without a steady time between.
    pub flaps: u8,
    /// It does not return before; `None`: whenever it is well.
    pub until: Option<Moment>,
}

impl Hold {
    /// It failed after having been live for `lived`.
    fn failed(&mut self, lived: Duration, now: Moment) {
        if lived >= STEADY_AFTER {
            self.flaps = 0;
        }
        self.flaps = self.flaps.saturating_add(1);
        let doublings = u32::from(self.flaps).checked_sub(2);
        self.until = doublings.map(|doublings| {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            now + HOLD_FIRST.saturating_mul(factor).min(HOLD_MOST)
        });
    }

    /// Whether it has to wait although it is well.
    #[must_use]
    pub fn holds(&self, now: Moment) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// What counts towards a return, beside the proxy's own evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// False while the local index is gone and nobody can be pinged: then HTTP alone decides.
    pub pings_count: bool,
    /// True while more are held back than are live: better one that comes and goes than nobody.
    pub holds_waived: bool,
}

/// One proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Where it serves HTTP; what identifies it.
    pub http: SocketAddr,
    /// Its index daemon; `None` for a proxy that only the configuration names.
    pub index: Option<SocketAddr>,
    /// Why it is checked.
    pub why: Why,
    /// Where it stands.
    pub standing: Standing,
    /// When it got its seat or last stopped being live: since when it is of no use.
    pub idle_since: Moment,
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
    /// Slow pages in a row.
    pub slow: u8,
    /// What its pages usually take.
    pub pace: Pace,
    /// What coming and going costs it.
    pub hold: Hold,
    /// For people to look at.
    pub record: Record,
}

impl Proxy {
    /// A proxy that just got a seat.
    #[must_use]
    pub fn new(
        http: SocketAddr,
        index: Option<SocketAddr>,
        (why, hold): (Why, Hold),
        now: Moment,
    ) -> Self {
        let mut record = Record::default();
        record.changed(now, Event::Seated(why));
        Self {
            http,
            index,
            why,
            standing: Standing::Unverified,
            idle_since: now,
            left: None,
            last_fault: None,
            ping_rtt: None,
            distance: None,
            level: 0,
            spare: 100,
            http_took: None,
            pings: Streak::default(),
            fetches: Streak::default(),
            slow: 0,
            pace: Pace::default(),
            hold,
            record,
        }
    }

    /// Whether answers may name it.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.standing, Standing::Live { .. })
    }

    /// Whether it is well and only what it did before keeps it out.
    #[must_use]
    pub fn is_held(&self, now: Moment) -> bool {
        !self.is_live() && self.fetches.successes > 0 && self.hold.holds(now)
    }

    /// Its index answered and lists it.
    pub fn pong(&mut self, rtt: Duration, levels: &NearLevels, now: Moment) {
        self.ping_rtt = Some(rtt);
        let distance = match self.distance {
            Some(known) => (known * (SMOOTHING - 1) + rtt) / SMOOTHING,
            None => rtt,
        };
        self.distance = Some(distance);
        // Outward at the threshold, inward well below it: what lies on it does not waver.
        let inward = levels.of(distance + distance / STICKINESS);
        self.level = levels.of(distance).min(self.level.max(inward));
        self.pings.succeed(now);
        self.record.pong(now, rtt);
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
        self.record.failed(now);
        if self.pings.failures < PINGS_MISSED_MAX {
            return None;
        }
        self.take_out(Fault::PingMissed, self.pings.good, now)
    }

    /// Its page was served in good time, or nobody can tell; and said how much more it could do.
    pub fn served(&mut self, took: Duration, spare: u8, now: Moment) {
        self.spare = spare;
        self.http_took = Some(took);
        self.slow = 0;
        self.pace.learn(Pace::serving(took, self.ping_rtt));
        self.fetches.succeed(now);
        self.record.page(now, took);
    }

    /// Its page was served too slowly. Live ⇒ (Live | Out).
    pub fn served_slowly(&mut self, took: Duration, now: Moment) -> Option<Change> {
        self.http_took = Some(took);
        self.slow = self.slow.saturating_add(1);
        self.pace.learn(Pace::serving(took, self.ping_rtt));
        self.fetches.successes = 0;
        self.record.page(now, took);
        if self.slow < SLOW_MAX {
            return None;
        }
        self.take_out(Fault::Slow, self.fetches.good, now)
    }

    /// Its page was not served, or it asked to be left alone. Live ⇒ Out.
    pub fn refused(&mut self, fault: Fault, now: Moment) -> Option<Change> {
        self.fetches.fail();
        self.record.failed(now);
        self.take_out(fault, self.fetches.good, now)
    }

    /// Its index answers but does not list it. Live ⇒ Out.
    pub fn unlisted(&mut self, now: Moment) -> Option<Change> {
        self.pings.fail();
        self.record.failed(now);
        self.take_out(Fault::ServiceGone, self.pings.good, now)
    }

    /// Forgets failures that did not take it out: they were seen by a starved process.
    pub const fn forgive(&mut self) {
        self.pings.failures = 0;
        self.fetches.failures = 0;
        self.slow = 0;
    }

    /// (Unverified | Out) ⇒ Live, if the evidence suffices.
    pub fn settle(&mut self, terms: Terms, now: Moment) -> Option<Change> {
        let needed = match self.standing {
            Standing::Live { .. } => return None,
            Standing::Unverified => SUCCESSES_TO_ENTER,
            Standing::Out { .. } => SUCCESSES_TO_RETURN,
        };
        let pinged = !terms.pings_count || self.index.is_none() || self.pings.successes >= needed;
        let held = self.hold.holds(now) && !terms.holds_waived;
        if !pinged || self.fetches.successes < needed || held {
            return None;
        }
        self.record.changed(now, Event::Live);
        Some(self.change(Standing::Live { since: now }, None))
    }

    fn take_out(&mut self, fault: Fault, good: Option<Moment>, now: Moment) -> Option<Change> {
        self.last_fault = Some(fault);
        let Standing::Live { since } = self.standing else {
            return None;
        };
        self.left = Some(now);
        self.idle_since = now;
        // What came before does not count towards the return.
        self.pings.successes = 0;
        self.fetches.successes = 0;
        self.record.changed(now, Event::Out(fault));
        let unseen = if fault.is_wish() {
            None
        } else {
            self.hold.failed(now.since(since), now);
            good.map(|good| now.since(good))
        };
        Some(self.change(Standing::Out { fault, since: now }, unseen))
    }

    const fn change(&mut self, to: Standing, unseen: Option<Duration>) -> Change {
        let from = self.standing;
        self.standing = to;
        Change {
            proxy: self.http,
            from,
            to,
            unseen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_and_goes_stays_out_longer_each_time_and_not_for_ever() {
        let mut hold = Hold::default();
        let now = Moment::from_millis(1_000);
        let mut waits = Vec::new();
        for _ in 0..300 {
            hold.failed(Duration::from_secs(5), now);
            waits.push(hold.until.map_or(0, |until| until.since(now).as_secs()));
        }
        assert_eq!(waits[..8], [0, 10, 20, 40, 80, 160, 320, 320]);
        assert_eq!(waits.last(), Some(&320));
        // One that was steady starts anew.
        hold.failed(STEADY_AFTER, now);
        assert_eq!(hold.until, None);
    }
}
