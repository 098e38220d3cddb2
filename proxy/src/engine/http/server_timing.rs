//! Server-Timing: what the first byte waited for, in the words of the W3C's field.
//!
//! For those who look at a page in their browser. Only a request that was forwarded has any: a hit
//! waits for nobody.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};

/// Server-Timing (W3C Server Timing, §3.1).
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Whom a fetch waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// The index.
    Index,
    /// Other proxies, reached or not.
    Peers,
    /// The origin, or a turn to ask it.
    Origin,
}

/// How long a fetch waited for whom, until the head of its answer was here.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Timing {
    index: Duration,
    peers: Duration,
    origin: Duration,
}

impl Timing {
    /// This and so much more.
    #[must_use]
    pub const fn and(mut self, whom: Waited, more: Duration) -> Self {
        let part = match whom {
            Waited::Index => &mut self.index,
            Waited::Peers => &mut self.peers,
            Waited::Origin => &mut self.origin,
        };
        *part = part.saturating_add(more);
        self
    }

    /// The field's value: milliseconds, with those left out that there was no waiting for. `None` if
    /// that is all of them.
    #[must_use]
    pub fn field(&self) -> Option<HeaderValue> {
        let parts = [
            ("index", self.index),
            ("peers", self.peers),
            ("origin", self.origin),
        ];
        let metric = |(name, waited): (&str, Duration)| {
            let micros = waited.as_micros();
            (micros > 0).then(|| format!("{name};dur={}.{}", micros / 1_000, micros % 1_000 / 100))
        };
        let metrics: Vec<_> = parts.into_iter().filter_map(metric).collect();
        HeaderValue::try_from(metrics.join(", "))
            .ok()
            .filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_told_in_milliseconds_and_none_where_there_was_none() {
        let us = Duration::from_micros;
        assert_eq!(Timing::default().field(), None);
        let timing = Timing::default()
            .and(Waited::Index, us(1_260))
            .and(Waited::Origin, us(52_000))
            .and(Waited::Index, us(40));
        assert_eq!(timing.field().unwrap(), "index;dur=1.3, origin;dur=52.0");
    }
}
