//! How long the word of how far somebody is lasts.
//!
//! A proxy that measured its clients tells the index for that long, and the index counts what is told
//! as farther the more of that time is over: both need the same answer.

use std::time::Duration;

/// Round trip of which hints last half as long as of no distance at all: what a neighbouring country
/// costs.
const HALF: Duration = Duration::from_millis(30);

/// Part of the longest life that any hint has, however far its clients.
const LEAST_PART: u32 = 16;

/// How long a hint lasts whose publisher is `rtt` away from the clients, if the nearest last `longest`.
///
/// The index has room for few hints of a network and keeps those that last longest. Clients are sent
/// to far proxies again and again, by those who do not know them; what these measured must not push
/// out what the near ones did.
#[must_use]
pub fn hint_life(rtt: Duration, longest: Duration) -> Duration {
    let (half, rtt) = (HALF.as_secs_f64(), rtt.as_secs_f64());
    longest
        .mul_f64(half / (half + rtt))
        .max(longest / LEAST_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_outlast_the_farther_and_none_ends_at_once() {
        let life = |millis| {
            let rtt = Duration::from_millis(millis);
            hint_life(rtt, Duration::from_secs(3_600)).as_secs()
        };
        assert_eq!((life(0), life(30), life(120)), (3_600, 1_800, 720));
        assert_eq!(life(2_000), 225);
        // Renewed in the middle of its life, what is near is never the first to go.
        assert!(life(5) / 2 > life(60));
    }
}
