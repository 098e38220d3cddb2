//! Idle connections that may be used again: bounded in number, per destination and in all, and in
//! time. A connection is an opaque `C` here; whether it is still open is the shell's to see.

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::Moment;

/// Kept per destination.
pub const PER_DESTINATION: usize = 32;

/// Kept in all: each costs a descriptor. Beyond that a connection is closed after use.
pub const IDLE_MAX: usize = 1_024;

/// Closed after this; servers usually wait 60 s or more.
pub const IDLE_FOR: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct Idle<C> {
    kept: BTreeMap<String, Vec<(C, Moment)>>,
    count: usize,
}

impl<C> Default for Idle<C> {
    fn default() -> Self {
        Self {
            kept: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<C> Idle<C> {
    /// Keeps a connection; one for which there is no room is dropped.
    pub fn put(&mut self, now: Moment, destination: String, connection: C) {
        if self.count >= IDLE_MAX {
            return;
        }
        let kept = self.kept.entry(destination).or_default();
        if kept.len() < PER_DESTINATION {
            kept.push((connection, now));
            self.count += 1;
        }
    }

    /// The connection to `destination` used last, unless it has waited too long.
    pub fn take(&mut self, now: Moment, destination: &str) -> Option<C> {
        let kept = self.kept.get_mut(destination)?;
        let last = kept.pop();
        self.count -= usize::from(last.is_some());
        if kept.is_empty() {
            self.kept.remove(destination);
        }
        last.filter(|(_, since)| now.since(*since) < IDLE_FOR)
            .map(|(connection, _)| connection)
    }

    /// Drops what has waited too long or is not `open` any more.
    pub fn prune(&mut self, now: Moment, mut open: impl FnMut(&mut C) -> bool) {
        self.kept.retain(|_, kept| {
            kept.retain_mut(|(connection, since)| now.since(*since) < IDLE_FOR && open(connection));
            !kept.is_empty()
        });
        self.count = self.kept.values().map(Vec::len).sum();
    }

    /// Connections kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Bytes per second that a body has to bring on average: a small file must not take a day.
pub const RATE_LEAST: u64 = 64;

/// How fast a body comes: only the time spent waiting for it counts, not that of its readers.
#[derive(Clone, Copy, Default, Debug)]
pub struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// `bytes` came after `waited`.
    pub const fn add(&mut self, waited: Duration, bytes: u64) {
        self.waited = self.waited.saturating_add(waited);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether it is slower than is borne, once it has been waited for as long as `grace`.
    #[must_use]
    pub fn is_too_slow(&self, grace: Duration) -> bool {
        self.waited > grace && self.bytes < self.waited.as_secs().saturating_mul(RATE_LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_bounded_number_for_a_bounded_time() {
        let (mut idle, now) = (Idle::default(), Moment::ZERO);
        for n in 0..2 * PER_DESTINATION {
            idle.put(now, "a".into(), n);
        }
        assert_eq!(idle.len(), PER_DESTINATION);
        for n in 0..2 * IDLE_MAX {
            idle.put(now, n.to_string(), n);
        }
        assert_eq!(idle.len(), IDLE_MAX);
        assert_eq!(idle.take(now, "a"), Some(PER_DESTINATION - 1));
        assert_eq!(idle.take(now + IDLE_FOR, "a"), None);
        idle.prune(now, |n| *n != 0);
        assert!(idle.len() < IDLE_MAX - 2 && idle.take(now, "0").is_none());
        idle.prune(now + IDLE_FOR, |_| true);
        assert!(idle.is_empty());
    }

    #[test]
    fn a_byte_every_twenty_seconds_is_too_slow() {
        let (mut pace, grace) = (Pace::default(), Duration::from_secs(30));
        pace.add(Duration::from_secs(20), 1);
        assert!(!pace.is_too_slow(grace));
        pace.add(Duration::from_secs(20), 1);
        assert!(pace.is_too_slow(grace));
        pace.add(Duration::ZERO, 10_000);
        assert!(!pace.is_too_slow(grace));
    }
}
