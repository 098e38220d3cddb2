//! Tests of `verdict`: rules by section in each row, and properties.

use proptest::prelude::*;

use super::super::samples::{any_value, headers};
use super::RevalidateReason as Why;
use super::StaleReason::OnError;
use super::Verdict::{Fresh, MustRevalidate, NotForwardable, StaleUsable};
use super::*;

type OnErrorRow = (
    &'static str,
    &'static str,
    &'static str,
    u64,
    Result<StaleReason, StaleBan>,
);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rules(value: &str) -> Rules {
    Rules::of(&Directives::of(&headers(&[("cache-control", value)])))
}

fn request(value: &str) -> RequestDirectives {
    RequestDirectives::of(&headers(&[("cache-control", value)]))
}

#[rustfmt::skip]
const VERDICTS: &[(&str, &str, &str, u64, Verdict)] = &[
    ("9111 4.2 fresh", "", "", 99, Fresh),
    ("9111 4.2 lifetime must exceed age", "", "", 100, MustRevalidate(Why::Expired)),
    ("9111 5.2.2.4", "no-cache", "", 0, MustRevalidate(Why::ResponseNoCache)),
    ("9111 5.2.2.4", "no-cache", "max-stale", 0, MustRevalidate(Why::ResponseNoCache)),
    ("9111 5.2.2.4 qualified", "no-cache=\"x-a\"", "", 0, Fresh),
    ("9111 5.2.1.4", "", "no-cache", 0, MustRevalidate(Why::RequestNoCache)),
    ("9111 5.2.1.1", "", "max-age=50", 50, Fresh),
    ("9111 5.2.1.1", "", "max-age=50", 51, MustRevalidate(Why::RequestMaxAge)),
    ("9111 5.2.1.1", "", "max-age=200", 150, MustRevalidate(Why::Expired)),
    ("9111 5.2.1.1 beside max-stale", "", "max-age=50, max-stale", 150,
     StaleUsable(StaleReason::ClientAccepts)),
    ("8246 2", "immutable", "max-age=0", 50, Fresh),
    ("8246 2 stale", "immutable", "max-age=0", 100, MustRevalidate(Why::RequestMaxAge)),
    ("8246 2 force", "immutable", "no-cache", 50, MustRevalidate(Why::RequestNoCache)),
    ("9111 5.2.1.3", "", "min-fresh=20", 80, Fresh),
    ("9111 5.2.1.3", "", "min-fresh=20", 81, MustRevalidate(Why::RequestMinFresh)),
    ("9111 5.2.1.3", "", "min-fresh=1, max-stale", 100, MustRevalidate(Why::RequestMinFresh)),
    ("9111 5.2.1.2", "", "max-stale", 9_999, StaleUsable(StaleReason::ClientAccepts)),
    ("9111 5.2.1.2", "", "max-stale=10", 110, StaleUsable(StaleReason::ClientAccepts)),
    ("9111 5.2.1.2", "", "max-stale=10", 111, MustRevalidate(Why::Expired)),
    ("9111 5.2.2.2", "must-revalidate", "max-stale", 100, MustRevalidate(Why::Expired)),
    ("9111 5.2.2.8", "proxy-revalidate", "max-stale", 100, MustRevalidate(Why::Expired)),
    ("9111 5.2.2.10", "s-maxage=100", "max-stale", 100, MustRevalidate(Why::Expired)),
    ("9111 5.2.2.2 fresh", "must-revalidate", "", 99, Fresh),
    ("5861 3", "stale-while-revalidate=10", "", 110, StaleUsable(StaleReason::WhileRevalidate)),
    ("5861 3", "stale-while-revalidate=10", "", 111, MustRevalidate(Why::Expired)),
    ("5861 3 beside max-stale", "stale-while-revalidate=10", "max-stale", 105,
     StaleUsable(StaleReason::WhileRevalidate)),
    ("5861 3 beside s-maxage", "s-maxage=100, stale-while-revalidate=10", "", 110,
     StaleUsable(StaleReason::WhileRevalidate)),
    ("9111 5.2.1.1 before 5861 3", "stale-while-revalidate=60", "max-age=200", 150,
     MustRevalidate(Why::Expired)),
    ("5861 3 banned", "must-revalidate, stale-while-revalidate=10", "", 105,
     MustRevalidate(Why::Expired)),
    ("9111 5.2.1.7", "", "only-if-cached", 50, Fresh),
    ("9111 5.2.1.7", "", "only-if-cached", 100, NotForwardable(Why::Expired)),
    ("9111 5.2.1.7", "", "only-if-cached, max-stale", 100, StaleUsable(StaleReason::ClientAccepts)),
];

#[test]
fn verdicts_follow_both_sides_directives() {
    let lifetime = secs(100);
    for (section, stored, asked, age, expected) in VERDICTS {
        let standing = Standing {
            rules: rules(stored),
            lifetime,
            age: secs(*age),
        };
        let verdict = judge(&standing, &request(asked));
        assert_eq!(verdict, *expected, "{section}: {stored} / {asked} at {age}");
    }
}

#[rustfmt::skip]
const ON_ERROR: &[OnErrorRow] = &[
    ("9111 4.2.4 disconnected", "", "", 100 + 86_400, Ok(OnError)),
    ("operator's window", "", "", 101 + 86_400, Err(StaleBan::TooStale)),
    ("5861 4", "stale-if-error=10", "", 110, Ok(OnError)),
    ("5861 4", "stale-if-error=10", "", 111, Err(StaleBan::TooStale)),
    ("5861 4 request", "stale-if-error=10", "stale-if-error=20", 120, Ok(OnError)),
    ("5861 4 beside s-maxage", "s-maxage=100, stale-if-error=10", "", 110, Ok(OnError)),
    ("9111 5.2.2.10", "s-maxage=100", "", 101, Err(StaleBan::SMaxage)),
    ("9111 5.2.2.10", "s-maxage=100", "stale-if-error=9", 101, Err(StaleBan::SMaxage)),
    ("9111 5.2.2.2", "must-revalidate, stale-if-error=10", "", 101, Err(StaleBan::MustRevalidate)),
    ("9111 5.2.2.8", "proxy-revalidate", "", 101, Err(StaleBan::ProxyRevalidate)),
    ("9111 5.2.2.4", "no-cache", "", 1, Err(StaleBan::NoCache)),
    ("still fresh", "must-revalidate", "no-cache", 99, Ok(OnError)),
];

#[test]
fn an_error_is_covered_unless_the_origin_forbids_it() {
    let lifetime = secs(100);
    for (section, stored, asked, age, expected) in ON_ERROR {
        let standing = Standing {
            rules: rules(stored),
            lifetime,
            age: secs(*age),
        };
        let got = on_error(&standing, &request(asked), &FreshPolicy::default());
        assert_eq!(got, *expected, "{section}: {stored} / {asked} at {age}");
    }
}

#[test]
fn ttl_is_negative_once_stale() {
    let ttl = |age| {
        Standing {
            rules: rules(""),
            lifetime: secs(10),
            age,
        }
        .ttl()
    };
    assert_eq!(ttl(secs(3)), 7);
    assert_eq!(ttl(secs(10)), 0);
    assert_eq!(ttl(secs(30)), -20);
    assert_eq!(ttl(Duration::MAX), -i64::MAX);
}

proptest! {
    #[test]
    fn a_ban_on_stale_answers_holds_against_any_request(
        asked in any_value(), age in 100_u64..1_000_000, swr in 0_u64..1_000_000,
    ) {
        let rules = rules(&format!("must-revalidate, stale-while-revalidate={swr}"));
        let standing = Standing { rules, lifetime: secs(100), age: secs(age) };
        let mut map = http::HeaderMap::new();
        map.insert("cache-control", asked);
        let verdict = judge(&standing, &RequestDirectives::of(&map));
        prop_assert!(!matches!(verdict, Fresh | StaleUsable(_)));
    }
}
