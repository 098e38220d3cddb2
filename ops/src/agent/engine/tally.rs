//! What daemons' pages say: whether they do their work, and what they counted. Pure.
//!
//! A daemon's counters begin anew with its process; what is reported never falls. A daemon that an earlier
//! agent started has counted before anybody here looked: only what it counts from the first look on is taken.

use std::collections::BTreeMap;

use common::telemetry::FIRST_BYTE_MICROS;

use crate::engine::document::report::{Counted, Injected, Leaving};
use crate::engine::document::times::Times;
use crate::engine::document::words::{DaemonName, Digest, Program};
use crate::figures::Figures;

/// What a daemon's pages said at one look.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Look {
    /// Whether it does its work.
    pub ready: bool,
    /// What its process counted; nothing if it did not answer.
    pub counted: Option<Counted>,
    /// How it leaves, if it is an index that is to.
    pub leaving: Option<Leaving>,
}

/// What was counted since the agent started, and who is ready.
#[derive(Debug, Default)]
pub struct Tally {
    total: Counted,
    last: BTreeMap<DaemonName, Counted>,
    ready: BTreeMap<DaemonName, bool>,
    leaving: BTreeMap<DaemonName, Leaving>,
    injected: BTreeMap<String, Injected>,
}

impl Tally {
    /// A daemon's process was started here: it counts from zero, and is not ready before it says so.
    pub fn started(&mut self, name: &DaemonName) {
        self.last.insert(name.clone(), Counted::default());
        self.ready.remove(name);
        self.leaving.remove(name);
    }

    /// A daemon's process ended.
    pub fn ended(&mut self, name: &DaemonName) {
        self.last.remove(name);
        self.ready.remove(name);
        self.leaving.remove(name);
    }

    /// Takes a look in: whether there is news in it, which is another readiness than before, or another word on
    /// its leaving.
    pub fn looked(&mut self, name: &DaemonName, look: Look) -> bool {
        if let Some(counted) = look.counted {
            if let Some(last) = self.last.get(name) {
                self.total = map3(self.total, *last, counted, |total, last, now| {
                    // What is lower than before is of a process that began anew.
                    total + now.checked_sub(last).unwrap_or(now)
                });
            }
            self.last.insert(name.clone(), counted);
        }
        let leaves = self.leaves(name, look.leaving);
        self.ready.insert(name.clone(), look.ready) != Some(look.ready) || leaves
    }

    /// Whether a daemon says other than before of its leaving.
    fn leaves(&mut self, name: &DaemonName, leaving: Option<Leaving>) -> bool {
        let Some(leaving) = leaving else {
            return self.leaving.remove(name).is_some();
        };
        let before = self.leaving.insert(name.clone(), leaving.clone());
        before.is_none_or(|before| leaving.is_news(&before))
    }

    /// What a daemon said last of its leaving.
    #[must_use]
    pub fn leaving(&self, name: &DaemonName) -> Option<&Leaving> {
        self.leaving.get(name)
    }

    /// The own proxy was asked for a page: the body's digest, or nothing if it did not come.
    pub fn injected(&mut self, url: &str, body: Option<Digest>) {
        let page = self.injected.entry(url.to_owned()).or_default();
        page.asked += 1;
        page.failed += u64::from(body.is_none());
        page.body = body.or(page.body);
    }

    /// What came of all pages that the own proxy was asked for.
    #[must_use]
    pub const fn pages(&self) -> &BTreeMap<String, Injected> {
        &self.injected
    }

    /// Whether a daemon said that it does its work.
    #[must_use]
    pub fn is_ready(&self, name: &DaemonName) -> bool {
        self.ready.get(name).copied().unwrap_or_default()
    }

    /// All that was counted since the agent started.
    #[must_use]
    pub const fn total(&self) -> Counted {
        self.total
    }
}

fn map3(a: Counted, b: Counted, c: Counted, of: impl Fn(u64, u64, u64) -> u64) -> Counted {
    let pick = |field: fn(&Counted) -> u64| of(field(&a), field(&b), field(&c));
    Counted {
        requests: pick(|all| all.requests),
        errors: pick(|all| all.errors),
        first_bytes: pick(|all| all.first_bytes),
        first_byte_micros: pick(|all| all.first_byte_micros),
        first_byte_times: {
            let zero = b
                .first_byte_times
                .with(&c.first_byte_times, |last, now| of(0, last, now));
            a.first_byte_times.with(&zero, u64::saturating_add)
        },
        lookups: pick(|all| all.lookups),
        lookups_failed: pick(|all| all.lookups_failed),
    }
}

/// What a metrics page of `program` counts.
#[must_use]
pub fn read(program: Program, page: &Figures) -> Counted {
    if program != Program::Proxy {
        return Counted::default();
    }
    let sum = |name: &str, label: &str| count(page.sum_where(name, label));
    let index = |outcome: &str| sum("atoll_proxy_index_total", &format!("outcome=\"{outcome}\""));
    let lookups_failed = index("failed") + index("refused");
    let seconds = page.sum("atoll_proxy_first_byte_seconds_sum");
    Counted {
        requests: sum("atoll_proxy_requests_total", ""),
        errors: sum("atoll_proxy_requests_total", "outcome=\"failed\""),
        first_bytes: sum("atoll_proxy_first_byte_seconds_count", ""),
        first_byte_micros: count(seconds.map(|seconds| seconds * 1e6)),
        first_byte_times: times(page).unwrap_or_default(),
        // One that came too late for a quiet site is no failure: nobody waits for it there.
        lookups: lookups_failed + index("granted") + index("found") + index("late"),
        lookups_failed,
    }
}

/// The times to first byte; nothing of a proxy that counts by other bounds, as older ones do.
fn times(page: &Figures) -> Option<Times> {
    let cumulative = page.by("atoll_proxy_first_byte_seconds_bucket", "le");
    let all = count(cumulative.get("+Inf").copied());
    let upto = |(bound, upto): (&String, &f64)| {
        let seconds: f64 = bound.parse().ok()?;
        Some((count(Some((seconds * 1e6).round())), count(Some(*upto))))
    };
    let upto: BTreeMap<u64, u64> = cumulative.iter().filter_map(upto).collect();
    let (mut times, mut before) = (Times::default(), 0);
    for bound in FIRST_BYTE_MICROS {
        let upto = *upto.get(&bound)?;
        times.add(bound, upto.saturating_sub(before));
        before = upto;
    }
    times.add(u64::MAX, all.saturating_sub(before));
    Some(times)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and counters are not negative"
)]
fn count(value: Option<f64>) -> u64 {
    value.unwrap_or_default() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(requests: u64) -> Look {
        let counted = Counted {
            requests,
            ..Counted::default()
        };
        Look {
            ready: true,
            counted: Some(counted),
            leaving: None,
        }
    }

    #[test]
    fn what_was_counted_never_falls_when_a_daemon_is_started_anew() {
        let name = DaemonName::parse("proxy").unwrap();
        let mut tally = Tally::default();
        tally.started(&name);
        assert!(tally.looked(&name, look(10)), "it is ready now");
        assert!(!tally.looked(&name, look(30)), "and still is");
        tally.ended(&name);
        assert!(!tally.is_ready(&name));
        tally.started(&name);
        tally.looked(&name, look(5));
        // Its process was handed over to another one without an end.
        tally.looked(&name, look(2));
        assert_eq!(tally.total().requests, 37);
    }

    #[test]
    fn what_a_daemon_counted_before_anybody_looked_is_not_taken() {
        let name = DaemonName::parse("proxy").unwrap();
        let mut tally = Tally::default();
        tally.looked(&name, look(1_000_000));
        tally.looked(&name, look(1_000_003));
        assert_eq!(tally.total().requests, 3);
    }

    #[test]
    fn who_holds_an_old_index_is_news_and_how_much_it_is_asked_is_not() {
        let name = DaemonName::parse("index").unwrap();
        let says = |asked, stragglers: &[&str], left: Option<&str>| Look {
            ready: true,
            counted: None,
            leaving: Some(Leaving {
                asked_per_ks: Some(asked),
                straggler_count: stragglers.len() as u64,
                stragglers: stragglers.iter().map(|at| at.parse().unwrap()).collect(),
                left: left.map(str::to_owned),
                ..Leaving::default()
            }),
        };
        let mut tally = Tally::default();
        tally.started(&name);
        let (one, two) = ("192.0.2.1:81", "192.0.2.2:81");
        assert!(tally.looked(&name, says(900, &[one, two], None)));
        assert!(!tally.looked(&name, says(800, &[one, two], None)));
        assert_eq!(tally.leaving(&name).unwrap().asked_per_ks, Some(800));
        assert!(tally.looked(&name, says(800, &[two], None)));
        assert!(tally.looked(&name, says(1, &[], None)));
        assert!(tally.looked(&name, says(0, &[], Some("quiet"))));
        tally.ended(&name);
        assert_eq!(tally.leaving(&name), None);
    }

    #[test]
    fn a_page_that_does_not_come_leaves_the_last_body_and_is_counted() {
        let mut tally = Tally::default();
        let body = Digest::of(b"hello");
        tally.injected("http://a/", Some(body));
        tally.injected("http://a/", None);
        let page = tally.pages()["http://a/"];
        assert_eq!((page.asked, page.failed, page.body), (2, 1, Some(body)));
    }

    #[test]
    fn a_proxys_page_is_read_as_it_is_written() {
        let page = "atoll_proxy_requests_total{outcome=\"hit\"} 90\n\
            atoll_proxy_requests_total{outcome=\"failed\"} 10\n\
            atoll_proxy_first_byte_seconds_sum 0.25\natoll_proxy_first_byte_seconds_count 50\n\
            atoll_proxy_index_total{outcome=\"found\"} 7\natoll_proxy_index_total{outcome=\"told\"} 9\n\
            atoll_proxy_index_total{outcome=\"failed\"} 2\n";
        let counted = read(Program::Proxy, &Figures::parse(page));
        let expected = Counted {
            requests: 100,
            errors: 10,
            first_bytes: 50,
            first_byte_micros: 250_000,
            first_byte_times: Times::default(),
            lookups: 9,
            lookups_failed: 2,
        };
        assert_eq!(counted, expected);
        assert_eq!(
            read(Program::Dht, &Figures::parse(page)),
            Counted::default()
        );
    }

    #[test]
    fn times_are_read_from_buckets_of_our_bounds_and_from_no_others() {
        let name = "atoll_proxy_first_byte_seconds_bucket";
        let mut page = String::new();
        for (at, bound) in common::telemetry::first_byte_seconds().enumerate() {
            page.push_str(&format!("{name}{{le=\"{bound}\"}} {}\n", (at + 1) * 2));
        }
        page.push_str(&format!("{name}{{le=\"+Inf\"}} 70\n"));
        let read = |page: &str| read(Program::Proxy, &Figures::parse(page)).first_byte_times;
        let times = read(&page);
        assert_eq!(
            (times.total(), times.beyond(0), times.beyond(31)),
            (70, 68, 6)
        );
        let doubling: String = page
            .lines()
            .filter(|line| !line.contains("0.004525"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(read(&doubling), Times::default(), "an older proxy");
        let mut tally = Tally::default();
        let proxy = DaemonName::parse("proxy").unwrap();
        tally.started(&proxy);
        for _ in 0..2 {
            let counted = Counted {
                first_byte_times: times,
                ..Counted::default()
            };
            let look = Look {
                counted: Some(counted),
                ..Look::default()
            };
            tally.looked(&proxy, look);
        }
        assert_eq!(tally.total().first_byte_times, times, "counted once");
    }
}
