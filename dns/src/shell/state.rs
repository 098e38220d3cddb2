//! The proxies one by one, for people: where each stands, why it is checked, and what happened to it.

use std::time::Duration;

use common::clock::Moment;
use serde_json::{Value, json};

use crate::engine::checker::Checker;
use crate::engine::proxy::{Proxy, Standing};
use crate::engine::reason::Fault;
use crate::engine::record::{Event, Times};
use crate::engine::share::Why;

/// Checked proxies on the state page; and of those known and not checked. The rest is counted.
const SHOWN_MAX: usize = 1_000;
const UNCHECKED_SHOWN_MAX: usize = 100;

/// How the seats are taken.
#[must_use]
pub fn seats(checker: &Checker, now: Moment) -> Value {
    let seats = checker.seats(now);
    let checked: serde_json::Map<_, _> = Why::ALL
        .iter()
        .zip(seats.checked)
        .map(|(why, count)| (why.as_str().to_owned(), json!(count)))
        .collect();
    let standing: serde_json::Map<_, _> = Standing::WORDS
        .iter()
        .zip(seats.standing)
        .map(|(word, count)| ((*word).to_owned(), json!(count)))
        .collect();
    json!({ "by_why": checked, "by_state": standing, "held": seats.held })
}

/// The checked proxies in address order; `named` says how many answers named one.
#[must_use]
pub fn proxies(checker: &Checker, now: Moment, named: impl Fn(&Proxy) -> u64) -> Vec<Value> {
    let shown = checker.proxies().take(SHOWN_MAX);
    let each = |proxy: &Proxy| {
        let mut state = proxy_state(proxy, now);
        state["named"] = json!(named(proxy));
        state
    };
    shown.map(each).collect()
}

/// Proxies that are known and not checked, in address order.
#[must_use]
pub fn unchecked(checker: &Checker, now: Moment) -> Vec<Value> {
    let shown = checker.unchecked().take(UNCHECKED_SHOWN_MAX);
    shown
        .map(|(http, known)| {
            json!({
                "addr": http,
                "why": known.why(now).as_str(),
                "mentioned_ms_ago": millis(now.since(known.mentioned)),
                "index_rtt_us": known.rtt.map(micros),
            })
        })
        .collect()
}

fn proxy_state(proxy: &Proxy, now: Moment) -> Value {
    let since = match proxy.standing {
        Standing::Unverified => None,
        Standing::Live { since } | Standing::Out { since, .. } => Some(millis(now.since(since))),
    };
    let reason = match proxy.standing {
        Standing::Out { fault, .. } => Some(fault.as_str()),
        Standing::Unverified | Standing::Live { .. } => None,
    };
    let (good, all) = proxy.record.successes(now);
    json!({
        "addr": proxy.http,
        "index": proxy.index,
        "why": proxy.why.as_str(),
        "state": proxy.standing.as_str(),
        "reason": reason,
        "for_ms": since,
        "last_fault": proxy.last_fault.map(Fault::as_str),
        "held_for_ms": proxy.hold.until.filter(|until| *until > now).map(|at| millis(at.since(now))),
        "flaps": proxy.hold.flaps,
        "level": proxy.level,
        "spare_percent": proxy.spare,
        "checks": { "good": good, "all": all },
        "ping_us": times(proxy.record.rtts()),
        "page_us": times(proxy.record.pages()),
        "changes": proxy.record.changes().map(|(at, event)| change(*event, now.since(*at)))
            .collect::<Vec<_>>(),
    })
}

fn change(event: Event, ago: Duration) -> Value {
    let (what, why) = match event {
        Event::Seated(why) => ("checked", Some(why.as_str())),
        Event::Live => ("live", None),
        Event::Out(fault) => ("out", Some(fault.as_str())),
    };
    json!({ "what": what, "why": why, "ms_ago": millis(ago) })
}

fn times(times: &Times) -> Value {
    let at = |percent| times.percentile(percent).map(micros);
    json!({ "p50": at(50), "p90": at(90), "most": at(100) })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
