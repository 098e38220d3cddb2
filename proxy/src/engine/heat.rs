//! How much a site is asked for here, which decides how patient a miss is and whether a page
//! without any lifetime gets one.
//!
//! Counts requests per site over the last ten seconds, in two half-full windows, for a bounded
//! number of sites; the least recently asked one is forgotten.

use std::num::NonZeroUsize;
use std::time::Duration;

use common::clock::Moment;
use lru::LruCache;

use super::http::fresh::Heat;

/// Sites remembered. A forgotten one is merely quiet.
pub const SITES_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// Length of the window.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Requests within the window that make a site hot: one person reading does not reach it in the
/// time a crowd does.
pub const HOT_AT: u32 = 8;

#[derive(Clone, Copy, Debug)]
struct Count {
    window: u64,
    current: u32,
    previous: u32,
}

/// Requests per site.
#[derive(Debug)]
pub struct HeatMap {
    sites: LruCache<String, Count>,
}

impl Default for HeatMap {
    fn default() -> Self {
        Self {
            sites: LruCache::new(SITES_MAX),
        }
    }
}

/// Windows of half the length, so that "the last ten seconds" is never less than five.
fn window_of(now: Moment) -> u64 {
    let half = u64::try_from(WINDOW.as_nanos() / 2).unwrap_or(u64::MAX);
    now.as_nanos() / half
}

impl Count {
    const fn advanced(self, window: u64) -> Self {
        match window.saturating_sub(self.window) {
            0 => self,
            1 => Self {
                window,
                current: 0,
                previous: self.current,
            },
            _ => Self {
                window,
                current: 0,
                previous: 0,
            },
        }
    }

    const fn heat(self) -> Heat {
        if self.current.saturating_add(self.previous) >= HOT_AT {
            Heat::Hot
        } else {
            Heat::Quiet
        }
    }
}

impl HeatMap {
    /// Counts a request for `site` and says how hot it is with it.
    pub fn count(&mut self, now: Moment, site: &str) -> Heat {
        self.count_if(now, site, Some).unwrap_or_default()
    }

    /// Asks `decide` what a request for `site` gets, as hot as it is with it; counts it if it gets
    /// anything.
    pub fn count_if<T>(
        &mut self,
        now: Moment,
        site: &str,
        decide: impl FnOnce(Heat) -> Option<T>,
    ) -> Option<T> {
        let window = window_of(now);
        if let Some(count) = self.sites.get_mut(site) {
            *count = count.advanced(window);
            let counted = Count {
                current: count.current.saturating_add(1),
                ..*count
            };
            let decided = decide(counted.heat())?;
            *count = counted;
            return Some(decided);
        }
        let count = Count {
            window,
            current: 1,
            previous: 0,
        };
        let decided = decide(count.heat())?;
        self.sites.put(site.to_owned(), count);
        Some(decided)
    }

    /// How hot `site` is, without counting.
    #[must_use]
    pub fn of(&self, now: Moment, site: &str) -> Heat {
        let count = self
            .sites
            .peek(site)
            .map(|count| count.advanced(window_of(now)));
        count.map_or(Heat::Quiet, Count::heat)
    }

    /// The hottest sites with their requests in the window, most first: for the state page.
    #[must_use]
    pub fn hottest(&self, now: Moment, most: usize) -> Vec<(String, u32)> {
        let window = window_of(now);
        let count_of = |count: &Count| {
            let count = count.advanced(window);
            count.current.saturating_add(count.previous)
        };
        let mut all: Vec<_> = self
            .sites
            .iter()
            .map(|(site, count)| (site.clone(), count_of(count)))
            .collect();
        all.retain(|(_, requests)| *requests > 0);
        all.sort_by(|(site_a, a), (site_b, b)| b.cmp(a).then_with(|| site_a.cmp(site_b)));
        all.truncate(most);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_makes_a_site_hot_and_time_cools_it() {
        let mut heat = HeatMap::default();
        let now = Moment::from_millis(1_000);
        for _ in 1..HOT_AT {
            assert_eq!(heat.count(now, "example.com"), Heat::Quiet);
        }
        assert_eq!(heat.count(now, "example.com"), Heat::Hot);
        assert_eq!(heat.of(now, "example.org"), Heat::Quiet);
        assert_eq!(
            heat.of(now + Duration::from_secs(5), "example.com"),
            Heat::Hot
        );
        assert_eq!(
            heat.of(now + Duration::from_secs(10), "example.com"),
            Heat::Quiet
        );
    }

    #[test]
    fn forgets_the_site_asked_for_longest_ago_when_full() {
        let mut heat = HeatMap::default();
        let now = Moment::ZERO;
        for n in 0..=SITES_MAX.get() {
            heat.count(now, &format!("site{n}"));
        }
        assert_eq!(heat.sites.len(), SITES_MAX.get());
        assert_eq!(heat.sites.peek("site0").map(|count| count.current), None);
        assert_eq!(heat.hottest(now, 3).len(), 3);
    }
}
