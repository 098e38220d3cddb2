//! Captures on the admin listener: begun by an order, read by a page, one at a time.
//!
//! `POST /capture` with the field `atoll-capture: key=… peer=… kind=… for=SECONDS`, or `stop`;
//! `GET /capture?id=N&from=LINE`. While none runs a datagram costs one look at a flag more.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::shell::admin::Ordered;
use common::wire::header;
use common::wire::secret::Network;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::engine::capture::{Capture, CaptureEnd, Filter, Way};
use crate::engine::message::{Kind, decode};

/// Lines of one page.
const PAGE_MAX: usize = 1_000;

/// See the module.
pub(super) struct Captures {
    network: Arc<Network>,
    on: AtomicBool,
    held: Mutex<Held>,
}

impl std::fmt::Debug for Captures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captures")
            .field("on", &self.on)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Held {
    /// How many were begun: the last one's name.
    id: u64,
    capture: Option<Capture>,
    stopped: bool,
}

impl Captures {
    pub(super) fn new(network: Arc<Network>) -> Self {
        Self {
            network,
            on: AtomicBool::new(false),
            held: Mutex::default(),
        }
    }

    /// Whether one runs.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// A datagram went by. What is not a member's message is not captured: its peer is nobody.
    pub(super) fn offer(&self, clock: SystemClock, way: (Way, SocketAddr), datagram: &[u8]) {
        let Ok((header, body)) = header::open(&self.network, datagram) else {
            return;
        };
        let Ok(message) = decode(header.kind, body) else {
            return;
        };
        let now = clock.moment();
        let mut held = self.held();
        let Some(capture) = &mut held.capture else {
            return;
        };
        if capture.is_over(now) {
            self.on.store(false, Ordering::Relaxed);
        }
        capture.offer(now, way, &header, &message, datagram.len());
    }

    /// Carries out an order.
    pub(super) fn order(&self, now: Moment, headers: &HeaderMap) -> Option<Ordered> {
        let words = headers.get("atoll-capture")?.to_str().ok()?;
        let answer = if words.trim() == "stop" {
            self.on.store(false, Ordering::Relaxed);
            let mut held = self.held();
            held.stopped = true;
            (StatusCode::OK, json!({ "id": held.id, "stopped": true }))
        } else {
            match read(words) {
                Ok((filter, time)) => {
                    let mut held = self.held();
                    held.id += 1;
                    held.stopped = false;
                    held.capture = Some(Capture::new(filter, now, time));
                    self.on.store(true, Ordering::Relaxed);
                    (StatusCode::OK, json!({ "id": held.id }))
                }
                Err(why) => (StatusCode::BAD_REQUEST, json!({ "refused": why })),
            }
        };
        Some(Box::pin(std::future::ready(answer)))
    }

    /// The page of lines.
    pub(super) fn page(&self, node: &str, query: &str, now: Moment) -> Value {
        let number = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let found = pairs.find(|(key, _)| *key == name);
            found.and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let held = self.held();
        let wanted = number("id").unwrap_or(held.id);
        let Some(capture) = held.capture.as_ref().filter(|_| wanted == held.id) else {
            let end = (held.id > wanted).then_some(CaptureEnd::Replaced.as_str());
            return json!({ "schema": 1, "node": node, "lines": [], "next": 0, "lost": 0, "end": end });
        };
        let (lines, next, lost) = capture.lines(number("from").unwrap_or(0), PAGE_MAX);
        let end = if held.stopped {
            Some(CaptureEnd::Stopped)
        } else if capture.is_over(now) {
            Some(CaptureEnd::Time)
        } else {
            None
        };
        let (seen, fitted) = capture.counts();
        json!({
            "schema": 1, "node": node, "id": held.id, "lines": lines, "next": next, "lost": lost,
            "seen": seen, "fitted": fitted, "end": end.map(CaptureEnd::as_str),
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an order.
fn read(words: &str) -> Result<(Filter, Duration), &'static str> {
    let (mut filter, mut time) = (Filter::default(), Duration::from_secs(60));
    for word in words.split_ascii_whitespace() {
        let (name, value) = word.split_once('=').ok_or("say name=value")?;
        match name {
            "key" => {
                filter.key = Some(
                    value
                        .parse()
                        .map_err(|_| "a key is 40 hexadecimal digits")?,
                )
            }
            "peer" => filter.peer = Some(peer(value).ok_or("a peer is an address")?),
            "kind" => {
                let found = Kind::ALL.into_iter().find(|kind| kind.as_str() == value);
                filter.kind = Some(found.ok_or("there is no such kind")?);
            }
            "for" => time = Duration::from_secs(value.parse().map_err(|_| "for= is seconds")?),
            _ => return Err("key, peer, kind and for are known"),
        }
    }
    Ok((filter, time))
}

fn peer(text: &str) -> Option<SocketAddr> {
    let whole = text.parse().ok();
    whole.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_whole_or_refused() {
        let (filter, time) = read("kind=put peer=192.0.2.1 for=5").unwrap();
        assert_eq!(filter.kind, Some(Kind::Put));
        assert_eq!(filter.peer.unwrap().port(), 0);
        assert_eq!(time, Duration::from_secs(5));
        for wrong in ["kind", "kind=x", "key=1", "peer=x", "for=x", "colour=red"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
