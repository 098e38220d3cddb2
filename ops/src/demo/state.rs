//! What the demo origin's listener and its admin pages share: the controls and the counters.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::route::Class;

/// Paths counted one by one; requests for further ones are counted together.
pub const PATHS_MAX: usize = 4_096;

/// What can be changed while the origin runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Controls {
    /// Wait before each answer.
    pub delay: Duration,
    /// Bytes a second for each answer; no bound if `None`.
    pub rate: Option<u64>,
    /// Whether connections are closed without an answer.
    pub dead: bool,
}

/// Controls and counters of one origin.
#[derive(Debug)]
pub struct State {
    controls: watch::Sender<Controls>,
    counts: [AtomicU64; Class::ALL.len()],
    sent: AtomicU64,
    paths: Mutex<Paths>,
}

#[derive(Debug, Default)]
struct Paths {
    counts: BTreeMap<String, u64>,
    beyond: u64,
}

impl State {
    /// An origin that was asked nothing yet.
    #[must_use]
    pub fn new(controls: Controls) -> Self {
        Self {
            controls: watch::Sender::new(controls),
            counts: Default::default(),
            sent: AtomicU64::new(0),
            paths: Mutex::default(),
        }
    }

    /// The controls now.
    #[must_use]
    pub fn controls(&self) -> Controls {
        *self.controls.borrow()
    }

    /// The controls as they change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Controls> {
        self.controls.subscribe()
    }

    /// Changes the controls.
    pub fn adjust(&self, change: impl FnOnce(&mut Controls)) {
        self.controls.send_modify(change);
    }

    /// Counts a request.
    pub fn count(&self, class: Class, path: &str) {
        if let Some(counter) = self.counter(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        // A counter of a thread that panicked is still a counter.
        let mut paths = self
            .paths
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if paths.counts.contains_key(path) || paths.counts.len() < PATHS_MAX {
            *paths.counts.entry(path.to_owned()).or_default() += 1;
        } else {
            paths.beyond += 1;
        }
    }

    /// Counts bytes of a body given to the connection.
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    fn counter(&self, class: Class) -> Option<&AtomicU64> {
        let at = Class::ALL.iter().position(|each| *each == class)?;
        self.counts.get(at)
    }

    fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let pairs = Class::ALL.iter().zip(&self.counts);
        pairs.map(|(class, count)| (class.as_str(), count.load(Ordering::Relaxed)))
    }

    /// The state as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let controls = self.controls();
        let requests: serde_json::Map<String, Value> = self
            .counted()
            .map(|(class, count)| (class.to_owned(), count.into()))
            .collect();
        let paths = self
            .paths
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        json!({
            "delay_ms": u64::try_from(controls.delay.as_millis()).unwrap_or(u64::MAX),
            "rate_bytes_per_second": controls.rate,
            "dead": controls.dead,
            "requests": requests,
            "sent_bytes": self.sent.load(Ordering::Relaxed),
            "paths": paths.counts,
            "requests_for_paths_beyond": paths.beyond,
        })
    }

    /// The counters in the Prometheus text format.
    #[must_use]
    pub fn to_metrics(&self) -> String {
        let mut text = "# HELP atoll_origin_requests_total Requests to the demo origin.\n\
            # TYPE atoll_origin_requests_total counter\n"
            .to_owned();
        for (class, count) in self.counted() {
            text.push_str(&format!(
                "atoll_origin_requests_total{{class=\"{class}\"}} {count}\n"
            ));
        }
        let sent = self.sent.load(Ordering::Relaxed);
        text.push_str("# HELP atoll_origin_sent_bytes_total Body bytes sent.\n");
        text.push_str("# TYPE atoll_origin_sent_bytes_total counter\n");
        text.push_str(&format!("atoll_origin_sent_bytes_total {sent}\n"));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_class_and_path() {
        let state = State::new(Controls::default());
        state.count(Class::Crowd, "/crowd/x/0.bin");
        state.count(Class::Crowd, "/crowd/x/0.bin");
        state.count(Class::Site, "/");
        let json = state.to_json();
        assert_eq!(json["requests"]["crowd"], 2);
        assert_eq!(json["paths"]["/crowd/x/0.bin"], 2);
        assert!(state.to_metrics().contains("{class=\"site\"} 1\n"));
    }

    #[test]
    fn paths_beyond_the_bound_are_counted_together() {
        let state = State::new(Controls::default());
        for number in 0..PATHS_MAX + 3 {
            state.count(Class::Site, &format!("/{number}"));
        }
        state.count(Class::Site, "/0");
        let json = state.to_json();
        assert_eq!(json["requests_for_paths_beyond"], 3);
        assert_eq!(json["paths"].as_object().unwrap().len(), PATHS_MAX);
        assert_eq!(json["paths"]["/0"], 2);
    }
}
