//! Settings that may not be just any number or time of their kind.

use std::time::Duration;

use common::config::{Settings, Span};

/// A number that may not be zero.
pub(super) fn at_least_one(settings: &mut Settings, path: &'static str) -> usize {
    let number: usize = settings.value(path);
    if number == 0 {
        settings.reject(path, "at least 1 is needed");
    }
    number
}

/// DNS counts TTLs in whole seconds, up to 68 years (RFC 2181 §8).
pub(super) fn seconds(settings: &mut Settings, path: &'static str) -> u32 {
    let span = settings.value::<Span>(path).0;
    let whole = u32::try_from(span.as_secs()).ok().filter(|s| *s <= 1 << 31);
    match whole {
        Some(whole) if span.subsec_nanos() == 0 => whole,
        _ => {
            settings.reject(path, "a whole number of seconds is needed");
            0
        }
    }
}

/// A time of at least a second.
pub(super) fn a_second(settings: &mut Settings, path: &'static str) -> Duration {
    let span = settings.value::<Span>(path).0;
    if span < Duration::from_secs(1) {
        settings.reject(path, "at least 1s, or looking up is all that happens");
    }
    span
}
