//! The response-rate limit: how many replies a neighbourhood of unproven addresses gets.
//!
//! Whoever floods us with questions in the name of a victim wants the replies to go there. So the
//! replies to each neighbourhood (IPv4 /24, IPv6 /56) are limited; every second one beyond that is
//! sent empty with TC set, no longer than its question, so that a real client behind a victim's
//! address asks again by TCP, which is not limited.
//!
//! The table has a fixed size. A neighbourhood that it has no room for takes the place of the one
//! that has asked least for longest among four; one that is over its limit is among the last to be
//! displaced.

use std::net::IpAddr;
use std::time::Duration;

use common::clock::Moment;
use common::netaddr::Prefix;

use super::siphash::siphash;

/// Neighbourhoods remembered, 24 bytes each: 1.5 MiB.
const PLACES: usize = 1 << 16;

/// Places in which a neighbourhood may stand.
const WAYS: usize = 4;

/// What the limit says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Reply.
    Pass,
    /// Reply with TC and no records.
    Slip,
    /// Do not reply.
    Drop,
}

/// A neighbourhood.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Upper bits of the hash of the prefix.
    tag: u32,
    /// Whether the last reply beyond the limit slipped.
    slipped: bool,
    /// When the replies sent so far would have been sent at exactly the rate allowed (the virtual
    /// scheduling of ITU-T I.371: a token bucket in one number).
    due: Moment,
}

/// The limit.
#[derive(Clone, Debug)]
pub struct Limiter {
    key: [u8; 16],
    /// Between two replies at the rate allowed; zero: no limit.
    interval: Duration,
    /// How far `due` may run ahead: a burst of a second's replies.
    burst: Duration,
    places: Vec<[Place; WAYS]>,
}

impl Limiter {
    /// At most `per_second` replies a second to each neighbourhood, and as many at once after a
    /// pause; 0: any number. `key` is random.
    #[must_use]
    pub fn new(per_second: u32, key: [u8; 16]) -> Self {
        let limited = per_second > 0;
        Self {
            key,
            interval: if limited {
                Duration::from_secs(1) / per_second
            } else {
                Duration::ZERO
            },
            burst: Duration::from_secs(1),
            places: if limited {
                vec![[Place::default(); WAYS]; PLACES / WAYS]
            } else {
                Vec::new()
            },
        }
    }

    /// Counts a reply to `ip` at `now`, and says whether to send it.
    pub fn reply_to(&mut self, ip: IpAddr, now: Moment) -> Verdict {
        let (interval, burst) = (self.interval, self.burst);
        let Some(place) = self.place(ip) else {
            return Verdict::Pass;
        };
        let due = place.due.max(now);
        if due.since(now) < burst {
            place.due = due + interval;
            return Verdict::Pass;
        }
        place.slipped = !place.slipped;
        if place.slipped {
            Verdict::Slip
        } else {
            Verdict::Drop
        }
    }

    fn place(&mut self, ip: IpAddr) -> Option<&mut Place> {
        let hash = match Prefix::of(ip).network() {
            IpAddr::V4(v4) => siphash(&self.key, &v4.octets()),
            IpAddr::V6(v6) => siphash(&self.key, &v6.octets()),
        };
        let count = u64::try_from(self.places.len()).ok()?;
        let set = usize::try_from(hash.checked_rem(count)?).ok()?;
        let [a, b, c, d, ..] = hash.to_be_bytes();
        // 0 is the tag of places that nobody stands in.
        let tag = u32::from_be_bytes([a, b, c, d]).max(1);
        let ways = self.places.get_mut(set)?;
        let known = ways.iter().position(|place| place.tag == tag);
        let at = known.or_else(|| {
            let least = ways.iter().enumerate().min_by_key(|(_, place)| place.due);
            least.map(|(at, _)| at)
        })?;
        let place = ways.get_mut(at)?;
        if known.is_none() {
            *place = Place {
                tag,
                ..Place::default()
            };
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_second: u32) -> Limiter {
        Limiter::new(per_second, [7; 16])
    }

    fn count(limiter: &mut Limiter, ip: &str, now: Moment, times: usize) -> [usize; 3] {
        let mut counts = [0; 3];
        for _ in 0..times {
            match limiter.reply_to(ip.parse().unwrap(), now) {
                Verdict::Pass => counts[0] += 1,
                Verdict::Slip => counts[1] += 1,
                Verdict::Drop => counts[2] += 1,
            }
        }
        counts
    }

    #[test]
    fn a_burst_passes_then_every_second_slips_and_time_heals() {
        let mut limiter = limiter(100);
        let now = Moment::from_millis(5_000);
        assert_eq!(count(&mut limiter, "192.0.2.1", now, 300), [100, 100, 100]);
        // Neighbours share the limit; others have their own.
        assert_eq!(count(&mut limiter, "192.0.2.9", now, 2)[0], 0);
        assert_eq!(count(&mut limiter, "192.0.3.1", now, 100), [100, 0, 0]);
        let later = now + Duration::from_millis(500);
        assert_eq!(count(&mut limiter, "192.0.2.1", later, 200)[0], 50);
        assert_eq!(count(&mut limiter, "2001:db8::1", now, 101), [100, 1, 0]);
        assert_eq!(count(&mut limiter, "2001:db8:0:ff::1", now, 1)[0], 0);
    }

    #[test]
    fn a_victim_stays_limited_under_a_flood_of_other_prefixes() {
        let mut limiter = limiter(10);
        let now = Moment::from_millis(5_000);
        count(&mut limiter, "192.0.2.1", now, 20);
        for n in 0..200_000_u32 {
            let ip = std::net::Ipv4Addr::from(0x0b00_0000 + (n << 8));
            limiter.reply_to(ip.into(), now);
        }
        assert_eq!(limiter.places.len() * WAYS, PLACES);
        assert_eq!(count(&mut limiter, "192.0.2.1", now, 10)[0], 0);
    }

    #[test]
    fn no_limit_passes_everything_and_keeps_nothing() {
        let mut limiter = limiter(0);
        assert_eq!(
            count(&mut limiter, "192.0.2.1", Moment::ZERO, 10_000)[0],
            10_000
        );
        assert!(limiter.places.is_empty());
    }
}
