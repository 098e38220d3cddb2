//! The node's outgoing bytes: a max-min fair share of each second for every site, and a budget for
//! the day.
//!
//! Max-min: nobody who wants less than an equal part is limited at all, and what those leave over is
//! divided among the others. Each second's demand per site (served or not) makes the level of the
//! next: a site that has been given more than the level in this second gets no more of it. While
//! the sites together want less than there is, there is no level.

use std::num::NonZeroUsize;
use std::time::Duration;

use common::clock::Moment;
use lru::LruCache;

/// Sites remembered; the one asked for least recently is forgotten, which is not one that matters.
pub const SITES_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// What an answer is taken to cost while nothing is known of a site: a usual page.
const MEAN_FIRST: u64 = 16 << 10;

/// Parts of a day that are counted apart.
const HOURS: usize = 24;

/// Part of the day's budget, in percent, from which the node calls itself full.
const FULL_PERCENT: u64 = 80;

/// Why an answer is not given from here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Over {
    /// The site has had its share of this second.
    Site,
    /// The node has had its bytes of this day.
    Day,
}

impl Over {
    /// The word for logs, metrics and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site_bytes",
            Self::Day => "day_bytes",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Site {
    second: u64,
    asked: u64,
    sent: u64,
    /// Bytes of an answer, averaged over the last ones.
    mean: u64,
}

impl Site {
    /// What it wanted in its second: what went out, or would have.
    fn demand(&self) -> u64 {
        self.sent.max(self.asked.saturating_mul(self.mean))
    }

    const fn roll(&mut self, second: u64) {
        if self.second != second {
            self.second = second;
            self.asked = 0;
            self.sent = 0;
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Bytes {
    per_second: Option<u64>,
    per_day: Option<u64>,
    sites: LruCache<String, Site>,
    second: u64,
    level: Option<u64>,
    hours: [u64; HOURS],
    hour: u64,
}

impl Bytes {
    /// Shares of `per_second`, and a budget of `per_day`; `None` means no bound.
    #[must_use]
    pub fn new(per_second: Option<u64>, per_day: Option<u64>) -> Self {
        Self {
            per_second,
            per_day,
            sites: LruCache::unbounded(),
            second: 0,
            level: None,
            hours: [0; HOURS],
            hour: 0,
        }
    }

    /// Other bounds from now on. What has been counted stays.
    pub const fn reset(&mut self, per_second: Option<u64>, per_day: Option<u64>) {
        self.per_second = per_second;
        self.per_day = per_day;
    }

    /// Whether anything is counted at all.
    #[must_use]
    pub const fn is_bounded(&self) -> bool {
        self.per_second.is_some() || self.per_day.is_some()
    }

    /// Counts a request for `site`.
    ///
    /// # Errors
    /// The site, or the node, has had its share.
    pub fn ask(&mut self, now: Moment, site: &str) -> Result<(), Over> {
        if !self.is_bounded() {
            return Ok(());
        }
        self.roll(now);
        let (level, second) = (self.level, self.second);
        let entry = self.entry(site);
        entry.roll(second);
        entry.asked += 1;
        if level.is_some_and(|level| entry.sent >= level) {
            return Err(Over::Site);
        }
        match self.per_day {
            Some(most) if self.today() >= most => Err(Over::Day),
            _ => Ok(()),
        }
    }

    /// `bytes` of an answer of `site` went out. `whole` is the length of the answer, at its end.
    pub fn sent(&mut self, now: Moment, site: &str, bytes: u64, whole: Option<u64>) {
        if !self.is_bounded() {
            return;
        }
        self.roll(now);
        let hour = usize::try_from(self.hour % HOURS as u64).unwrap_or(0);
        self.hours[hour] = self.hours[hour].saturating_add(bytes);
        let second = self.second;
        let entry = self.entry(site);
        entry.roll(second);
        entry.sent = entry.sent.saturating_add(bytes);
        if let Some(whole) = whole {
            entry.mean = (entry.mean / 8)
                .saturating_mul(7)
                .saturating_add(whole / 8)
                .max(1);
        }
    }

    fn entry(&mut self, site: &str) -> &mut Site {
        if self.sites.len() >= SITES_MAX.get() && !self.sites.contains(site) {
            self.sites.pop_lru();
        }
        let second = self.second;
        self.sites.get_or_insert_mut_ref(site, || Site {
            second,
            asked: 0,
            sent: 0,
            mean: MEAN_FIRST,
        })
    }

    fn roll(&mut self, now: Moment) {
        let second = now.as_nanos() / 1_000_000_000;
        if second > self.second {
            let next = second == self.second + 1;
            self.level = self
                .per_second
                .filter(|_| next)
                .and_then(|all| self.fill_up(all));
            self.second = second;
        }
        let hour = second / 3_600;
        if hour > self.hour {
            for passed in (self.hour + 1..=hour).take(HOURS) {
                self.hours[usize::try_from(passed % HOURS as u64).unwrap_or(0)] = 0;
            }
            self.hour = hour;
        }
    }

    /// The level up to which everybody gets what they want of `all`; `None` if all do.
    fn fill_up(&self, all: u64) -> Option<u64> {
        let in_question = self
            .sites
            .iter()
            .filter(|(_, site)| site.second == self.second);
        let mut demands: Vec<u64> = in_question.map(|(_, site)| site.demand()).collect();
        demands.sort_unstable();
        let (mut left, mut sites) = (all, demands.len() as u64);
        for demand in demands {
            let equal = left / sites;
            if demand > equal {
                return Some(equal);
            }
            left -= demand;
            sites -= 1;
        }
        None
    }

    /// Bytes that went out in the last 24 hours.
    #[must_use]
    pub fn today(&self) -> u64 {
        self.hours.iter().sum()
    }

    /// Whether so much of the day's bytes are gone that others should be named instead of this node.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.per_day
            .is_some_and(|most| self.today() >= most / 100 * FULL_PERCENT)
    }

    /// What of the day's bytes is left until this node is full, in percent; all of them if the day
    /// has no budget.
    #[must_use]
    pub fn spare(&self) -> u8 {
        let Some(most) = self.per_day else {
            return 100;
        };
        let soft = most / 100 * FULL_PERCENT;
        let left = soft.saturating_sub(self.today());
        u8::try_from(u128::from(left) * 100 / u128::from(soft.max(1))).unwrap_or(100)
    }

    /// The level of this second, for the state page.
    #[must_use]
    pub const fn level(&self) -> Option<u64> {
        self.level
    }

    /// How long a site that is over its share has to wait at most.
    pub const RETRY: Duration = Duration::from_secs(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// Ten seconds of requests: each site asks so often a second for so many bytes. Gives what each
    /// was granted, of what it asked, and the bytes of the last nine seconds.
    fn play(per_second: u64, sites: &[(&str, u64, u64)]) -> (Vec<(u64, u64)>, u64) {
        let mut bytes = Bytes::new(Some(per_second), None);
        let mut granted = vec![(0, 0); sites.len()];
        let mut total = 0;
        for milli in 0..10_000 {
            for (n, (site, times, size)) in sites.iter().enumerate() {
                let due = (milli + 1) * times / 1_000 - milli * times / 1_000;
                for _ in 0..due {
                    let passed = bytes.ask(at(milli), site).is_ok();
                    if passed {
                        bytes.sent(at(milli), site, *size, Some(*size));
                    }
                    if milli >= 1_000 {
                        granted[n].0 += u64::from(passed);
                        granted[n].1 += 1;
                        total += u64::from(passed) * size;
                    }
                }
            }
        }
        (granted, total / 9)
    }

    #[test]
    fn one_site_at_ten_times_its_share_leaves_the_others_as_they_were() {
        let mild = [
            ("b", 100, 1_000),
            ("c", 100, 1_000),
            ("d", 50, 2_000),
            ("e", 1, 100_000),
        ];
        let (alone, _) = play(1_000_000, &mild);
        let greedy = [&mild[..], &[("a", 6_000, 1_000)]].concat();
        let (beside, total) = play(1_000_000, &greedy);
        assert_eq!(
            beside[..4],
            alone[..],
            "others are served as if it were not there"
        );
        assert!(alone.iter().all(|(granted, asked)| granted == asked));
        let (granted, asked) = beside[4];
        assert!(
            granted * 9 < asked && granted * 11 > asked,
            "{granted} of {asked}"
        );
        assert!((900_000..=1_050_000).contains(&total), "{total}");
    }

    #[test]
    fn what_the_modest_leave_is_divided_among_the_greedy() {
        let sites = [("a", 100, 1_000), ("b", 5_000, 1_000), ("c", 20_000, 1_000)];
        let (granted, total) = play(1_000_000, &sites);
        assert_eq!(granted[0].0, granted[0].1);
        let (b, c) = (granted[1].0 * 1_000 / 9, granted[2].0 * 1_000 / 9);
        assert!((440_000..=470_000).contains(&b), "{b}");
        assert!((440_000..=470_000).contains(&c), "{c}");
        assert!(total <= 1_050_000, "{total}");
    }

    #[test]
    fn nobody_is_limited_while_there_is_enough() {
        let (granted, _) = play(1_000_000, &[("a", 900, 1_000), ("b", 50, 1_000)]);
        assert!(granted.iter().all(|(granted, asked)| granted == asked));
    }

    #[test]
    fn a_days_bytes_come_back_hour_by_hour() {
        let mut bytes = Bytes::new(None, Some(1_000));
        let hour = |n: u64| at(n * 3_600_000);
        bytes.sent(hour(0), "a", 700, None);
        assert!(bytes.ask(hour(1), "a").is_ok() && !bytes.is_full());
        bytes.sent(hour(1), "b", 300, None);
        assert!(bytes.is_full() && bytes.spare() == 0);
        assert_eq!(bytes.ask(hour(23), "c"), Err(Over::Day));
        assert_eq!(bytes.ask(hour(24), "c"), Ok(()));
        assert_eq!(bytes.today(), 300);
        assert_eq!(bytes.ask(hour(1_000), "c"), Ok(()));
        assert_eq!(bytes.today(), 0);
    }

    #[test]
    fn a_flood_of_sites_takes_bounded_memory_and_hurts_no_one_with_a_modest_wish() {
        let mut bytes = Bytes::new(Some(100_000_000), None);
        for round in 0..3_u64 {
            for n in 0..2 * SITES_MAX.get() {
                let now = at(round * 1_000);
                let _ = bytes.ask(now, &format!("site{n}"));
                assert!(bytes.ask(now, "modest").is_ok());
            }
        }
        assert_eq!(bytes.sites.len(), SITES_MAX.get());
    }
}
