//! The failure gate of each origin: a dead one is not asked again by every visitor.
//!
//! After a failure the gate is shut for five seconds, doubling to a minute. When it opens again one
//! request is let through as a probe; only its success opens the gate for all.

use std::num::NonZeroUsize;
use std::time::Duration;

use common::clock::Moment;
use lru::LruCache;

/// Origins remembered as failing. A forgotten one is merely asked again.
pub const ORIGINS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// How long the gate is shut after the first failure.
pub const SHUT_FIRST: Duration = Duration::from_secs(5);

/// How long it is shut at most.
pub const SHUT_MOST: Duration = Duration::from_secs(60);

/// A probe that never reports back holds the gate no longer than this.
const PROBE_MOST: Duration = Duration::from_secs(20);

/// Whether an origin may be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Nothing is known against it.
    Open,
    /// It failed; this request may try whether it is back.
    Probe,
    /// It failed; not before this much time has passed.
    Shut(Duration),
}

#[derive(Clone, Copy, Debug)]
struct Failing<R> {
    reason: R,
    shut_for: Duration,
    until: Moment,
    /// Somebody was let through and has not reported back.
    probing: bool,
}

/// The gates of all origins, with the reason each was shut for.
#[derive(Debug)]
pub struct Gates<R> {
    failing: LruCache<String, Failing<R>>,
}

impl<R> Default for Gates<R> {
    fn default() -> Self {
        Self {
            failing: LruCache::new(ORIGINS_MAX),
        }
    }
}

impl<R: Copy> Gates<R> {
    /// Whether `origin` may be asked now, and if not, why it was shut.
    ///
    /// # Errors
    /// The gate is shut: for how long, and the reason of the failure.
    pub fn pass(&mut self, now: Moment, origin: &str) -> Result<Gate, (Duration, R)> {
        let Some(failing) = self.failing.get_mut(origin) else {
            return Ok(Gate::Open);
        };
        if failing.until > now {
            return Err((failing.until.since(now), failing.reason));
        }
        // One probe; the others wait for what it finds.
        failing.until = now + PROBE_MOST;
        failing.probing = true;
        Ok(Gate::Probe)
    }

    /// The origin answered.
    pub fn succeed(&mut self, origin: &str) {
        self.failing.pop(origin);
    }

    /// The origin could not be reached or did not answer, for `reason`.
    pub fn fail(&mut self, now: Moment, origin: &str, reason: R) {
        let shut_for = match self.failing.get(origin) {
            Some(failing) if failing.probing => (failing.shut_for * 2).min(SHUT_MOST),
            // A request that was under way when the gate shut: the same failure, seen again.
            Some(_) => return,
            None => SHUT_FIRST,
        };
        let failing = Failing {
            reason,
            shut_for,
            until: now + shut_for,
            probing: false,
        };
        self.failing.put(origin.to_owned(), failing);
    }

    /// Origins that failed last, with what is left until they may be asked and why: for the state page.
    /// Where nothing is left, the next request finds out.
    pub fn failing(&self, now: Moment) -> impl Iterator<Item = (&str, Duration, R)> {
        self.failing.iter().map(move |(origin, failing)| {
            let left = failing.until.since(now);
            (origin.as_str(), left, failing.reason)
        })
    }

    /// Those of them that may not be asked now.
    pub fn shut(&self, now: Moment) -> impl Iterator<Item = (&str, Duration, R)> {
        self.failing(now).filter(|(_, left, _)| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_dead_origin_is_probed_once_at_growing_intervals() {
        let mut gates = Gates::default();
        assert_eq!(gates.pass(at(0), "o"), Ok(Gate::Open));
        gates.fail(at(0), "o", "refused");
        gates.fail(at(1), "o", "refused");
        assert_eq!(
            gates.pass(at(1), "o"),
            Err((Duration::from_secs(4), "refused"))
        );
        assert_eq!(gates.pass(at(5), "o"), Ok(Gate::Probe));
        assert!(gates.pass(at(6), "o").is_err(), "one probe at a time");
        gates.fail(at(6), "o", "refused");
        assert_eq!(
            gates.pass(at(7), "o"),
            Err((Duration::from_secs(9), "refused"))
        );
        let mut now = 16;
        for shut in [20, 40, 60, 60] {
            assert_eq!(gates.pass(at(now), "o"), Ok(Gate::Probe));
            gates.fail(at(now), "o", "timeout");
            assert_eq!(
                gates.pass(at(now), "o"),
                Err((Duration::from_secs(shut), "timeout"))
            );
            now += shut;
        }
        gates.succeed("o");
        assert_eq!(gates.pass(at(now), "o"), Ok(Gate::Open));
    }

    #[test]
    fn a_probe_that_never_returns_does_not_hold_the_gate() {
        let mut gates = Gates::default();
        gates.fail(at(0), "o", ());
        assert_eq!(gates.pass(at(5), "o"), Ok(Gate::Probe));
        assert_eq!(gates.pass(at(25), "o"), Ok(Gate::Probe));
    }

    #[test]
    fn remembers_a_bounded_number_of_origins() {
        let mut gates = Gates::default();
        for n in 0..=ORIGINS_MAX.get() {
            gates.fail(at(0), &format!("o{n}"), ());
        }
        assert_eq!(gates.shut(at(1)).count(), ORIGINS_MAX.get());
        assert_eq!(gates.pass(at(1), "o0"), Ok(Gate::Open));
    }
}
